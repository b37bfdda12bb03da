"""Changing the app settings of a study, in one function (SURVEY-42)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.audit import Actor, record
from core.limits import seen_whole
from core.models import AppSettings, AppSettingsVersion, Participant, ScheduledEvent, Study
from core.models.audit_record import Action
from core.studies.app_settings import setting_problem
from core.studies.creating import apply_app_settings
from core.studies.settings_versions import add_settings_version, all_sections, newest_version, values_of


def setting_problems(values: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with each of the values, by the setting's name, in a sentence that does not repeat the name."""
    problems = {}
    for name, value in values.items():
        if problem := setting_problem(name, value):
            reason = problem.removeprefix(f"{name}: ")
            problems[name] = f"{reason[0].upper()}{reason[1:]}."
    return problems


RESENDS = "resend_period_minutes"


class SettingsOvertaken(Exception):
    """The settings changed after the form was opened; `newest` is the version that holds now."""

    def __init__(self, newest: AppSettingsVersion) -> None:
        super().__init__(f"{newest.author_name} changed the settings at {newest.at:%Y-%m-%d %H:%M} UTC")
        self.newest = newest


def save_app_settings(
    session: Session,
    study: Study,
    values: Mapping[str, Any],
    now: datetime,
    *,
    actor: Actor,
    based_on: int | None = None,
) -> list[str]:
    """Changes the given settings and returns the names of those that differed, in the order of PHONE-40.

    `values` maps names of SURVEY-50 to values; settings that are not named stay. Consent sections replace all eight.
    Nothing is written where nothing differs. Phones get the new values at their next request for settings, within
    half an hour (PHONE-14). `based_on` is the number of the version that the author has seen. The caller commits.
    Raises StudyRefused, which names each value that is not allowed; SettingsOvertaken if there is a newer version.
    """
    settings = session.scalars(
        sa.select(AppSettings)
        .where(AppSettings.study_id == study.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    newest = newest_version(session, study.id)
    if based_on is not None and newest and newest.id != based_on:
        raise SettingsOvertaken(newest)
    before = values_of(settings)
    wanted = dict(values)
    apply_app_settings(settings, wanted)  # checks all of them before it sets any
    if "consent_sections" in wanted:
        settings.consent_sections = all_sections(wanted["consent_sections"])
    after = values_of(settings)
    changed = [name for name in after if after[name] != before[name]]
    if not changed:
        session.expire(settings)
        return []
    if before[RESENDS] == 0 and after[RESENDS] > 0:
        _never_resend_the_past(session, study, now)
    add_settings_version(session, study, after, changed, now, actor.name)
    told = [name for name in changed if isinstance(after[name], int)]  # switches too; texts stay out of the trail
    record(
        session,
        actor,
        Action.STUDY_APP_SETTINGS,
        study=study,
        settings=changed,
        before={name: before[name] for name in told},
        after={name: after[name] for name in told},
    )
    session.flush()
    return changed


def _never_resend_the_past(session: Session, study: Study, now: datetime) -> None:
    """Marks the study's past events, of all its participants, so that switching resends on floods nobody (NOTIF-51)."""
    session.flush()
    with seen_whole(session):
        theirs = ScheduledEvent.participant_id.in_(sa.select(Participant.id).where(Participant.study_id == study.id))
        past = sa.update(ScheduledEvent).where(theirs, ScheduledEvent.scheduled_at <= now)
        session.execute(past.values(is_never_resent=True), execution_options={"synchronize_session": False})
