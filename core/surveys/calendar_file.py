"""A calendar of coming surveys as a file for calendar programs (RFC 5545)."""

from datetime import UTC, datetime, timedelta

from icalendar import Calendar as CalendarFile
from icalendar import Event

from core.surveys.coming import Calendar, ComingSurvey

MINUTES_SHOWN = 5


def calendar_file(calendar: Calendar, name: str, whose: str, now: datetime) -> bytes:
    """The surveys as events of five minutes, in UTC, so that every program shows them at their moment.

    `name` is the calendar's title. `whose` is the participant's id, or another text for nobody in particular: with the
    schedule, day and number within the day it makes the UID of an event, which stays the same in the next file, so that
    importing again moves events instead of doubling them. `now` is the time stamp.
    """
    file = CalendarFile()
    file.add("prodid", "-//Beiwe//Survey calendar//EN")
    file.add("version", "2.0")
    file.add("x-wr-calname", name)
    for each in calendar.surveys:
        file.add_component(_event(each, whose, now))
    data: bytes = file.to_ical()
    return data


def _event(each: ComingSurvey, whose: str, now: datetime) -> Event:
    event = Event()
    event.add("uid", f"{each.survey_object_id}-{each.schedule_id}-{each.wall:%Y%m%d}-{each.nth}-{whose}@beiwe")
    event.add("dtstamp", now.astimezone(UTC))
    event.add("dtstart", each.at)
    event.add("dtend", each.at + timedelta(minutes=MINUTES_SHOWN))
    event.add("summary", each.name or "Survey without a name")
    if each.is_example:
        event.add("description", "A random time: each participant is asked at another.")
    event.add("transp", "TRANSPARENT")
    return event
