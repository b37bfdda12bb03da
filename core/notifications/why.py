"""Why was this not sent? Every condition of a notification, in the order in which they are looked at."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import (
    Departure,
    EventRebuild,
    MessageState,
    NotificationAttempt,
    Participant,
    Pause,
    PushMessage,
    PushMessageEvent,
    PushToken,
    ScheduledEvent,
    SenderState,
    Study,
    Survey,
    SurveyVersion,
)
from core.models.schedule import SUCCESS, EventState
from core.models.survey import SurveyType
from core.notifications.due import Ended
from core.notifications.rules.quiet_hours import is_quiet
from core.notifications.service_states import configured_services, service_states
from core.surveys.schedules import counts_as
from core.zones import known_zone

SILENT_AFTER = timedelta(minutes=5)


@dataclass(frozen=True)
class Condition:
    """One condition: what must hold, whether it does, and what to do where it does not."""

    name: str
    holds: bool
    explanation: str = ""
    what_to_do: str = ""


def conditions(
    session: Session, participant: Participant, survey: Survey, scheduled_at: datetime, now: datetime
) -> list[Condition]:
    """All conditions under which the survey of that scheduled time is sent to the participant; at most 14 queries."""
    study = session.get_one(Study, participant.study_id)
    return [
        *_of_study(session, study, now),
        *_of_survey(survey, study),
        *_of_participant(session, participant, scheduled_at, now),
        *_of_event(session, participant, survey, study, scheduled_at, now),
        *_of_token(session, participant, study, now),
        *_of_sender(session, now),
    ]


def first_that_fails(listed: list[Condition]) -> Condition | None:
    """The first condition that does not hold; None if all do."""
    return next((each for each in listed if not each.holds), None)


def _of_study(session: Session, study: Study, now: datetime) -> Iterator[Condition]:
    yield Condition("The study is running", not study.is_stopped(now), "It is stopped, over or hidden.", "Reopen it.")
    waits = session.get(EventRebuild, study.id) is not None
    yield Condition(
        "Its events are up to date",
        not waits,
        "A change of the study is still being worked into its events.",
        "Wait some minutes; the deployment rebuild-schedules does it.",
    )


def _of_survey(survey: Survey, study: Study) -> Iterator[Condition]:
    yield Condition("The survey belongs to the study", survey.study_id == study.id, "It is one of another study.")
    is_asked = survey.published_at is not None and survey.deleted_at is None
    yield Condition("The survey is published", is_asked, "It is a draft, or was deleted.", "Publish it.")
    can_show = survey.survey_type in list(SurveyType)
    yield Condition("Phones can show the survey", can_show, f"Its type is {survey.survey_type}.")


def _of_participant(
    session: Session, participant: Participant, scheduled_at: datetime, now: datetime
) -> Iterator[Condition]:
    is_in = participant.retired_at is None and not participant.is_locked_out
    yield Condition("The participant takes part", is_in, "The participant is retired, or data are deleted.")
    departure = session.get(Departure, participant.id)
    has_left = departure is not None and scheduled_at >= departure.ends_at
    yield Condition("The last day is not over", not has_left, "The participant withdrew or completed the study.")
    pauses = session.scalars(sa.select(Pause).where(Pause.participant_id == participant.id)).all()
    is_paused = any(
        pause.starts_at <= at and (pause.ends_at is None or at < pause.ends_at)
        for pause in pauses
        for at in (scheduled_at, now)
    )
    yield Condition("The participant is not paused", not is_paused, "Surveys are paused.", "End the pause.")


def _of_event(
    session: Session, participant: Participant, survey: Survey, study: Study, scheduled_at: datetime, now: datetime
) -> Iterator[Condition]:
    same = (ScheduledEvent.participant_id == participant.id, ScheduledEvent.survey_id == survey.id)
    event = session.scalar(sa.select(ScheduledEvent).where(*same, ScheduledEvent.scheduled_at == scheduled_at).limit(1))
    attempts = session.scalars(
        sa.select(NotificationAttempt)
        .join(SurveyVersion, SurveyVersion.id == NotificationAttempt.survey_version_id)
        .where(
            NotificationAttempt.participant_id == participant.id,
            NotificationAttempt.scheduled_at == scheduled_at,
            SurveyVersion.survey_id == survey.id,
        )
        .order_by(NotificationAttempt.attempted_at)
    ).all()
    is_sent = any(attempt.status == SUCCESS for attempt in attempts)
    yield Condition(
        "The participant is asked at that time",
        event is not None or is_sent,
        "There is no such event: no schedule asks then, the participant is of another arm or has no date of the"
        " intervention, or the event was made after its time.",
        "Look at the survey's schedules, and at the participant's dates and fields.",
    )
    zone = known_zone(participant.timezone_name) or study.zone
    counts_at = counts_as(scheduled_at, study.zone, zone)
    yield Condition(
        "The time has come on the participant's clock",
        counts_at <= now,
        f"It comes at {counts_at:%Y-%m-%d %H:%M} UTC; the phone is taken to be in {zone.key}.",
        "Wait.",
    )
    ended = {attempt.status for attempt in attempts} & {how.value for how in Ended}
    is_expired = Ended.EXPIRED.value in ended or (event is not None and event.state == EventState.EXPIRED.value)
    yield Condition(
        "It was not too late",
        not is_expired,
        "It could not be sent within 24 hours, or while the survey could be answered.",
        "Send the survey by hand.",
    )
    is_answered = Ended.ANSWERED.value in ended
    yield Condition("It was not answered before", not is_answered, "The survey was answered before the push was sent.")
    yield Condition(
        "No message about it is on its way",
        not _is_on_its_way(session, participant, survey, scheduled_at),
        "A message was sent a moment ago, and its answer is not known yet.",
        "Wait two minutes.",
    )
    if is_sent:
        at = next(attempt.attempted_at for attempt in attempts if attempt.status == SUCCESS)
        yield Condition(
            "It was not sent yet", False, f"It was accepted by the push service at {at:%Y-%m-%d %H:%M} UTC."
        )


def _is_on_its_way(session: Session, participant: Participant, survey: Survey, scheduled_at: datetime) -> bool:
    query = sa.exists().where(
        PushMessageEvent.participant_id == participant.id,
        PushMessageEvent.survey_id == survey.id,
        PushMessageEvent.scheduled_at == scheduled_at,
        PushMessage.id == PushMessageEvent.message_id,
        PushMessage.state == MessageState.PENDING.value,
    )
    return bool(session.scalar(sa.select(query)))


def _of_token(session: Session, participant: Participant, study: Study, now: datetime) -> Iterator[Condition]:
    newest = sa.select(PushToken).where(PushToken.participant_id == participant.id).order_by(PushToken.id.desc())
    tokens = session.scalars(newest).all()
    in_use = [token for token in tokens if token.retired_at is None]
    lost = next((token.retired_because for token in tokens if token.retired_because), None)
    yield Condition("The phone's platform is known", participant.os_type is not None, "No phone has registered.")
    yield Condition(
        "The phone has a push token",
        bool(in_use),
        lost or "The phone has sent none, or took it back.",
        "The app sends one when it is opened; notifications must be allowed on the phone.",
    )
    configured = configured_services(session)
    usable = [token for token in in_use if token.service in configured]
    yield Condition(
        "This server has credentials for it",
        bool(usable) or not in_use,
        "No credentials for the token's push service are stored.",
        "A site administrator uploads them.",
    )
    waits = [token for token in usable if token.next_try_at and token.next_try_at > now]
    yield Condition(
        "The token did not fail a moment ago",
        not waits,
        f"{waits[0].failures if waits else 0} tries in a row failed; it is tried again in some minutes.",
        "Wait, and look at the reason in the history.",
    )
    states = service_states(session)
    resting = [s for s, state in states.items() if state.waits_until and state.waits_until > now]
    blocked = [state for state in resting if any(token.service == state for token in usable)]
    reason = states[blocked[0]].reason if blocked else ""
    yield Condition(
        "The push service is reachable and takes the credentials",
        not blocked,
        reason or "",
        "A site administrator looks at the credentials.",
    )
    zone = known_zone(participant.timezone_name) or study.zone
    quiet = is_quiet(now, zone, study.quiet_from, study.quiet_until)
    yield Condition("It is no quiet hour", not quiet, f"It is night in {zone.key}.", "It is sent when they end.")


def _of_sender(session: Session, now: datetime) -> Iterator[Condition]:
    looked_at = session.scalar(sa.select(SenderState.looked_at))
    said = f"It looked last at {looked_at:%Y-%m-%d %H:%M} UTC." if looked_at else "It has never looked."
    is_awake = looked_at is not None and now - looked_at < SILENT_AFTER
    yield Condition("The sender works", is_awake, said, "An operator starts the sender.")
