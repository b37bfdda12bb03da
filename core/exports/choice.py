"""What an export holds, and in which form (CLAR-74)."""

from datetime import timedelta
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from core.downloads.query import DataQuery
from core.models import ExportKind
from core.streams import DataStream

FORMS: dict[ExportKind, tuple[str, ...]] = {
    ExportKind.STREAMS: ("csv", "parquet"),
    ExportKind.ANSWERS: ("csv", "xlsx", "parquet", "sav", "dta"),
    ExportKind.EVENTS: ("csv", "parquet"),
}
"""The forms of file of each kind; those of streams are zip files of such files."""
HOUR = timedelta(hours=1)


class ExportChoice(BaseModel):
    """What was chosen. `patient_ids` and `streams` None: all. `survey_id` is a primary key.

    For streams and events, `start_at` and `end_at` are hours, both included. For answers, `end_at` is not included.
    `with_test` includes participants of the study team, `with_texts` what participants typed.
    """

    model_config = ConfigDict(frozen=True)

    patient_ids: tuple[str, ...] | None = None
    streams: tuple[DataStream, ...] | None = None
    start_at: AwareDatetime | None = None
    end_at: AwareDatetime | None = None
    survey_id: int | None = None
    layout: Literal["wide", "long"] | None = None
    with_test: bool = True
    with_texts: bool = False

    def query(self, streams: tuple[DataStream, ...] | None) -> DataQuery:
        """The query for these streams, None for all."""
        return DataQuery(streams, self.patient_ids, self.start_at, self.end_at, registry=None)


def file_ending(kind: ExportKind, form: str) -> str:
    """The ending of the file that is delivered."""
    return "zip" if kind is ExportKind.STREAMS else form
