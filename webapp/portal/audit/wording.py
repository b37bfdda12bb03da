"""How the section's pages name what was read."""

from typing import Any

from core.models import AccessKind
from core.streams import DataStream
from webapp.portal.frame.wording import STREAMS, counted

READ = {
    AccessKind.DATA: "downloaded data",
    AccessKind.PARTICIPANT_IDS: "listed the participants",
    AccessKind.PARTICIPANTS_TABLE: "downloaded the participants’ table",
    AccessKind.AUDIT_TRAIL: "downloaded a log of these pages",
    AccessKind.ANSWERS: "downloaded answers to a survey",
    AccessKind.ANSWER_FILE: "downloaded a file of answers",
    AccessKind.RECORDING: "played a recording",
    AccessKind.HISTORY: "downloaded the history of a phone",
    AccessKind.LIST: "downloaded a list of the study",
    AccessKind.STATISTICS: "downloaded daily statistics",
    AccessKind.EXPORT: "had an export prepared",
    AccessKind.EXPORT_FILE: "downloaded an export",
}
MOST_NAMED = 3


def read_in_words(kind: str) -> str:
    """What somebody did to read, as the rest of a sentence; a kind without words is shown as it is."""
    return {str(known.value): words for known, words in READ.items()}.get(kind, kind)


def whose_data(row: Any) -> str:
    """The participants of an access: all or how many, and the first ones by id."""
    if row.participants is None:
        return "" if row.kind == AccessKind.AUDIT_TRAIL.value else "whose was not recorded then"
    if row.patient_ids is None:
        return f"all participants ({row.participants:,})"
    named = ", ".join(row.patient_ids[:MOST_NAMED])
    more = len(row.patient_ids) - MOST_NAMED
    return f"{named} and {more:,} more" if more > 0 else named or counted(0, "participant")


def which_streams(row: Any) -> str:
    """The data streams of an access by their names; empty for what is no data."""
    if row.participants is None or row.kind != AccessKind.DATA.value:
        return ""
    if row.streams is None:
        return "all streams"
    names = [STREAMS[DataStream(name)] for name in row.streams]
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")
