"""Outcomes of signing in, in words, on every page that shows some."""

from core.models import SignInOutcome

OUTCOMES = {
    SignInOutcome.SIGNED_IN: ("Signed in", "good"),
    SignInOutcome.SIGNED_OUT: ("Signed out", ""),
    SignInOutcome.WRONG_PASSWORD: ("Wrong password", "warn"),
    SignInOutcome.WRONG_FACTOR: ("Second factor missing or wrong", "warn"),
    SignInOutcome.INACTIVE: ("Account not used for too long", "warn"),
    SignInOutcome.UNKNOWN_NAME: ("Unknown name", "warn"),
    SignInOutcome.DISABLED: ("Account disabled", "warn"),
    SignInOutcome.LOCKED: ("Refused, too many attempts", "bad"),
}


def outcome_in_words(outcome: str) -> tuple[str, str]:
    """An outcome in words, and the class of its mark; an outcome without words is shown as it is."""
    known = {str(known.value): words for known, words in OUTCOMES.items()}
    return known.get(outcome, (outcome.replace("_", " "), ""))
