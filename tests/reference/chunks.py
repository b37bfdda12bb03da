"""Raw files to chunks with a plain loop over rows, straight from PROC-10 to PROC-36."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta

from core.streams import SPECS, DataStream, Platform, stream_of_path

EARLIEST_SECONDS = 1406851200


def build(
    files: list[tuple[str, bytes, Platform]], existing: dict[str, bytes], platform: Platform, now: datetime
) -> dict[str, bytes]:
    """Chunks (path below the participant's folder -> contents) after a batch: those changed, whole."""
    groups: dict[tuple[DataStream, str | None, int], list[bytes]] = defaultdict(list)
    for path, data, file_platform in sorted(files):
        stream = stream_of_path(path)
        if not SPECS[stream].is_chunked:
            continue
        survey = path.split("/")[-2] if stream is DataStream.SURVEY_TIMINGS else None
        for row in fixed_rows(path, data, stream, file_platform):
            if row[0].isdigit() and row[0].isascii():
                seconds = int(row[0][:10])
                if EARLIEST_SECONDS <= seconds <= (now + timedelta(days=90)).timestamp():
                    groups[stream, survey, seconds // 3600].append(with_utc(row))
    chunks = {}
    for (stream, survey, hour), rows in groups.items():
        start = datetime.fromtimestamp(hour * 3600, UTC)
        path = "/".join([stream, *([survey] if survey else []), f"{start:%Y-%m-%dT%H:%M:%S}.csv"])
        old = existing[path].split(b"\n")[1:] if path in existing else []
        merged = sorted(old + rows, key=lambda row: int(row.split(b",", 1)[0]))
        chunks[path] = b"\n".join([SPECS[stream].chunk_header(platform).encode(), *dict.fromkeys(merged)])
    return chunks


def fixed_rows(path: str, data: bytes, stream: DataStream, platform: Platform) -> list[list[bytes]]:
    """The rows of a file as lists of fields, the time first; rows with an empty first field left out."""
    if not set(data) & set(b"\r\n"):
        return []
    stamp = path.rsplit("/", 1)[-1].split("-duplicate", 1)[0].split(".")[0].removeprefix("identifiers_").encode()
    lines = data.splitlines()[1:]
    if stream is DataStream.APP_LOG:
        lines = app_log_lines(stamp, lines)
    rows = [line.split(b",") for line in lines]
    if stream is DataStream.WIFI:
        rows = [[stamp, *row] for row in rows[:-1]]
    if stream is DataStream.IDENTIFIERS and rows:
        rows[0].insert(0, stamp + b"000")
    if stream is DataStream.CALLS:
        rows = [[row[2], *row[:2], *row[3:]] if len(row) > 2 else row for row in rows]
    if stream is DataStream.SURVEY_TIMINGS:
        for row in rows:
            row.insert(2, path.split("/")[-2].encode())
    return [row for row in rows if row[0]]


def app_log_lines(stamp: bytes, lines: list[bytes]) -> list[bytes]:
    """PROC-23."""
    kept = [stamp + b",New app log file created"]
    noise = b"bluetooth Failure", b"our not-quite-race-condition", b"accelSensorManager"
    for line in lines:
        try:
            int(line.split(b" ", 1)[0])
            kept.append(b",".join(line.split(b" ", 1)))
        except ValueError:
            if not line.startswith((*noise, b"a sessionactivity tried to clear the")):
                kept.append(kept[-1].split(b",")[0] + b"," + line)
    return kept


def with_utc(row: list[bytes]) -> bytes:
    """PROC-31."""
    value = int(row[0])
    moment = datetime.fromtimestamp(value // 1000, UTC)
    utc = f"{moment:%Y-%m-%dT%H:%M:%S}.{value % 1000:03}".encode()
    return b",".join([row[0], utc, *row[1:]])
