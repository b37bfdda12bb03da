"""What to download: participants, data streams, and a range of hours in the study's zone (PORTAL-240, PORTAL-241)."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from werkzeug.datastructures import MultiDict

from core.downloads.query import TIME_FORMAT, DataQuery, parse_query
from core.exports.choice import ExportChoice
from core.streams import DataStream

LOCAL_FORMAT = "%Y-%m-%dT%H:%M"
EARLIEST_YEAR, LATEST_YEAR = 1970, 9000
_SEPARATORS = re.compile(r"[\s,;]+")


@dataclass(frozen=True)
class Choice:
    """The form as typed, its query in UTC, and what is wrong with it by field; `fields` are those of the data API."""

    patient_ids: tuple[str, ...]
    streams: tuple[str, ...]
    start: str
    end: str
    start_at: datetime | None
    end_at: datetime | None
    problems: dict[str, str]

    @property
    def fields(self) -> dict[str, list[str]]:
        """The fields with which a program would ask the data API for this."""
        fields: dict[str, list[str]] = {"web_form": ["true"]}
        if self.patient_ids:
            fields["participant_ids"] = list(self.patient_ids)
        if self.streams:
            fields["data_streams"] = list(self.streams)
        for name, at in (("time_start", self.start_at), ("time_end", self.end_at)):
            if at:
                fields[name] = [at.strftime(TIME_FORMAT)]
        return fields

    def export(self, *, with_test: bool) -> ExportChoice:
        """The same choice for an export; `with_test` includes participants of the study team."""
        return ExportChoice(
            patient_ids=self.patient_ids or None,
            streams=tuple(map(DataStream, self.streams)) or None,
            start_at=self.start_at,
            end_at=self.end_at,
            with_test=with_test,
        )

    def query(self) -> DataQuery:
        """The query; raises BadQuery or UnknownName where the form was not checked."""
        return parse_query(self.fields)


def read_choice(form: MultiDict[str, str], zone: ZoneInfo) -> Choice:
    """Reads the form. Empty choices mean all. An hour that a clock change repeats counts from its first to its last."""
    problems: dict[str, str] = {}
    typed = " ".join([*form.getlist("participant"), form.get("participants", "")]).lower()
    start, end = (form.get(name, "").strip() for name in ("start", "end"))
    start_at, end_at = (
        _moment(text, zone, fold, problems, name) for text, fold, name in ((start, 0, "start"), (end, 1, "end"))
    )
    if start_at and end_at and start_at > end_at:
        problems["end"] = "The end is before the start."
    streams = tuple(dict.fromkeys(form.getlist("stream")))
    if set(streams) - set(DataStream):
        problems["streams"] = "There is no such data stream."
    return Choice(
        patient_ids=tuple(dict.fromkeys(found for found in _SEPARATORS.split(typed) if found)),
        streams=streams,
        start=start,
        end=end,
        start_at=start_at,
        end_at=end_at,
        problems=problems,
    )


def _moment(text: str, zone: ZoneInfo, fold: int, problems: dict[str, str], name: str) -> datetime | None:
    if not text:
        return None
    try:
        local = datetime.strptime(text, LOCAL_FORMAT).replace(minute=0, fold=fold, tzinfo=zone)
    except ValueError:
        problems[name] = "A date and time like 2030-01-31T14:00."
        return None
    if not EARLIEST_YEAR <= local.year <= LATEST_YEAR:
        problems[name] = f"A year from {EARLIEST_YEAR} to {LATEST_YEAR}."
        return None
    return local.astimezone(UTC)
