"""Changing studies: one function for one change, which checks, writes, and brings scheduled events into step (NOTIF-7).

Each locks the study's row first, so that two changes at once are made one after the other, writes a row of the audit
trail, and leaves the commit to its caller. Each tells whether the events still wait for the deployment
`rebuild-schedules` (CLAR-14).
"""

from datetime import UTC, date, datetime, time

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.accounts.roles import move_ends_of_roles
from core.audit import Actor, record
from core.forest.nightly import newest_night
from core.models import Study
from core.models.audit_record import Action
from core.models.study import SecondFactorFor
from core.phones.holding import release_held
from core.studies.creating import StudyRefused, checked_name, checked_zone
from core.surveys.expiry import checked_expiry
from core.surveys.rebuilding import update_events_of_study

LEAST_LENGTHS = range(8, 21)
MOST_AGES = range(30, 366)


def rename_study(session: Session, study: Study, name: str, *, actor: Actor) -> None:
    """Gives the study another name (PORTAL-80). Raises StudyRefused for one that another study has."""
    name = checked_name(name)
    _lock(session, study)
    before = study.name
    try:
        with session.begin_nested():  # the unique index alone knows of a name that is taken at this moment
            study.name = name
            session.flush()
    except IntegrityError:
        raise StudyRefused(f"There is a study named {name} already.") from None
    record(session, actor, Action.STUDY_RENAME, study=study, before=before, after=name)


SECOND_FACTOR_WORDS = {
    SecondFactorFor.NOBODY: "No second factor is required.",
    SecondFactorFor.ADMINISTRATORS: "A second factor is required of the study's administrators.",
    SecondFactorFor.EVERYBODY: "A second factor is required of everybody in the study.",
}


def set_security(
    session: Session,
    study: Study,
    minimum_length: int,
    max_age_days: int | None,
    second_factor_for: SecondFactorFor = SecondFactorFor.NOBODY,
    *,
    actor: Actor,
) -> list[str]:
    """Sets the rules for accounts of the study's researchers; returns the changes in sentences (PORTAL-98, CLAR-23).

    They hold at the next request of each researcher. Raises StudyRefused.
    """
    if minimum_length not in LEAST_LENGTHS:
        raise StudyRefused("A password has at least 8 to 20 characters.")
    if max_age_days is not None and max_age_days not in MOST_AGES:
        raise StudyRefused("A password is good for 30 to 365 days.")
    _lock(session, study)
    changed = []
    if study.password_minimum_length != minimum_length:
        changed.append(f"Passwords have at least {minimum_length} characters.")
    if study.password_max_age_days != max_age_days:
        changed.append(f"Passwords are good for {max_age_days} days." if max_age_days else "Passwords do not expire.")
    if study.second_factor_for != second_factor_for.value:
        changed.append(SECOND_FACTOR_WORDS[second_factor_for])
    if changed:
        before = [study.password_minimum_length, study.password_max_age_days, study.second_factor_for]
        after = [minimum_length, max_age_days, second_factor_for.value]
        record(session, actor, Action.STUDY_SECURITY, study=study, before=before, after=after)
    study.password_minimum_length, study.password_max_age_days = minimum_length, max_age_days
    study.second_factor_for = second_factor_for.value
    return changed


def set_timezone(session: Session, study: Study, timezone_name: str, now: datetime, *, actor: Actor) -> bool:
    """Moves the study to another time zone: wall-clock times of surveys stay (PORTAL-95). Raises StudyRefused."""
    checked_zone(timezone_name)
    _lock(session, study)
    record(session, actor, Action.STUDY_TIMEZONE, study=study, before=study.timezone_name, after=timezone_name)
    study.timezone_name = timezone_name
    move_ends_of_roles(session, study)
    return update_events_of_study(session, study, now)


def set_end_date(session: Session, study: Study, end_on: date | None, now: datetime, *, actor: Actor) -> bool:
    """Sets the last day that counts, in the study's zone; None removes it (PORTAL-91)."""
    _lock(session, study)
    before, after = (day.isoformat() if day else None for day in (study.end_on, end_on))
    record(session, actor, Action.STUDY_END_DATE, study=study, before=before, after=after)
    study.end_on = end_on
    return update_events_of_study(session, study, now)


def set_survey_expiry(session: Session, study: Study, minutes: int, *, actor: Actor) -> None:
    """Sets for how long surveys without a time of their own can be answered (CLAR-51). No event depends on it.

    Raises ExpiryRefused.
    """
    checked_expiry(minutes)
    _lock(session, study)
    before = study.survey_expiry_minutes
    record(session, actor, Action.STUDY_SURVEY_EXPIRY, study=study, before=before, after=minutes)
    study.survey_expiry_minutes = minutes


def set_quiet_hours(
    session: Session,
    study: Study,
    quiet: tuple[time, time] | None,
    resends_rest: tuple[time, time] | None,
    *,
    actor: Actor,
) -> None:
    """Sets when no push is sent, and when no survey is sent again, on the participants' clocks; None: never (CLAR-54).

    Each is from a time until a time, which may span midnight. What falls due meanwhile is sent afterwards. Raises
    StudyRefused for a span without a length.
    """
    if any(span is not None and span[0] == span[1] for span in (quiet, resends_rest)):
        raise StudyRefused("Quiet hours begin and end at different times.")
    _lock(session, study)
    before = [_clock(getattr(study, name)) for name in _QUIET]
    study.quiet_from, study.quiet_until = quiet or (None, None)
    study.resends_rest_from, study.resends_rest_until = resends_rest or (None, None)
    after = [_clock(getattr(study, name)) for name in _QUIET]
    record(session, actor, Action.STUDY_QUIET_HOURS, study=study, before=before, after=after)


_QUIET = ("quiet_from", "quiet_until", "resends_rest_from", "resends_rest_until")


def _clock(at: time | None) -> str | None:
    return None if at is None else f"{at:%H:%M}"


def set_forest(session: Session, study: Study, is_on: bool, *, actor: Actor) -> None:
    """Switches the pages and tasks of Forest on or off (FOREST-21). Off keeps all results; running tasks go on."""
    _lock(session, study)
    record(session, actor, Action.STUDY_FOREST, study=study, before=study.has_forest, after=is_on)
    study.has_forest = is_on


def set_nightly_forest(session: Session, study: Study, is_on: bool, *, actor: Actor) -> None:
    """Switches the nightly runs of Forest's trees on or off (CLAR-81). They need Forest itself switched on.

    The first night is the next that begins.
    """
    _lock(session, study)
    record(session, actor, Action.STUDY_NIGHTLY_FOREST, study=study, before=study.has_nightly_forest, after=is_on)
    if is_on and not study.has_nightly_forest:
        study.last_night_on = newest_night(study.zone, datetime.now(UTC))  # the first one is the next
    study.has_nightly_forest = is_on


def stop_study(session: Session, study: Study, now: datetime, *, actor: Actor) -> bool:
    """Uploads are no longer kept and no survey is asked, until the study is reopened (PORTAL-90, PORTAL-93).

    What phones send in the first ten minutes is held back, and processed if the study is reopened meanwhile (CLAR-12).
    """
    return _set_stopped(session, study, True, now, actor)


def reopen_study(session: Session, study: Study, now: datetime, *, actor: Actor) -> bool:
    """Takes a stop by hand back (PORTAL-90)."""
    return _set_stopped(session, study, False, now, actor)


def hide_study(session: Session, study: Study, now: datetime, *, actor: Actor) -> bool:
    """Stops the study and takes it out of every list; nothing is deleted (PORTAL-92)."""
    _lock(session, study)
    record(session, actor, Action.STUDY_HIDE, study=study)
    study.hidden_at = study.hidden_at or now
    return update_events_of_study(session, study, now)


def unhide_study(session: Session, study: Study, now: datetime, *, actor: Actor) -> bool:
    """Brings a hidden study back (PORTAL-92)."""
    _lock(session, study)
    record(session, actor, Action.STUDY_UNHIDE, study=study)
    study.hidden_at = None
    return update_events_of_study(session, study, now)


def set_easy_enrollment(session: Session, study: Study, is_on: bool, *, actor: Actor) -> None:
    """Whether phones register with any password (PHONE-35). No event depends on it."""
    _lock(session, study)
    record(session, actor, Action.STUDY_EASY_ENROLLMENT, study=study, after=is_on)
    study.has_easy_enrollment = is_on


def parsed_end_date(text: str) -> date | None:
    """`YYYY-MM-DD`, where a month or day may have one digit (PORTAL-91); empty is None. Raises StudyRefused."""
    if not (text := text.strip()):
        return None
    parts = text.split("-")
    lengths = [len(part) for part in parts]
    if len(parts) != 3 or not text.replace("-", "").isascii() or not all(part.isdigit() for part in parts):
        raise StudyRefused(f"{text}: a date like 2030-01-31 is expected")
    if lengths[0] != 4 or lengths[1] > 2 or lengths[2] > 2:
        raise StudyRefused(f"{text}: a date like 2030-01-31 is expected")
    try:
        return date(*map(int, parts))
    except ValueError:
        raise StudyRefused(f"{text}: there is no such day") from None


def _set_stopped(session: Session, study: Study, is_stopped: bool, now: datetime, actor: Actor) -> bool:
    _lock(session, study)
    record(session, actor, Action.STUDY_STOP if is_stopped else Action.STUDY_REOPEN, study=study)
    if is_stopped != study.is_stopped_by_hand:
        study.stopped_at = now if is_stopped else None
    study.is_stopped_by_hand = is_stopped
    if not is_stopped:
        release_held(session, study)
    return update_events_of_study(session, study, now)


def _lock(session: Session, study: Study) -> None:
    """Locks the row against other changes, not against rows that refer to it, and reads what may have changed."""
    columns = (
        "name",
        "password_minimum_length",
        "password_max_age_days",
        "second_factor_for",
        "survey_expiry_minutes",
        *_QUIET,
        "timezone_name",
        "end_on",
        "is_stopped_by_hand",
        "stopped_at",
        "hidden_at",
        "has_easy_enrollment",
    )
    session.refresh(study, columns, with_for_update={"key_share": True})
