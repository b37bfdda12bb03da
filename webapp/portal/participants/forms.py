"""The form that adds many participants at once."""

import re

from core.participants.batches import MADE_AT_ONCE
from core.participants.creating import MOST_AT_ONCE
from webapp.portal.frame.forms import NumberField, PortalForm, TextField


class ManyForm(PortalForm):
    """How many participants, and the name of the file with their passwords."""

    number_of_new_patients = NumberField(
        "How many",
        least=1,
        most=MOST_AT_ONCE,
        hint=f"Up to {MOST_AT_ONCE:,}. More than {MADE_AT_ONCE} are made in the background, and the file is offered"
        " when they are ready.",
        default=20,
    )
    desired_filename = TextField("File name", "Letters, digits, _ and . are kept.", default="new_participant_ids.csv")


def csv_name(wanted: str) -> str:
    """A file name of `A–Z a–z 0–9 _ .` that ends in `.csv` (PORTAL-121)."""
    name = re.sub(r"[^A-Za-z0-9_.]", "", re.sub(r"[ =]", "_", wanted)) or "new_participant_ids"
    return name if name.endswith(".csv") else name + ".csv"
