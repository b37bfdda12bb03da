"""What programs send to the data API and what they get, as pydantic models. Requests are checked by the views."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, RootModel, create_model

from core.downloads.statistics import ABOUT, FIELDS, ORIGINS
from core.streams import DataStream

KEY = r"^[A-Za-z0-9+/]+$"
TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$"
DAY = r"^\d{4}-\d\d-\d\d$"
Utc = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$", description="UTC.")]


class KeyForm(BaseModel):
    """The API key."""

    access_key: Annotated[str, Field(pattern=KEY, description="The public key, 64 characters.")]
    secret_key: Annotated[str, Field(pattern=KEY, description="The secret key, 64 characters.")]


class StudyForm(KeyForm):
    """The API key, and the study by its id or its number."""

    study_id: Annotated[str | None, Field(pattern=r"^[A-Za-z0-9]{24}$", description="The study's id.")] = None
    study_pk: Annotated[
        str | None, Field(pattern=r"^\d{1,18}$", description="The study's number, in place of its id.")
    ] = None


class ParticipantForm(KeyForm):
    """The API key, and a participant of a study that it may read."""

    participant_id: Annotated[str, Field(min_length=1, description="The participant's id.")]


class HistoryForm(ParticipantForm):
    """The API key and a participant, and the shape of the rows."""

    omit_keys: Annotated[
        str | None, Field(description="`true`: rows are lists in the order of the fields, not objects.")
    ] = None


class NotificationsForm(ParticipantForm):
    """The API key and a participant, and the zone of the times."""

    utc: Annotated[str | None, Field(description="If present, times are in UTC, else in the study's zone.")] = None


class TableForm(StudyForm):
    """The API key and the study, and the form of the table."""

    data_format: Annotated[
        Literal["json", "json_table", "csv"],
        Field(description="A list of objects, a list of lists whose first has the names, or CSV."),
    ]


class DataForm(StudyForm):
    """The API key and the study, and which files."""

    data_streams: Annotated[
        str | None, Field(description="A JSON list of data streams, or the field repeated; without it all.")
    ] = None
    participant_ids: Annotated[
        str | None, Field(description="A JSON list of participants, or the field repeated; without it all.")
    ] = None
    user_ids: Annotated[str | None, Field(description="The old name of participant_ids.")] = None
    time_start: Annotated[str | None, Field(pattern=TIME, description="The first time bin, UTC, inclusive.")] = None
    time_end: Annotated[str | None, Field(pattern=TIME, description="The last time bin, UTC, inclusive.")] = None
    registry: Annotated[
        str | None,
        Field(description="The `registry` of an earlier answer, as JSON text: files that are unchanged are left out."),
    ] = None
    web_form: Annotated[str | None, Field(description="If present, there is no registry in the answer.")] = None


class StatisticsQuery(BaseModel):
    """Filters of the daily summaries."""

    start_date: Annotated[str | None, Field(pattern=DAY, description="The first day.")] = None
    end_date: Annotated[str | None, Field(pattern=DAY, description="The last day.")] = None
    limit: Annotated[str | None, Field(pattern=r"^\d{1,18}$", description="At most this many rows.")] = None
    ordered_by: Annotated[Literal[FIELDS] | None, Field(description="The field to sort by; `date` by default.")] = None  # type: ignore[valid-type]
    order_direction: Annotated[
        Literal["ascending", "descending"] | None, Field(description="By default descending for `date`.")
    ] = None
    participant_ids: Annotated[str | None, Field(description="Participants, separated by commas.")] = None
    fields: Annotated[
        str | None,
        Field(
            description="Fields, separated by commas; without it all but `<tree>_task`, `<tree>_library` and"
            " `<tree>_computed_at`, which are given when they are named here, as `oak_task`."
        ),
    ] = None


class Studies(RootModel[dict[str, str]]):
    """Names of studies by id."""


class Ids(RootModel[list[str]]):
    """Ids of participants, sorted."""


class Quantities(RootModel[dict[str, dict[str, int]]]):
    """By participant and `<stream>_bytes`, the bytes of all days."""


class Interventions(RootModel[dict[str, dict[str, dict[str, str | None]]]]):
    """By participant, survey and intervention, the date, null while there is none."""


class SurveyVersion(BaseModel):
    """A survey as it was from a time on."""

    archive_start: str
    survey_json: list[Any]


class SurveyHistory(RootModel[dict[str, list[SurveyVersion]]]):
    """By survey, its versions, oldest first."""


class UploadRow(BaseModel):
    """An upload."""

    file_size: Annotated[int | None, Field(description="Bytes.")]
    timestamp: Utc
    file_name: str


class HeartbeatRow(BaseModel):
    """A sign of life."""

    timestamp: Utc


class VersionRow(BaseModel):
    """A version of app and system, and since when."""

    app_version_code: str | None
    app_version_name: str | None
    os_version: str | None
    created_on: Utc


class StatusRow(BaseModel):
    """A report of a phone that is watched closely."""

    created_on: Utc
    endpoint: str
    app_os: str | None
    os_version: str | None
    app_version: str | None
    device_status: dict[str, Any]


class Uploads(RootModel[list[UploadRow | list[Any]]]):
    """Uploads, oldest first."""


class Heartbeats(RootModel[list[HeartbeatRow | list[Any]]]):
    """Signs of life, oldest first."""


class Versions(RootModel[list[VersionRow | list[Any]]]):
    """Versions of app and system, oldest first."""


class Statuses(RootModel[list[StatusRow | list[Any]]]):
    """Reports, oldest first."""


class Attempt(BaseModel):
    """An attempt to notify a participant of a survey."""

    timestamp: str
    type: str
    scheduled_time: str
    confirmed_received: Annotated[Utc | Literal[False], Field(description="When the phone confirmed it, or false.")]
    uuid: str | None
    resend: bool
    push_rejected: bool


class Attempts(RootModel[dict[str, list[Attempt]]]):
    """By survey, the attempts by scheduled time."""


class FileHashes(RootModel[dict[str, str | None]]):
    """By a file's name in a download, its SHA-1 in base64; null where it is not known."""


class Table(RootModel[list[dict[str, Any] | list[Any]]]):
    """Participants, as objects or as lists."""


class Columns(RootModel[list[dict[str, str]]]):
    """Columns: `id` (letters, digits, underscores), `alias` (the key in a row) and `dataType` in Tableau's words."""


class StudySettings(RootModel[dict[str, Any]]):
    """A study's settings and surveys, as the portal's file has them."""


class Errors(BaseModel):
    """What was wrong: a sentence for each fault, or one."""

    errors: list[str] | str


_VALUE = (float | int | str | None, None)
_ABOUT_TASKS = {
    "task": (str | None, Field(None, description="The id of the task that made the analysis' measures of the day.")),
    "library": (str | None, Field(None, description="The version of beiwe-forest that made them.")),
    "computed_at": (Utc | None, Field(None, description="When that task ended.")),
}
StatisticsRow: type[BaseModel] = create_model(
    "StatisticsRow",
    __doc__="A day of a participant: the asked fields.",
    **{name: (str | None, None) if name in ABOUT else _VALUE for name in FIELDS},  # type: ignore[call-overload]
    **{name: _ABOUT_TASKS[name.removeprefix(f"{tree}_")] for name, (tree, _) in ORIGINS.items()},
)


class StatisticsRows(RootModel[list[StatisticsRow]]):
    """Days of participants."""


STREAMS = ", ".join(stream.value for stream in DataStream)
