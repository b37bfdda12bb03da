"""The columns of an export: names that all programs take, labels, codes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from core.answers.codebook import ScoreVariable, Variable
from core.answers.rules.variables import LISTS_OF_SEVERAL


class Layout(StrEnum):
    """A row for each submission, or for each answer."""

    WIDE = "wide"
    LONG = "long"


class Holds(StrEnum):
    """What the cells of a column are."""

    NUMBER = "number"
    TEXT = "text"
    TIME = "time"


@dataclass(frozen=True)
class Column:
    """One column. `codes` are the labels of its numbers. `has_missing` says that it tells apart why a value is missing:
    its cells may be a `MissingCode`.
    """

    name: str
    label: str
    holds: Holds
    codes: Mapping[int, str] = field(default_factory=dict)
    has_missing: bool = False


ABOUT = (
    Column("patient_id", "Participant", Holds.TEXT),
    Column("submission_id", "Number of the submission", Holds.NUMBER),
    Column("submitted_at", "Submitted at (UTC)", Holds.TIME),
    Column("received_at", "Uploaded at (UTC)", Holds.TIME),
    Column("asked_at", "Asked at (UTC): when the event that it answers counted", Holds.TIME),
    Column("standing", "answered, late, extra or unasked", Holds.TEXT),
    Column("survey_version", "Version of the survey, 1 for the first", Holds.NUMBER),
    Column("platform", "Platform of the phone", Holds.TEXT),
    Column("app_version", "Version of the app", Holds.TEXT),
    Column("problem", "What was wrong with the file", Holds.TEXT),
    Column("file", "Raw file", Holds.TEXT),
)
OF_ANSWERS = (
    Column("variable", "Variable of the codebook", Holds.TEXT),
    Column("question_id", "Id of the question", Holds.TEXT),
    Column("question", "Text of the question", Holds.TEXT),
    Column("state", "answered, skipped, unseen or unreadable", Holds.TEXT),
    Column("value", "Number that was given, or code of the chosen answer", Holds.NUMBER),
    Column("chosen_codes", "Codes of the chosen answers, separated by spaces", Holds.TEXT),
    Column("chosen", "Texts of the chosen answers, one to a line", Holds.TEXT),
)
TEXT = Column("text", "What was typed, or could not be read", Holds.TEXT)
YES_NO = {0: "not chosen", 1: "chosen"}


def is_number(variable: Variable) -> bool:
    """Whether answers of the variable are numbers or codes; others are texts."""
    return bool(variable.codes) or variable.kind == "slider" or variable.field_type == "NUMERIC"


def columns_of(
    layout: Layout, book: Sequence[Variable], scores: Sequence[ScoreVariable], *, with_texts: bool
) -> list[Column]:
    """The columns in order. Without texts, questions whose answers are texts have none in a wide table."""
    if layout is Layout.LONG:
        return [*ABOUT, *OF_ANSWERS, *([TEXT] if with_texts else [])]
    columns = list(ABOUT)
    for variable in book:
        if variable.kind == LISTS_OF_SEVERAL:
            for name, (_, text) in zip(variable.names, variable.codes, strict=True):
                columns.append(Column(name, f"{variable.text}: {text}", Holds.NUMBER, YES_NO, True))
        elif is_number(variable):
            columns.append(Column(variable.name, variable.text, Holds.NUMBER, dict(variable.codes), True))
        elif with_texts:
            columns.append(Column(variable.name, variable.text, Holds.TEXT))
    return columns + [Column(score.variable, score.name, Holds.NUMBER) for score in scores]
