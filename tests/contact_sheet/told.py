"""Alerts on answers, and notifications that were sent, for the pictures."""

import json
import random
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr

from core.answer_alerts.managing import RuleForm, acknowledge, note_seen, save_rule, watchable
from core.answer_alerts.raising import raise_alerts
from core.answer_alerts.telling import tell_of_alerts
from core.audit import actor_of
from core.config import load_settings
from core.database import db
from core.models import (
    AnswerAlert,
    Comparison,
    CredentialKind,
    Export,
    ForestTask,
    NotificationAttempt,
    OutgoingMessage,
    Participant,
    PushMessage,
    PushToken,
    Researcher,
    ScheduledEvent,
    Study,
    Submission,
    Survey,
    SurveyVersion,
)
from core.notifications.credentials import store_credential
from core.streams import DataStream
from core.webhooks.managing import WebhookForm, save_webhook, send_test
from core.webhooks.raising import note_processed_data
from core.webhooks.telling import tell_of_events
from tests.support.answering import CONTENT
from tests.support.fakes.google import FakeGoogle

NUMBERED = {"mood": 0, "energy": 2}


def alerts_of(study: Study, survey: Survey, now: datetime) -> dict[str, int]:
    """Two rules, and alerts in all states; gives the number of the newest open one, and of a rule."""
    session = db.session()
    nurse, chief = session.scalars(sa.select(Researcher).order_by(Researcher.id).limit(2)).all()
    nurse.mail_address, chief.mail_address = "mlopez@example.org", "rkim@example.org"
    questions = {each.id: each for each in watchable(CONTENT)}
    forms = {
        "mood": RuleForm(
            Comparison.ANY_OF,
            options=["bad"],
            recipients=[nurse.id],
            escalation=[chief.id],
            escalates_after_minutes=60,
            webhook_address="https://hooks.example.org/beiwe?who=a-secret",
        ),
        "energy": RuleForm(Comparison.BELOW, value=1.0, recipients=[nurse.id, chief.id]),
    }
    for question, form in forms.items():
        rule, _ = save_rule(
            session, study, survey, questions[question], form, now - timedelta(days=30), actor=actor_of(chief)
        )
    query = sa.select(Submission.id).where(Submission.survey_id == survey.id).order_by(Submission.id.desc())
    numbers = list(session.scalars(query))
    session.execute(sa.delete(AnswerAlert))  # a new rule lists all earlier matches; here they come in while it is there
    raise_alerts(session, numbers[:30], is_new=True)
    raise_alerts(session, numbers[30:], is_new=False)
    tell_of_alerts(session, load_settings(mail_url=SecretStr("smtp://127.0.0.1")), now)
    raised = sa.select(AnswerAlert).where(AnswerAlert.is_listed_only.is_(False))
    found = session.scalars(raised.order_by(AnswerAlert.rule_id.desc(), AnswerAlert.id)).all()  # the last rule's first
    for alert in found[:2]:
        acknowledge(session, alert, "Called at noon. She sees her doctor today.", now, actor=actor_of(nurse))
    newest = session.scalars(
        sa.select(AnswerAlert)
        .where(AnswerAlert.acknowledged_at.is_(None), AnswerAlert.is_listed_only.is_(False))
        .where(AnswerAlert.rule_id != rule.id)
        .order_by(AnswerAlert.raised_at.desc())
    ).first()
    assert newest is not None
    note_seen(session, newest, nurse.id, now)
    newest.untold = "rkim: no mail address in the account"
    states: list[dict[str, Any]] = [
        {"delivered_at": now, "next_try_at": None, "tries": 1},
        {"tries": 3, "problem": "The address answered 503.", "next_try_at": now + timedelta(minutes=1)},
    ]
    messages = session.scalars(sa.select(OutgoingMessage).filter_by(answer_alert_id=newest.id)).all()
    for message, state in zip(messages, states, strict=False):
        for name, value in state.items():
            setattr(message, name, value)
    session.commit()
    return {"alert": newest.id, "rule": rule.id}


def forest_tasks(study: Study, now: datetime) -> dict[str, str]:
    """Tasks of Forest in all states; gives the id of one that is done."""
    session = db.session()
    study.has_forest = True
    query = sa.select(Participant).where(Participant.study_id == study.id).order_by(Participant.id).limit(5)
    last = now.date() - timedelta(days=1)
    states: list[dict[str, Any]] = [
        {"state": "success", "ended_at": now, "days_written": 14, "peak_memory_bytes": 2_900_000_000},
        {"state": "error", "ended_at": now, "reason": "It did not end within 7,200 seconds and was stopped."},
        {"state": "running", "claimed_until": now + timedelta(hours=9), "progress": "fetching data: 312 files"},
        {"state": "cancelled", "ended_at": now},
        {"state": "queued"},
    ]
    report = "participant      abcdefgh\ntree             oak\nlibrary          beiwe-forest 1.0\n"
    tasks = []
    for number, (person, state) in enumerate(zip(session.scalars(query), states, strict=False)):
        begun = state["state"] not in ("queued", "cancelled")
        times = (
            {
                "started_at": now - timedelta(minutes=9),
                "data_ready_at": now - timedelta(minutes=7),
                "input_files": 312,
                "input_bytes": 88_000_000,
            }
            if begun
            else {}
        )
        tree = ("oak", "jasmine", "oak", "sycamore", "willow")[number]
        days = {"start_on": last - timedelta(days=13), "end_on": last}
        of = {
            "study_id": study.id,
            "participant_id": person.id,
            "asked_by": "mlopez",
            "report": report if begun else None,
        }
        tasks.append(
            ForestTask(tree=tree, library_version="1.0", zone=study.timezone_name, **days, **of, **times, **state)
        )
    session.add_all(tasks)
    for back, of_night in ((1, states[:2] * 4), (2, states[:1] * 8)):
        for number, (person, state) in enumerate(zip([*session.scalars(query)] * 2, of_night, strict=False)):
            of = {"study_id": study.id, "participant_id": person.id, "is_nightly": True}
            days = {"start_on": last - timedelta(days=back), "end_on": last - timedelta(days=back)}
            night = now - timedelta(days=back)
            written = {"days_written": 1} if state["state"] == "success" else {}
            tree = ("jasmine", "oak", "willow", "sycamore")[number % 4]
            session.add(ForestTask(tree=tree, created_at=night, **of, **days, **(state | written)))
    session.commit()
    return {"task": str(tasks[0].external_id)}


def exports_of(study: Study, now: datetime) -> None:
    """Exports in all states."""
    session = db.session()
    asked = {"study_id": study.id, "asked_by": "mlopez", "choice": {"streams": ["gps", "wifi"]}}
    done = {"part_bytes": 4_000_000, "sha256": b"s" * 32, "has_objects": True, "ended_at": now}
    states: list[dict[str, Any]] = [
        {"state": "done", "size_bytes": 1_840_000_000, "expires_at": now + timedelta(days=7), **done},
        {"state": "failed", "reason": "The object store did not answer. Nothing is lost: run it again."},
        {"state": "running", "files_total": 4_120, "files_done": 1_730, "bytes_done": 640_000_000, "moved_at": now},
        {"state": "queued"},
    ]
    for number, state in enumerate(states):
        form, created_at = ("csv", "parquet")[number % 2], now - timedelta(hours=9 - number)
        name = f"{study.name} {now:%Y-%m-%d} {form}.zip"
        session.add(Export(kind="streams", form=form, file_name=name, created_at=created_at, **asked, **state))
    session.commit()


def webhooks_with_log(study: Study, survey: Survey, now: datetime) -> dict[str, int]:
    """A webhook that fails with messages in all states, and one that was switched off; gives the first's number."""
    session = db.session()
    actor = actor_of(session.scalars(sa.select(Researcher).order_by(Researcher.id)).first())  # type: ignore[arg-type]
    events = ["data.processed", "answer.arrived", "participant.silent"]
    form = WebhookForm("Data warehouse", "https://hooks.example.org/beiwe?who=a-secret", events, [survey.id])
    webhook = save_webhook(session, study, form, now - timedelta(days=30), actor=actor)
    form = WebhookForm("Dashboard of the clinic", "https://dashboard.example.org/", events[2:])
    off = save_webhook(session, study, form, now - timedelta(days=30), actor=actor)
    off.is_on, off.off_since = False, now - timedelta(hours=9)
    off.off_because = "Nothing has arrived since 2026-03-01 08:00 UTC. The address answered 503."
    webhook.failing_since, webhook.rests_until = now - timedelta(hours=2), now + timedelta(minutes=20)
    session.flush()
    query = sa.select(Participant).where(Participant.study_id == study.id).order_by(Participant.id)
    for person in session.scalars(query.limit(4)):
        note_processed_data(session, person, [(DataStream.GPS, now), (DataStream.ACCELEROMETER, now)])
    tell_of_events(session, load_settings(), now)
    send_test(session, study, webhook, now, actor=actor)
    failed = {"tries": 5, "problem": "The address answered 503."}
    states: list[dict[str, Any]] = [
        {"delivered_at": now, "next_try_at": None, "tries": 1},
        {"given_up_at": now, "next_try_at": None, **failed},
        {"next_try_at": now + timedelta(minutes=20), **failed},
    ]
    messages = session.scalars(sa.select(OutgoingMessage).filter_by(webhook_id=webhook.id)).all()
    for message, state in zip(messages, states, strict=False):
        for name, value in state.items():
            setattr(message, name, value)
    session.commit()
    return {"webhook": webhook.id}


def notifications_of(study: Study, survey: Survey, now: datetime) -> None:
    """A week of messages that were accepted, refused, and to phones that are gone; what comes today; credentials."""
    session, chance = db.session(), random.Random(2)
    store_credential(
        session,
        CredentialKind.BACKEND,
        json.dumps(FakeGoogle("https://oauth.example.org").service_account).encode(),
        now - timedelta(days=9),
        actor=actor_of(session.scalars(sa.select(Researcher)).first()),  # type: ignore[arg-type]
    )
    version = session.scalars(sa.select(SurveyVersion.id).filter_by(survey_id=survey.id)).first()
    query = sa.select(Participant).where(Participant.study_id == study.id, Participant.os_type.is_not(None))
    for person in session.scalars(query.order_by(Participant.id).limit(24)):
        is_android = person.os_type == "ANDROID"
        service = "fcm"
        token = PushToken(participant_id=person.id, service=service, token=f"t{person.id}")
        session.add(token)
        session.flush()
        for day in range(7):
            at = now - timedelta(days=day, hours=2)
            is_lost = chance.random() < 0.08
            session.add(
                PushMessage(
                    participant_id=person.id,
                    token_id=token.id,
                    service=service,
                    platform="ANDROID" if is_android else "IOS",
                    kind="surveys",
                    state="failed" if is_lost else "accepted",
                    nonce="",
                    app_version="3.7.1" if is_android else "2024.28",
                    due_at=at,
                    written_at=at + timedelta(seconds=3),
                    settled_at=at + timedelta(seconds=4),
                    expires_at=at + timedelta(hours=12),
                    fate="token" if is_lost else "accepted",
                    reason="UNREGISTERED" if is_lost else None,
                )
            )
            of = {"survey_version_id": version, "participant_id": person.id, "scheduled_at": at, "attempted_at": at}
            status = "UNREGISTERED: the app was removed" if is_lost else "success"
            session.add(NotificationAttempt(**of, kind="weekly", status=status))
        for hours in (-26, 3, 9):
            at = now + timedelta(hours=hours)
            session.add(ScheduledEvent(survey_id=survey.id, participant_id=person.id, scheduled_at=at))
    session.commit()
