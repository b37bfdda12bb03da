"""Oak's spectrum in parts is the library's to the last bit."""

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from forest.constants import Frequency
from forest.oak import base

from core.forest.spectrum import spectrum, use_less_memory

LIBRARY_S = base.compute_interpolate_cwt


@pytest.mark.parametrize("count", [30, 1000, 7900, 7950, 16_020, pytest.param(70_000, marks=pytest.mark.long)])
def test_the_spectrum_is_the_library_s(count: int) -> None:
    """FOREST-41: lengths below, at and beyond the parts in which it is computed."""
    rng = np.random.default_rng(count)
    signal = rng.normal(0, 0.3, count) + np.sin(2 * np.pi * 1.8 * np.arange(count) / 10)
    (ours, power), (theirs, of_moments) = spectrum(signal), LIBRARY_S(signal)
    of_seconds = [np.sum(of_moments[:, np.arange(at, at + 10)], axis=1) for at in range(0, count, 10)]
    assert np.array_equal(ours, theirs) and np.array_equal(power, np.array(of_seconds).T)


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.long), pytest.param(3, marks=pytest.mark.long)])
def test_rows_of_random_walks_are_the_library_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """FOREST-41: bouts of all lengths, across hours too, with gaps, noise and other frequencies."""
    write_walks(tmp_path / "in" / "someone" / "accelerometer", seed)
    monkeypatch.setattr(base, "compute_interpolate_cwt", LIBRARY_S)
    monkeypatch.setattr(base, "identify_peaks_in_cwt", base.identify_peaks_in_cwt)
    theirs = rows(tmp_path, "theirs")
    assert use_less_memory(base)
    assert base.compute_interpolate_cwt is spectrum
    assert rows(tmp_path, "ours") == theirs
    assert float(theirs[0]["steps"]) > 100


def write_walks(folder: Path, seed: int) -> None:
    """Four hours at 10 Hz, half of the time on, with walks of random length, pace and strength."""
    rng = np.random.default_rng(seed)
    count = 4 * 36_000
    up = np.full(count, 9.81)
    for _ in range(12):
        begin, length = rng.integers(0, count - 9000), rng.integers(100, 9000)
        times = np.arange(length) / 10
        up[begin : begin + length] += rng.uniform(1, 6) * np.sin(2 * np.pi * rng.uniform(1, 3) * times)
    folder.mkdir(parents=True)
    start = datetime(2024, 6, 3, 12, tzinfo=UTC)
    for hour in range(4):
        file = folder / f"{start + timedelta(hours=hour):%Y-%m-%d %H_%M_%S}+00_00.csv"
        tenths = [tenth for tenth in range(hour * 36_000, (hour + 1) * 36_000) if tenth // 3000 % 2 == 0]
        noise = rng.normal(0, 0.4, (len(tenths), 3))
        lines = [
            f"{round(start.timestamp() * 1000) + 100 * tenth},x,unknown,{x:.6f},{y:.6f},{up[tenth] + z:.6f}"
            for tenth, (x, y, z) in zip(tenths, noise.tolist(), strict=True)
        ]
        file.write_text("\n".join(["timestamp,UTC time,accuracy,x,y,z", *lines]) + "\n")


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    moment = "2024-06-03 12_00_00"
    base.run(str(folder / "in"), str(folder / name), "UTC", Frequency.DAILY, moment, moment, ["someone"])
    with (folder / name / "daily" / "someone.csv").open(newline="") as lines:
        return list(csv.DictReader(lines))
