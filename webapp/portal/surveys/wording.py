"""Surveys in words: types of questions, settings, schedules."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from core.surveys.coming import Calendar
from core.surveys.rules.answering import Answer
from core.surveys.rules.calendar import ClockChange
from core.surveys.schedules import ScheduleKind
from webapp.portal.frame.wording import counted, day
from webapp.portal.surveys.schedule_form import Row

QUESTION_TYPES = {
    "info_text_box": "Text to read",
    "slider": "Slider",
    "radio_button": "One answer",
    "checkbox": "Several answers",
    "free_response": "Typed answer",
    "date": "Date",
    "time": "Time",
    "date_time": "Date and time",
}
FIELD_TYPES = {"NUMERIC": "a number", "SINGLE_LINE_TEXT": "a line", "MULTI_LINE_TEXT": "several lines"}
SETTINGS = {
    "trigger_on_first_download": "Asked as soon as it reaches a phone",
    "always_available": "Always on the app’s main page",
    "randomize": "Questions in random order, without conditions",
    "randomize_with_memory": "No question again until all were asked",
    "number_of_random_questions": "Questions asked of those",
    "audio_survey_type": "Recording",
    "bit_rate": "Bit rate, bits per second",
    "sample_rate": "Sample rate, Hz",
}
KEYS = {
    "question_text": "text",
    "question_type": "type",
    "display_if": "condition",
    "required": "required",
    "answers": "answers",
    "min": "least value",
    "max": "greatest value",
    "text_field_type": "kind of answer",
}
SHORT_DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
WEEKDAYS = ("Sundays", "Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays")


def question_type(question: Mapping[str, Any]) -> str:
    """The type of a question; an unknown one as it is stored."""
    kind = str(question.get("question_type", ""))
    words = QUESTION_TYPES.get(kind, kind or "no type")
    if kind == "slider":
        return f"{words}, {question.get('min', '?')} to {question.get('max', '?')}"
    if kind == "free_response":
        return f"{words}: {FIELD_TYPES.get(str(question.get('text_field_type')), 'of no kind')}"
    return words


def given_answer(question: Mapping[str, Any], answer: Answer) -> str:
    """An answer in words: the texts of what was chosen; empty for none."""
    if answer is None or answer == ():
        return ""
    kind = question.get("question_type")
    if isinstance(answer, tuple):
        return "; ".join(str(question["answers"][index]["text"]) for index in answer)
    if kind == "radio_button" and isinstance(answer, int):
        return str(question["answers"][answer]["text"])
    return str(answer)


def setting_value(value: Any) -> str:
    """A setting's value in words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "all" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def settings_in_words(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Known settings first, in a fixed order; others by their stored names."""
    names = [name for name in SETTINGS if name in settings] + [name for name in settings if name not in SETTINGS]
    return [(SETTINGS.get(name, name), setting_value(settings[name])) for name in names]


def changed_settings(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Name, old and new value of the settings that differ; `not set` where one version lacks it."""
    names = [name for name in dict.fromkeys([*before, *after]) if before.get(name) != after.get(name)]
    return [
        (
            SETTINGS.get(name, name),
            setting_value(before[name]) if name in before else "not set",
            setting_value(after[name]) if name in after else "not set",
        )
        for name in names
    ]


def times_in_words(rows: Sequence[Row], interventions: Mapping[str, str], fields: Mapping[str, str]) -> list[str]:
    """When a survey is asked, a line for each row; the mappings give names by numbers as text."""
    return [_row_in_words(row, interventions, fields) for row in rows]


def _row_in_words(row: Row, interventions: Mapping[str, str], fields: Mapping[str, str]) -> str:
    days = "every day" if len(row.days) == 7 else ", ".join(WEEKDAYS[day] for day in sorted(row.days))
    match row.kind:
        case ScheduleKind.WEEKLY:
            when = f"{days[0].upper()}{days[1:]} at {row.at}"
        case ScheduleKind.ABSOLUTE:
            when = f"{day(date.fromisoformat(row.on))} at {row.at}"
        case ScheduleKind.RELATIVE:
            name = interventions.get(row.intervention, "an intervention")
            offset = f"{counted(int(row.offset), 'day')} {row.direction} {name}"
            when = f"{'On the day of ' + name if row.offset == '0' else offset} at {row.at}"
        case ScheduleKind.RANDOM:
            on = "every day" if len(row.days) == 7 else f"on {days}"
            when = f"{counted(int(row.prompts), 'random time')} from {row.at} to {row.until} {on}"
    field, _, value = row.arm.partition(":")
    return f"{when}, for {fields.get(field, 'a field')} {value} only" if row.arm else when


def schedules_summary(schedules: Mapping[ScheduleKind, int]) -> str:
    """How many schedules of each kind, in words; empty for none."""
    words = {
        ScheduleKind.WEEKLY: "weekly time",
        ScheduleKind.ABSOLUTE: "date",
        ScheduleKind.RELATIVE: "time after an intervention",
        ScheduleKind.RANDOM: "window of random times",
    }
    parts = []
    for kind, word in words.items():
        if count := schedules.get(kind):
            plural = "times after interventions" if kind is ScheduleKind.RELATIVE and count > 1 else ""
            parts.append(f"{count} {plural}" if plural else counted(count, word))
    return ", ".join(parts)


def duration(minutes: int) -> str:
    """A time in its largest whole unit: `24 hours`, `90 minutes`, `3 days`."""
    for unit, length in (("day", 1440), ("hour", 60)):
        if minutes % length == 0 and minutes > 1440 * (unit == "day"):
            return counted(minutes // length, unit)
    return counted(minutes, "minute")


def clock_change(change: ClockChange) -> str:
    """`Clocks go back: 02:00 becomes 01:00`."""
    way = "forward" if change.is_forward else "back"
    return f"Clocks go {way}: {change.at:%H:%M} becomes {change.to:%H:%M}"


def piles(calendar: Calendar, names: Mapping[int, str], zone: ZoneInfo) -> list[str]:
    """What is too much in a calendar, a sentence each: surveys at the same minute, and full weeks."""
    together: dict[tuple[int, int], list[datetime]] = {}
    for close in calendar.close:
        together.setdefault((min(close.surveys), max(close.surveys)), []).append(close.at.astimezone(zone))
    found = []
    for pair, times in together.items():
        first = times[0]
        often = "" if len(times) == 1 else f", and {counted(len(times) - 1, 'more time')}"
        who = " and ".join(names[number] for number in pair)
        found.append(
            f"{who} are asked within a minute of each other: on {first.day} {first:%b} at {first:%H:%M}{often}."
        )
    return found + [
        f"{week.count} surveys in the week of {week.sunday.day} {week.sunday:%b}: people stop answering so many."
        for week in calendar.full_weeks
    ]
