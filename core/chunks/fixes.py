"""Turns a raw file into a CSV with the time in its first column (PROC-10 to PROC-13, PROC-20 to PROC-24).

The large streams pass unchanged. The others are changed as whole texts (regular expressions, replacement), except
the app log, which is small and whose lines depend on the line before.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from core.chunks.model import RawFile
from core.streams import SPECS, DataStream, Fix, Platform
from core.streams.paths import BadFileTime, name_digits, survey_of_path

_THREE_FIELDS = re.compile(rb"^([^,\n]*),([^,\n]*),([^,\n]*)", re.MULTILINE)
_FIRST_TWO_FIELDS = re.compile(rb"^[^,\n]*(?:,[^,\n]*)?", re.MULTILINE)
_APP_LOG_NOISE = (
    b"bluetooth Failure",
    b"our not-quite-race-condition",
    b"accelSensorManager",
    b"a sessionactivity tried to clear the",
)


class UnreadableFile(ValueError):
    """Nothing of a file can be used; it must be kept and reported. The message is the reason."""


@dataclass(frozen=True)
class Csv:
    """Header and rows of one file, lines separated by LF alone. `body` may lack its last line feed."""

    header: bytes
    body: bytes | memoryview = field(repr=False)


def read_csv(file: RawFile, stream: DataStream) -> Csv:
    """The rows of a file of a chunked stream, fixed by the platform recorded with the upload; raises UnreadableFile.

    Lines end with LF, CR LF or CR (PROC-11). A file without any of them is a header alone (PROC-10). Column names come
    back stripped (PROC-12); no byte of a row is touched but where a fix says so.
    """
    data = file.data
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    header_end = data.find(b"\n")
    if header_end < 0:
        return Csv(_clean(data), b"")
    header, fix = data[:header_end], SPECS[stream].fix
    if fix is None or (fix in _ANDROID_ONLY and file.platform is Platform.IOS):
        return Csv(_clean(header), memoryview(data)[header_end + 1 :])
    try:
        header, body = _FIXES[fix](header, data[header_end + 1 :], file.path)
    except BadFileTime as error:
        raise UnreadableFile(str(error)) from error
    return Csv(_clean(header), body)


def _clean(header: bytes) -> bytes:
    """The header with its column names stripped (PROC-12)."""
    return b",".join(name.strip() for name in header.split(b","))


# Each fix takes header, body and path of a file that has at least one line end, and returns the new header and body.


def _fix_calls(header: bytes, body: bytes, path: str) -> tuple[bytes, bytes]:
    """PROC-20: the third column becomes the first; older apps named it `date`."""
    columns = header.split(b",")
    if len(columns) > 2 and columns[2].strip() in (b"timestamp", b"date"):
        columns[2] = b"timestamp"
    return _THREE_FIELDS.sub(rb"\3,\1,\2", b",".join(columns)), _THREE_FIELDS.sub(rb"\3,\1,\2", body)


def _fix_wifi(header: bytes, body: bytes, path: str) -> tuple[bytes, bytes]:
    """PROC-21: the scan's time from the name goes in front of every row but the last, which is lost. MUST keep."""
    prefix = name_digits(path).encode() + b","
    rows, feed, _ = body.removesuffix(b"\n").rpartition(b"\n")
    return b"timestamp," + header, prefix + rows.replace(b"\n", b"\n" + prefix) if feed else b""


def _fix_identifiers(header: bytes, body: bytes, path: str) -> tuple[bytes, bytes]:
    """PROC-22: the time from the name, in seconds there, goes in front of the first row only."""
    return b"timestamp," + header, name_digits(path).encode() + b"000," + body if body else b""


def _fix_app_log(header: bytes, body: bytes, path: str) -> tuple[bytes, bytes]:
    """PROC-23: each line is a time and a text; a line without a time gets that of the line before."""
    time_code = name_digits(path).encode()
    rows = [time_code + b",New app log file created"]
    for line in body.removesuffix(b"\n").split(b"\n") if body else ():
        first, space, text = line.partition(b" ")
        try:
            int(first)
        except ValueError:
            if not line.startswith(_APP_LOG_NOISE):
                rows.append(time_code + b"," + line)
            continue
        time_code = first
        rows.append(first + b"," + text if space else first)
    return b"timestamp, event", b"\n".join(rows)


def _fix_survey_timings(header: bytes, body: bytes, path: str) -> tuple[bytes, bytes]:
    """PROC-24: the survey id becomes the third column."""
    survey_id = survey_of_path(path)
    if survey_id is None:
        raise UnreadableFile(f"there is no survey id in the path {path}")

    def with_survey_id(start: re.Match[bytes]) -> bytes:
        return start[0] + b"," + survey_id.encode()

    header = _FIRST_TWO_FIELDS.sub(rb"\g<0>,survey id", header, count=1)
    return header, _FIRST_TWO_FIELDS.sub(with_survey_id, body)


_FIXES: dict[Fix, Callable[[bytes, bytes, str], tuple[bytes, bytes]]] = {
    Fix.CALLS: _fix_calls,
    Fix.WIFI: _fix_wifi,
    Fix.IDENTIFIERS: _fix_identifiers,
    Fix.APP_LOG: _fix_app_log,
    Fix.SURVEY_TIMINGS: _fix_survey_timings,
}
_ANDROID_ONLY = {Fix.CALLS, Fix.WIFI, Fix.APP_LOG}
