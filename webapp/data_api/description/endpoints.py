"""Which fields and answers belong to which view of the data API. A test fails for a view that is not in it."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import BaseModel

from webapp.data_api.description import models
from webapp.data_api.resumable import Manifest, ManifestQuery, ObjectQuery


class Group(StrEnum):
    """Under which heading an endpoint is described."""

    RESUMABLE = "Downloads that can be resumed"
    DOWNLOADS = "Downloads as one zip"
    LISTS = "Lists of a study"
    HISTORIES = "Histories of a participant"
    STATISTICS = "Daily summaries and Tableau"


JSON, TEXT, ZIP, CSV = "application/json", "text/plain", "application/zip", "text/csv"
OCTETS = "application/octet-stream"


@dataclass(frozen=True)
class Answer:
    """An answer: what it is, its content type, and the model of its JSON, if it is JSON."""

    about: str
    content_type: str | None = TEXT
    model: type[BaseModel] | None = None


@dataclass(frozen=True)
class Endpoint:
    """How a view is called and what it answers. `form`: a POST with these fields; else the headers hold the key."""

    group: Group
    summary: str
    answers: dict[int, Answer]
    form: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    path: dict[str, str] = field(default_factory=dict)


REFUSALS = {
    400: Answer("A field is missing or malformed."),
    403: Answer("The key is not right, or gives no access to this study."),
    404: Answer("There is no such study, participant or data stream."),
    429: Answer("Too many wrong keys came from here; wait a minute."),
}
JSON_REFUSALS = {status: Answer(answer.about, JSON, models.Errors) for status, answer in REFUSALS.items()}
JSON_REFUSALS[400] = Answer(f"{REFUSALS[400].about} Plain text if it holds NUL.", f"{JSON}, {TEXT}", models.Errors)
STUDY_IN_PATH = {"study_id": "The study's id, 24 letters or digits."}


def _posted(
    group: Group,
    summary: str,
    form: type[BaseModel],
    answer: type[BaseModel] | None,
    *more: tuple[int, Answer],
    content_type: str = JSON,
    query: type[BaseModel] | None = None,
) -> Endpoint:
    about = (answer.__doc__ or "").partition("\n")[0] if answer else summary
    answers = {200: Answer(about, content_type, answer), **REFUSALS, **dict(more)}
    return Endpoint(group, summary, answers, form, query)


def _tableau(summary: str, answer: type[BaseModel], query: type[BaseModel] | None = None) -> Endpoint:
    about = (answer.__doc__ or "").partition("\n")[0]
    answers = {200: Answer(about, JSON, answer), **{code: JSON_REFUSALS[code] for code in (400, 404, 429)}}
    return Endpoint(Group.STATISTICS, summary, answers, None, query, STUDY_IN_PATH)


_ZIP = "A zip of files that are stored uncompressed, the last of them `registry`: a JSON object of path and hash"
ENDPOINTS: dict[str, Endpoint] = {
    "manifest": Endpoint(
        Group.RESUMABLE,
        "The files of a query, with size, hash and address of each",
        {200: Answer("A page of files.", JSON, Manifest), **JSON_REFUSALS},
        query=ManifestQuery,
    ),
    "contents": Endpoint(
        Group.RESUMABLE,
        "A file's contents, whole or in ranges",
        {
            200: Answer("All of it; its ETag is the hash of the manifest.", OCTETS),
            206: Answer("The range of bytes that was asked for.", OCTETS),
            304: Answer("If-None-Match: the caller has this version.", None),
            **JSON_REFUSALS,
            410: Answer("The store lacks the file.", JSON, models.Errors),
            412: Answer("If-Match: the file is another one by now.", JSON, models.Errors),
            416: Answer("The range lies behind the end of the file.", JSON, models.Errors),
            500: Answer("The file is damaged in the store.", JSON, models.Errors),
            503: Answer("The store does not answer.", JSON, models.Errors),
        },
        query=ObjectQuery,
        path=STUDY_IN_PATH | {"number": "The file's number, as the manifest gives it."},
    ),
    "get_data": _posted(Group.DOWNLOADS, f"{_ZIP}", models.DataForm, None, content_type=ZIP),
    "get_data_compressed": _posted(
        Group.DOWNLOADS, "The same, each file compressed with zstd", models.DataForm, None, content_type=ZIP
    ),
    "check_my_credentials": _posted(Group.LISTS, "Whether a key is right", models.KeyForm, None, content_type=TEXT),
    "get_studies": _posted(Group.LISTS, "The studies that the key may read", models.KeyForm, models.Studies),
    "get_participant_ids": _posted(Group.LISTS, "The participants of a study", models.StudyForm, models.Ids),
    "get_study_settings": _posted(
        Group.LISTS, "Settings and surveys, as a file", models.StudyForm, models.StudySettings
    ),
    "get_participant_data_quantities": _posted(
        Group.LISTS, "Bytes by participant and stream", models.StudyForm, models.Quantities
    ),
    "get_interventions": _posted(Group.LISTS, "Dates of interventions", models.StudyForm, models.Interventions),
    "get_survey_history": _posted(
        Group.LISTS, "Versions of surveys", models.StudyForm, models.SurveyHistory, content_type="text/json"
    ),
    "get_participant_table_data": Endpoint(
        Group.LISTS,
        "The table of participants",
        {200: Answer("Participants; with `data_format` csv a CSV file.", f"{JSON}, {CSV}", models.Table), **REFUSALS},
        models.TableForm,
    ),
    "get_participant_upload_history": _posted(Group.HISTORIES, "Uploads", models.HistoryForm, models.Uploads),
    "get_participant_heartbeat_history": _posted(
        Group.HISTORIES, "Signs of life", models.HistoryForm, models.Heartbeats
    ),
    "get_participant_version_history": _posted(
        Group.HISTORIES, "Versions of app and system", models.HistoryForm, models.Versions
    ),
    "get_participant_device_status_history": _posted(
        Group.HISTORIES, "Reports of a phone that is watched closely", models.HistoryForm, models.Statuses
    ),
    "get_participant_notification_history": _posted(
        Group.HISTORIES, "Attempts to notify", models.NotificationsForm, models.Attempts
    ),
    "get_participant_file_hashes": _posted(
        Group.HISTORIES, "Hashes of files", models.ParticipantForm, models.FileHashes
    ),
    "get_summary_statistics": Endpoint(
        Group.STATISTICS,
        "Daily summaries; filters are in the query string",
        {
            200: Answer("Days of participants.", JSON, models.StatisticsRows),
            **REFUSALS,
            400: Answer("A field or a filter is wrong.", f"{TEXT}, {JSON}", models.Errors),
        },
        models.StudyForm,
        models.StatisticsQuery,
    ),
    "tableau_summary_statistics": _tableau("Daily summaries", models.StatisticsRows, models.StatisticsQuery),
    "tableau_participant_table": _tableau("The table of participants", models.Table),
    "tableau_participant_columns": _tableau(
        "The columns of that table, as Tableau's connector declares them", models.Columns
    ),
}
NOT_DESCRIBED = ("summary_statistics_connector", "participant_table_connector")  # pages, for Tableau alone


def content_of(answer: Answer, schema: Any) -> dict[str, Any]:
    """The `content` of an answer in OpenAPI: its content types, with the schema where it is JSON."""
    if answer.content_type is None:
        return {}
    kinds = [kind.strip() for kind in answer.content_type.split(",")]
    return {kind: {"schema": schema} if schema and "json" in kind else {} for kind in kinds}
