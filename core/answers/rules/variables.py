"""Names of variables that every statistics program takes, and codes for answers that are missing (CLAR-55). Pure."""

from enum import IntEnum

LISTS_OF_SEVERAL = "checkbox"


class MissingCode(IntEnum):
    """Why a value is missing, as exports write it where a program knows codes of missing values.

    Beyond the range of sliders, so that no answer is taken for one.
    """

    SKIPPED = -9999
    UNSEEN = -9998
    UNREADABLE = -9997


MISSING_LABELS = {
    MissingCode.SKIPPED: "shown, not answered",
    MissingCode.UNSEEN: "not shown",
    MissingCode.UNREADABLE: "cannot be read",
}


def variable_name(number: int, revision: int, option: int | None = None) -> str:
    """The name of a question's variable: `q3`; `q3_v2` of its second wording; `q3_1` of an option of a checkbox.

    At most 32 characters, letters, digits and underscores, and never a reserved word. The number of a question and its
    wordings never change, so names do not either.
    """
    name = f"q{number}" if revision == 1 else f"q{number}_v{revision}"
    return name if option is None else f"{name}_{option}"
