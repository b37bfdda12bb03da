"""Reads the rows of one chunk into the columns of its stream, and tells which rows do not fit (CLAR-74).

Every row ends up in exactly one of the two. Columns are found by the names in the file's header.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from core.exports.parquet_schema import (
    TAKES_COMMAS,
    TEXT,
    UTC_TIME,
    WHOLE,
    Column,
    columns_of,
    headers_by_length,
    polars_schema,
)
from core.streams import DataStream

SECONDS_BELOW = 100_000_000_000
"""Time stamps below this are seconds: as milliseconds they would be before March 1973."""
LATEST_MS = 253_402_300_799_999  # the last of year 9999
NOT_UTF8 = "not UTF-8"
_ROW, _LINE = "__row", "__line"


@dataclass(frozen=True)
class ReadRows:
    """The rows that fit, with the stream's schema; and the others, with the columns `reason` and `line`.

    Both are in the order of the file.
    """

    rows: pl.DataFrame
    malformed: pl.DataFrame


def read_rows(stream: DataStream, participant_id: str, contents: bytes) -> ReadRows:
    """Reads a chunk: a header and rows, separated by line feeds, nothing quoted. Empty lines are no rows."""
    columns = columns_of(stream)
    if (plain := _plain_rows(columns, participant_id, contents)) is not None:
        return ReadRows(plain, _in_order([]))
    lines, malformed = _lines(contents)
    if lines.is_empty():
        return ReadRows(_empty(columns), _in_order(malformed))
    header = [name.strip() for name in str(lines[_LINE][0]).split(",")]
    body = lines.slice(1).filter(pl.col(_LINE) != "")
    if "timestamp" not in header:
        return ReadRows(_empty(columns), _in_order([*malformed, _refused(body, "the header has no timestamp")]))
    headers = {**headers_by_length(stream), len(header): tuple(header)}
    body = body.with_columns(pl.col(_LINE).str.count_matches(",", literal=True).alias("__commas"))
    taken: list[pl.DataFrame] = []
    for length, names in headers.items():
        fitting = body.filter(pl.col("__commas") == length - 1)
        if not fitting.is_empty():
            taken.append(_fields(fitting, names))
    rest = body.filter(~pl.col("__commas").is_in([length - 1 for length in headers]))
    if (name := TAKES_COMMAS.get(stream)) in header:
        is_long = pl.col("__commas") >= len(header)
        taken.append(_fields_around(rest.filter(is_long), header, header.index(str(name))))
        rest = rest.filter(~is_long)
    if not rest.is_empty():
        reason = pl.format(f"{{}} of {len(header)} fields", pl.col("__commas") + 1)
        malformed.append(rest.select(_ROW, reason.alias("reason"), pl.col(_LINE).alias("line")))
    fitted = [_typed(fields, columns, participant_id) for fields in taken if not fields.is_empty()]
    malformed += [others for _, others in fitted if not others.is_empty()]
    rows = [rows for rows, _ in fitted]
    whole = pl.concat(rows) if rows else None
    if whole is None:
        return ReadRows(_empty(columns), _in_order(malformed))
    ordered = whole.sort(_ROW) if len(rows) > 1 else whole
    return ReadRows(ordered.drop(_ROW), _in_order(malformed))


def _plain_rows(columns: Sequence[Column], participant_id: str, contents: bytes) -> pl.DataFrame | None:
    """The rows of a chunk in which nothing is odd, read at once, twenty times as fast; None for any other chunk.

    Odd are: a header with unknown or repeated names, other characters than ASCII, empty lines, rows with another number
    of fields, and a field that has not its column's type or one that needs a second look.
    """
    first, _, body = contents.removesuffix(b"\n").partition(b"\n")
    if not body or not contents.isascii() or b"\r" in contents or b"\n\n" in body or b"\n+" in contents:
        return None
    names = [name.strip() for name in first.decode().split(",")]
    own = {column.csv_name: column for column in columns if column.csv_name}
    is_known = "timestamp" in names and len(set(names)) == len(names) and not set(names) - own.keys() - {"UTC time"}
    # Where no row has too many fields, which is an error below, this means that none has too few.
    if not is_known or body.count(b",") != (len(names) - 1) * (body.count(b"\n") + 1):
        return None
    types = {name: own[name].dtype if name in own else TEXT for name in names}
    unknown = {name: own[name].unknown[0] for name in names if name in own and own[name].unknown}
    try:
        read = pl.read_csv(body, has_header=False, quote_char=None, schema=types, null_values=unknown)
    except pl.exceptions.PolarsError:
        return None
    stamps = read["timestamp"]
    least, most = stamps.min(), stamps.max()
    if stamps.null_count() or not isinstance(least, int) or not isinstance(most, int) or least < 0 or most > LATEST_MS:
        return None
    texts = [pl.col(name).str.strip_chars() for name, dtype in types.items() if dtype == TEXT and name in own]
    read = read.with_columns(*(pl.when(text != "").then(text) for text in texts))
    present = [
        (pl.col(column.csv_name) if column.csv_name in names else pl.lit(None, column.dtype)).alias(column.name)
        for column in own.values()
    ]
    rows = read.select(present).with_columns(pl.lit(None, TEXT).alias("other_columns"))
    return _with_own(rows, participant_id).select(column.name for column in columns)


def _lines(contents: bytes) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """The lines with their numbers; and those that are not UTF-8, which no table can hold."""
    try:
        text = contents.decode()
    except UnicodeDecodeError:
        return _lines_of_bytes(contents)
    lines = pl.Series(_LINE, [text]).str.split("\n").explode()
    return lines.to_frame().with_row_index(_ROW), []


def _lines_of_bytes(contents: bytes) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    good: list[tuple[int, str]] = []
    bad: list[tuple[int, str, str]] = []
    for number, line in enumerate(contents.split(b"\n")):
        try:
            good.append((number, line.decode()))
        except UnicodeDecodeError:
            bad.append((number, NOT_UTF8, line.decode(errors="backslashreplace")))
    schema = {_ROW: pl.get_index_type(), _LINE: TEXT}
    if bad and bad[0][0] == 0:  # without its header no row can be read
        bad += [(number, "the header is not UTF-8", line) for number, line in good]
        good = []
    malformed = pl.DataFrame(bad, schema={_ROW: pl.get_index_type(), "reason": TEXT, "line": TEXT}, orient="row")
    return pl.DataFrame(good, schema=schema, orient="row"), [malformed.filter(pl.col("line") != "")]


def _fields(lines: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Splits lines that all have this number of fields. Columns are `__row`, `__line`, and the fields by name."""
    places = [str(place) for place in range(len(names))]
    if len(places) == 1:
        split = lines.select(pl.col(_LINE).alias("0"))
    else:
        split = pl.read_csv(
            lines[_LINE].str.join("\n")[0].encode(),
            has_header=False,
            quote_char=None,
            schema=dict.fromkeys(places, TEXT),
        )
    return _named(lines, split, names)


def _fields_around(lines: pl.DataFrame, names: Sequence[str], place: int) -> pl.DataFrame:
    """Splits lines with too many commas; those that are left over belong to the field at `place`."""
    pattern = ",".join("(.*)" if place == number else "([^,]*)" for number in range(len(names)))
    groups = pl.col(_LINE).str.extract_groups(f"(?s)^{pattern}$")
    split = lines.select(groups.struct.rename_fields([str(number) for number in range(len(names))])).unnest(_LINE)
    return _named(lines, split, names)


def _named(lines: pl.DataFrame, split: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """The fields under their names. Of a name that comes twice, the second is called `<name>_2`, and so on."""
    used: dict[str, int] = {}
    renamed = []
    for name in names:
        used[name] = used.get(name, 0) + 1
        renamed.append(f"field:{name}" if used[name] == 1 else f"field:{name}_{used[name]}")
    split.columns = renamed
    return pl.concat([lines.select(_ROW, _LINE), split], how="horizontal")


def _typed(fields: pl.DataFrame, columns: Sequence[Column], participant_id: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows whose fields have the columns' types; and the others, with the reason."""
    own = [column for column in columns if column.csv_name]
    typed = fields.select(_ROW, _LINE, *(_cast(fields, column) for column in own))
    reasons = [_TIMESTAMP_WRONG, *(reason for column in own if (reason := _why_not(fields, typed, column)) is not None)]
    both = pl.concat([typed, fields.select(pl.exclude(_ROW, _LINE))], how="horizontal")
    wrong = both.select(pl.coalesce(reasons).alias("reason"))["reason"]
    known = {f"field:{column.csv_name}" for column in own} | {"field:UTC time", _ROW, _LINE}
    others = _as_json(fields, [name for name in fields.columns if name not in known])
    malformed = pl.DataFrame({_ROW: fields[_ROW], "reason": wrong, "line": fields[_LINE]}).filter(wrong.is_not_null())
    rows = typed.with_columns(others)
    if not malformed.is_empty():
        rows = rows.filter(wrong.is_null())
    return _with_own(rows, participant_id).select(_ROW, *(column.name for column in columns)), malformed


def _with_own(rows: pl.DataFrame, participant_id: str) -> pl.DataFrame:
    """The rows with the two columns that no file has: the participant, and the time as a date."""
    ms = pl.when(pl.col("timestamp") < SECONDS_BELOW).then(pl.col("timestamp") * 1000).otherwise(pl.col("timestamp"))
    return rows.with_columns(
        pl.lit(participant_id, TEXT).alias("participant_id"),
        (ms * 1000).cast(UTC_TIME).alias("utc"),
    )


_TIMESTAMP_WRONG = (
    pl.when(~pl.col("field:timestamp").str.contains(r"^[0-9]+$").fill_null(value=False))
    .then(pl.lit("the timestamp is not a whole number"))
    .when(pl.col("timestamp").is_null() | (pl.col("timestamp") > LATEST_MS))
    .then(pl.lit("the timestamp is beyond all dates"))
)


def _cast(fields: pl.DataFrame, column: Column) -> pl.Series | pl.Expr:
    """The column with its type: null where the file has none, an empty text, or one that means unknown or is wrong."""
    name = f"field:{column.csv_name}"
    if name not in fields.columns:
        return pl.lit(None, column.dtype).alias(column.name)
    if column.dtype == TEXT:
        text = pl.col(name).str.strip_chars()
        return pl.when(text != "").then(text).alias(column.name)
    cast = fields[name].cast(column.dtype, strict=False)
    if cast.null_count() > fields[name].null_count():  # white space around numbers is rare, and costs time
        cast = fields[name].str.strip_chars().cast(column.dtype, strict=False)
    return cast.alias(column.name)


def _why_not(fields: pl.DataFrame, typed: pl.DataFrame, column: Column) -> pl.Expr | None:
    """The reason for rows whose text is no number of the column's type; None where there is no such row."""
    name = f"field:{column.csv_name}"
    if column.dtype == TEXT or name not in fields.columns:
        return None
    if typed[column.name].null_count() == fields[name].null_count():
        return None
    is_wrong = pl.col(column.name).is_null() & ~pl.col(name).str.strip_chars().is_in(["", *column.unknown])
    what = "whole number" if column.dtype == WHOLE else "number"
    return pl.when(is_wrong).then(pl.lit(f"{column.csv_name} is not a {what}"))


def _as_json(fields: pl.DataFrame, names: Sequence[str]) -> pl.Series:
    """The columns that the schema does not know, one JSON object for each row; null where there are none."""
    if not names:
        return pl.Series("other_columns", [None], dtype=TEXT).new_from_index(0, fields.height)
    plain = [name.removeprefix("field:") for name in names]
    texts = [
        json.dumps({name: value for name, value in zip(plain, row, strict=True) if value}, ensure_ascii=False) or None
        for row in fields.select(names).iter_rows()
    ]
    return pl.Series("other_columns", [None if text == "{}" else text for text in texts], dtype=TEXT)


def _refused(lines: pl.DataFrame, reason: str) -> pl.DataFrame:
    return lines.select(_ROW, pl.lit(reason).alias("reason"), pl.col(_LINE).alias("line"))


def _empty(columns: tuple[Column, ...]) -> pl.DataFrame:
    return polars_schema(columns).to_frame()


def _in_order(malformed: Sequence[pl.DataFrame]) -> pl.DataFrame:
    if not malformed:
        return pl.DataFrame(schema={"reason": TEXT, "line": TEXT})
    return pl.concat(malformed).sort(_ROW).drop(_ROW)
