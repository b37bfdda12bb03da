"""How pages show a participant's state and the filters by state."""

from dataclasses import dataclass
from datetime import datetime

from core.models import DepartureKind
from core.participants.states import Show, State, StateKind
from webapp.portal.frame.wording import span

FILTER_LABELS = {
    Show.ALL: "All",
    Show.REPORTING: "Reporting",
    Show.SILENT: "Silent",
    Show.NOT_REGISTERED: "Not registered",
    Show.PAUSED: "Paused",
    Show.LEFT: "Left",
    Show.RETIRED: "Retired",
}
SHOWN_WHERE_SOME = (Show.PAUSED, Show.LEFT)
"""Filters that are offered only where they find somebody."""
DEPARTURES = {DepartureKind.COMPLETED.value: "Completed", DepartureKind.WITHDRAWN.value: "Withdrawn"}


@dataclass(frozen=True)
class ShownState:
    """A state's label, its class in the style sheet (`mark`), and a sentence that explains it."""

    word: str
    mark: str
    meaning: str


SHOWN = {
    StateKind.PURGED: ShownState("Purged", "off", "All data were deleted."),
    StateKind.PURGE_ASKED: ShownState("Waiting for purge", "off", "All data will be deleted."),
    StateKind.RETIRED: ShownState("Retired", "off", "Uploads are no longer kept."),
    StateKind.NOT_REGISTERED: ShownState("Not registered", "off", "No phone is registered."),
    StateKind.REPORTING: ShownState("Reporting", "good", "An upload came within 24 hours."),
}


def shown_state(state: State, now: datetime) -> ShownState:
    """How to show the state. For a silent participant it includes the time since the last upload or registration."""
    if state.kind is not StateKind.SILENT:
        return SHOWN[state.kind]
    word = f"Silent {span(now - state.silent_since)}" if state.silent_since else "Silent"
    meaning = "No upload for 24 hours or more." if state.has_uploaded else "Registered, and no upload yet."
    return ShownState(word, "bad", meaning)
