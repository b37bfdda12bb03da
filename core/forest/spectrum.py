"""Oak's spectrum of a day's walking, computed in parts: the library's numbers in a seventh of its memory.

The library holds the wavelet transforms of all scales over all moments at once, about 23 KB for each tenth of a second.
A day cannot be given to it in hours, since it smooths the ends of the whole day's signal and takes its scales from its
length. But each scale is transformed on its own, and each moment summed and interpolated on its own: so here a few
scales at a time, and of the sums only the frequencies that oak looks at. Every operation is the library's, in its
order, so that the result is the same to the last bit.
"""

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from core.forest.trees import library_version

WRITTEN_FOR = ("1.0", "0.6.6")
"""The versions of beiwe-forest and ssqueezepy whose computation this is."""
SCALES_AT_ONCE = 2
MOMENTS_AT_ONCE = 8000
"""Whole seconds of the ten moments that oak's signal has in each."""


def use_less_memory(oak: Any) -> bool:
    """Has the library (`forest.oak.base`) compute its spectrum in parts. Other versions are left alone: False."""
    try:
        installed = (library_version(), version("ssqueezepy"))
    except PackageNotFoundError:
        return False
    if installed != WRITTEN_FOR:
        return False
    if oak.compute_interpolate_cwt is not spectrum:
        peaks_of_moments = oak.identify_peaks_in_cwt
        oak.compute_interpolate_cwt = spectrum
        # It adds up the moments of each second, which is done already.
        oak.identify_peaks_in_cwt = lambda frequencies, power, fs, *limits: peaks_of_moments(
            frequencies, power, 1, *limits
        )
    return True


def spectrum(bout: Any, fs: int = 10, wavelet: tuple[Any, ...] = ("gmw", {"beta": 90, "gamma": 3})) -> tuple[Any, Any]:
    """What `forest.oak.base.compute_interpolate_cwt` returns, added up by second.

    `bout` has `fs` moments for each second. Returns frequencies (Hz), and power by frequency and second.
    """
    import numpy as np
    from scipy.interpolate import RegularGridInterpolator
    from scipy.signal.windows import tukey

    wanted = np.arange(0.5, 4.5, 0.05)
    padded = np.concatenate((np.zeros(5 * fs), bout * tukey(len(bout), alpha=0.02, sym=True), np.zeros(5 * fs)))
    frequencies, parts = _squeezed(padded[:-1], fs, wavelet, wanted)
    parts[-1] = np.append(parts[-1], parts[-1][:, -1:], 1)  # the library has the last moment twice
    result, edge = np.empty((len(wanted), len(bout) // fs)), 5 * fs
    for place, part in enumerate(parts):
        power = np.abs(part.astype("complex128") ** 2)
        first = place * MOMENTS_AT_ONCE - edge
        moments = range(max(0, -first), min(power.shape[1], len(bout) - first))
        if not moments:
            continue
        interpolate = RegularGridInterpolator((frequencies, range(power.shape[1])), power)
        of_moments = interpolate(tuple(np.meshgrid(wanted, moments, indexing="ij")))
        for begin in range(0, len(moments), fs):
            second = (first + moments.start + begin) // fs
            result[:, second] = np.sum(of_moments[:, np.arange(begin, begin + fs)], axis=1)
    return wanted, result


def _squeezed(x: Any, fs: int, wavelet_of: tuple[Any, ...], wanted: Any) -> tuple[Any, list[Any]]:
    """`ssqueezepy.ssq_cwt`, but only the rows that interpolation between the wanted frequencies needs.

    Returns their frequencies (Hz), and sums by frequency and moment, in parts of MOMENTS_AT_ONCE.
    """
    import numpy as np
    from ssqueezepy import Wavelet
    from ssqueezepy.algos import ssqueeze_fast
    from ssqueezepy.ssqueezing import _compute_associated_frequencies
    from ssqueezepy.utils import padsignal, process_scales
    from ssqueezepy.utils.fft_utils import fft, ifft

    count, dt = len(x), 1 / fs
    wavelet = Wavelet._init_if_not_isinstance(wavelet_of, N=count)
    scales = process_scales("log-piecewise", count, wavelet, nv=32)
    padded, _, before, _ = padsignal(x.astype(wavelet.dtype), "reflect", get_params=True)
    transformed = fft(padded, axis=-1, astensor=True)
    scales, _, _, voices = process_scales(scales.astype(wavelet.dtype).squeeze(), count, get_params=True)
    found = _compute_associated_frequencies(scales, count, wavelet, "log-piecewise", "peak", True, dt, "cwt")
    frequencies = found[::-1]
    near = np.flatnonzero((frequencies >= wanted[0]) & (frequencies <= wanted[-1]))
    rows = slice(max(near[0] - 1, 0), near[-1] + 2)
    factors = np.log(2) / voices

    wavelet.N = padded.shape[-1]
    parts = [
        np.zeros((len(frequencies[rows]), min(MOMENTS_AT_ONCE, count - first)), "complex64")
        for first in range(0, count, MOMENTS_AT_ONCE)
    ]
    wholes = {width: np.zeros((len(frequencies), width), "complex64") for width in {part.shape[1] for part in parts}}
    for some in np.array_split(np.arange(len(scales)), len(scales) // SCALES_AT_ONCE):  # never one alone
        of_scales = slice(some[0], some[-1] + 1)
        product = wavelet(scale=scales[of_scales], nohalf=False) * transformed
        waves = ifft(product, axis=-1, astensor=True)[:, before : before + count]
        product *= 1j * wavelet.xi / dt
        slopes = ifft(product, axis=-1, astensor=True)[:, before : before + count]
        del product
        for place, part in enumerate(parts):
            moments = slice(place * MOMENTS_AT_ONCE, (place + 1) * MOMENTS_AT_ONCE)
            whole = wholes[part.shape[1]]  # sums of other frequencies stay in it; nobody reads them
            whole[rows] = part
            ssqueeze_fast(
                np.ascontiguousarray(waves[:, moments]),
                np.ascontiguousarray(slopes[:, moments]),
                found,
                factors[of_scales] if isinstance(factors, np.ndarray) else factors,
                logscale=True,
                flipud=True,
                gamma=10 * np.finfo(np.float32).eps,
                out=whole,
            )
            part[:] = whole[rows]
    return frequencies[rows], parts
