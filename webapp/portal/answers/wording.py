"""Words of the pages of answers."""

from core.answers.reading import AnswerState
from core.answers.submitted import ShownAnswer
from core.models import Standing

STANDINGS = {
    Standing.ANSWERED: "Answered",
    Standing.LATE: "Late",
    Standing.EXTRA: "Extra",
    Standing.UNASKED: "Not asked",
    Standing.DUPLICATE: "Sent twice",
}
STANDING_MEANINGS = {
    Standing.ANSWERED: "within the time to answer",
    Standing.LATE: "after the time to answer, before the next notification time; not in the rate",
    Standing.EXTRA: "a further submission for the same notification time",
    Standing.UNASKED: "before there was any notification time",
    Standing.DUPLICATE: "the same file once more; it counts nowhere",
}
KINDS = {
    "radio_button": "One answer",
    "checkbox": "Several answers",
    "slider": "Slider",
    "free_response": "Typed",
}
STATES = {
    AnswerState.SKIPPED: "skipped",
    AnswerState.UNSEEN: "not shown",
    AnswerState.UNREADABLE: "cannot be read",
}


def percent(share: float | None) -> str:
    """`67 %`, or a dash where nothing can be said; never rounded to none or all."""
    if share is None:
        return "–"
    whole = round(100 * share)
    if whole == 0 and share > 0:
        return "< 1 %"
    if whole == 100 and share < 1:
        return "> 99 %"
    return f"{whole} %"


def length(minutes: float | None) -> str:
    """`12 min`, `3 h 5 min`, `2 days 4 h`, or a dash."""
    if minutes is None:
        return "–"
    whole = round(minutes)
    days, hours, rest = whole // 1440, whole % 1440 // 60, whole % 60
    if days:
        return f"{days} {'day' if days == 1 else 'days'}" + (f" {hours} h" if hours else "")
    if hours:
        return f"{hours} h" + (f" {rest} min" if rest else "")
    return f"{rest} min"


def plain(value: float | None) -> str:
    """A number as short as it is: `3`, `2.5`, `0.333`; a dash for none."""
    return "–" if value is None else f"{round(value, 3):.10g}"


def answer_in_words(answer: ShownAnswer) -> str:
    """What was answered: chosen texts, a number, what was typed, or why there is nothing."""
    if answer.state is not AnswerState.ANSWERED:
        return STATES[answer.state]
    if answer.chosen:
        return ", ".join(answer.chosen)
    if answer.number is not None:
        return plain(answer.number)
    return answer.text or "typed text"
