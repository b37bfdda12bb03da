"""A study of two sites, whose other site is recognisable in every answer (PERM-95)."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from core.access import Role, SiteLimit
from core.accounts.roles import set_role
from core.audit import SERVER, actor_of, record
from core.audit.access_log import record_access
from core.database import db
from core.models import (
    AccessKind,
    AlertRule,
    AnswerAlert,
    AnswerTally,
    AppVersion,
    BulkEdit,
    BulkEditRow,
    Chunk,
    Comparison,
    ConsentSent,
    ConsentVersion,
    CountedEvent,
    CustomField,
    Departure,
    DepartureKind,
    EventKind,
    Export,
    ExportParticipant,
    FieldValue,
    ForestDay,
    ForestState,
    ForestTask,
    Intervention,
    Note,
    Outcome,
    Participant,
    ParticipantActivity,
    ParticipantBatch,
    ParticipantEvent,
    Pause,
    ProblemUpload,
    ProcessedHour,
    QuestionWording,
    QueuedUpload,
    RefusedUpload,
    Researcher,
    Standing,
    Study,
    Submission,
    SubmittedAnswer,
    Tallied,
    UploadRecord,
)
from core.models.audit_record import Action
from core.outgoing.queueing import queue_mail
from core.streams import SPECS, DataStream
from core.streams.paths import registered_path
from tests.support.factories import Factory

NORTH, SOUTH = "Northern clinic", "Zsouthern clinic"
OTHERS = 13
SIZE = 77_777_713
SECRET = re.compile(r"zs[a-m]outh1|zsnobod1|zsouth|77[.,]?777|77\.8 ?MB|74\.2", re.IGNORECASE)
"""What names a participant of the other site, its texts, or the size of its files."""


class TwoSites:
    """A study with three participants in the north, and thirteen elsewhere once `fill_the_others` was called."""

    def __init__(self, factory: Factory) -> None:
        self.factory = factory
        self.study: Study = factory.study("Two sites")
        self.site = CustomField(study_id=self.study.id, name="Clinic")
        self.group = CustomField(study_id=self.study.id, name="Group")
        db.session.add_all([self.site, self.group])
        db.session.commit()
        self.survey = factory.survey(self.study)
        self.rule = self._rule()
        self.alerts: dict[str, list[int]] = {}
        self.wording = QuestionWording(
            survey_id=self.survey.id,
            question_id="mood",
            number=1,
            revision=1,
            digest=b"d" * 32,
            kind="radio_button",
            text="Mood?",
            options=["bad", "good"],
        )
        db.session.add(self.wording)
        db.session.commit()
        self.baseline: Intervention = factory.intervention(self.study)
        self.admin = factory.researcher("theadmin", study=self.study, role=Role.STUDY_ADMIN)
        self.north = [self._person(f"north{n}11", NORTH, "northern", 1_013) for n in (1, 2, 3)]
        self.south: list[Participant] = []

    def limited(self, role: Role, *values: str, **more: Any) -> Researcher:
        """A new researcher whose role is limited to the values, the north by default."""
        person = self.factory.researcher()
        self.limit(person, role, *values, **more)
        return person

    def limit(self, person: Researcher, role: Role, *values: str, may_change_study: bool = False) -> None:
        limit = SiteLimit(self.site.id, values or (NORTH,), may_change_study)
        set_role(db.session(), self.study, person, role, limit=limit, actor=SERVER)
        db.session.commit()

    def fill_the_others(self, authors: Sequence[Researcher] = ()) -> None:
        """Adds twelve participants of the south and one without a site, with data of every kind."""
        for n in range(OTHERS - 1):
            self.south.append(self._person(f"zs{'abcdefghijklm'[n]}outh1", SOUTH, "zsouthern", SIZE))
        self.south.append(self._person("zsnobod1", None, "zsouthern", SIZE))
        batch = self._batch()
        for author in authors:
            edit = BulkEdit(
                study_id=self.study.id, author_id=author.id, author_name=author.username, summary="zsouthern edit"
            )
            db.session.add(edit)
            db.session.flush()
            row = {"participant_id": self.south[0].id, "before": {f"field:{self.group.id}": None}}
            db.session.add(BulkEditRow(bulk_edit_id=edit.id, after={f"field:{self.group.id}": "zsouthern"}, **row))
        self._export()
        hour = {"files": 777, "size_bytes": SIZE, "rows_kept": 77_777, "last_at": datetime.now(UTC)}
        now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        db.session.add(ProcessedHour(study_id=self.study.id, hour=now, **hour))
        ids = [person.patient_id for person in self.south]
        record_access(db.session(), SERVER, AccessKind.DATA, self.study, participants=OTHERS, patient_ids=ids)
        record(db.session(), actor_of(self.admin), Action.PARTICIPANT_BULK_RETIRE, study=self.study, count=OTHERS)
        db.session.commit()
        self.batch_id = batch.id

    def _export(self) -> None:
        """An export of everybody, which names one participant and has a site's name in its own."""
        about = {"study_id": self.study.id, "asked_by": "theadmin", "kind": "streams", "form": "csv"}
        choice = {"patient_ids": [self.south[0].patient_id]}
        export = Export(file_name="zsouthern export.zip", state="failed", reason="zsouthern", choice=choice, **about)
        db.session.add(export)
        db.session.flush()
        db.session.add(ExportParticipant(export_id=export.id, participant_id=self.south[0].id))

    def _batch(self) -> ParticipantBatch:
        batch = ParticipantBatch(study_id=self.study.id, name="zsouthern batch", wanted=7, made=7, state="done")
        db.session.add(batch)
        db.session.flush()
        for person in self.south[:7]:
            person.batch_id = batch.id
        return batch

    def _person(self, patient_id: str, site: str | None, word: str, size: int) -> Participant:
        study, now = self.study, datetime.now(UTC)
        person = self.factory.participant(study, patient_id, external_id=f"{word}-{patient_id}")
        if site:
            db.session.add(FieldValue(participant_id=person.id, field_id=self.site.id, value=site))
        db.session.add(FieldValue(participant_id=person.id, field_id=self.group.id, value=f"{word} group"))
        self.factory.intervention_date(person, self.baseline, date(2026, 1, 2))
        lately, hour = now - timedelta(hours=3), datetime(2026, 3, 1, 5, tzinfo=UTC)
        db.session.execute(
            sa.update(ParticipantActivity)
            .filter_by(participant_id=person.id)
            .values(last_upload_at=lately, first_registered_at=lately, last_version_name=f"{word}-app")
        )
        number, acceleration = (SPECS[s].number for s in (DataStream.SURVEY_ANSWERS, DataStream.ACCELEROMETER))
        of = {"participant_id": person.id}
        path = registered_path(study.object_id, patient_id, None, DataStream.ACCELEROMETER, hour, None)
        self.factory.store(study).create(path, f"{word} rows".encode())
        version = db.session.scalars(sa.select(ConsentVersion).filter_by(study_id=study.id)).first()
        assert version is not None
        common = {"size_bytes": size, "received_at": lately}
        waiting = {"study_id": study.id, "next_try_at": now + timedelta(days=9), **of, **common}
        db.session.add_all(
            [
                UploadRecord(path=f"{patient_id}/a", stream=number, **of, **common),
                UploadRecord(path=f"{patient_id}/b", stream=1, **of, **common),
                Chunk(study_id=study.id, stream=acceleration, time_bin=hour, size_bytes=size, md5=b"m" * 16, **of),
                ProblemUpload(received_name=f"{word}.csv", object_path=f"p/{patient_id}", reason=word, **of, **common),
                QueuedUpload(path=f"{patient_id}/waits", **waiting),
                QueuedUpload(path=f"{patient_id}/failed", state="failed", reason=f"{word} failed", **waiting),
                RefusedUpload(file_name=f"{word}.csv", reason="too large", status=413, size_bytes=size, **of),
                Note(author_name="theadmin", text=f"{word} note", **of),
                Pause(starts_at=lately, made_by="theadmin", **of),
                Departure(
                    kind=DepartureKind.COMPLETED.value,
                    left_on=now.date(),
                    ends_at=now + timedelta(days=1),
                    retire_at=now + timedelta(days=9),
                    recorded_by="theadmin",
                    **of,
                ),
                ConsentSent(consent_version_id=version.id, sent_at=lately, **of),
                AppVersion(at=lately, os_type="ANDROID", version_name=f"{word}-app", **of),
                ParticipantEvent(at=lately, kind=next(iter(EventKind)).value, detail={}, **of),
            ]
        )
        self._forest(person, word, size, now)
        self._answers(person, word, lately.replace(minute=0, second=0, microsecond=0))
        record(db.session(), actor_of(self.admin), Action.PARTICIPANT_FIELDS, study=study, participant=person)
        self._raise_alerts(person, word, lately)
        db.session.commit()
        return person

    def _forest(self, person: Participant, word: str, size: int, now: datetime) -> None:
        """A task that failed, and the measures and the state of one that did not."""
        of = {"participant_id": person.id, "study_id": self.study.id}
        days = {"tree": "oak", "start_on": date(2026, 3, 1), "end_on": date(2026, 3, 2), **of}
        failed = ForestTask(state="error", reason=f"{word} reason", input_bytes=size, created_at=now, **days)
        done = ForestTask(state="success", output_path=f"{word}/out.zip", report=f"{word} report", **days)
        db.session.add_all([failed, done])
        db.session.flush()
        db.session.add(ForestDay(day=date(2026, 3, 1), oak_steps=size, oak_task_id=done.id, **of))
        db.session.add(
            ForestState(
                participant_id=person.id,
                up_to=date(2026, 3, 2),
                path=f"{word}.npz",
                library_version="1.0",
                task_id=done.id,
            )
        )

    def _rule(self) -> AlertRule:
        rule = AlertRule(
            study_id=self.study.id,
            survey_id=self.survey.id,
            question_id="mood",
            comparison=Comparison.BELOW,
            value=1.0,
            effective_from=datetime(2026, 1, 1, tzinfo=UTC),
        )
        db.session.add(rule)
        db.session.commit()
        return rule

    def _raise_alerts(self, person: Participant, word: str, at: datetime) -> None:
        """An open alert, one that was acknowledged, and an older match, with a mail about each."""
        states: list[dict[str, Any]] = [
            {"is_listed_only": False},
            {"is_listed_only": False, "acknowledged_at": at, "acknowledged_by": "theadmin", "note": f"{word} note"},
            {"is_listed_only": True},
        ]
        for number, state in enumerate(states):
            of = {"participant_id": person.id}
            submission = Submission(
                path=f"{person.patient_id}/alert{number}",
                survey_id=self.survey.id,
                is_recording=False,
                submitted_at=at - timedelta(minutes=number),
                received_at=at,
                is_new=True,
                standing=Standing.UNASKED.value,
                **of,
            )
            db.session.add(submission)
            db.session.flush()
            about = {"rule_id": self.rule.id, "study_id": self.study.id, "submission_id": submission.id, **of}
            alert = AnswerAlert(raised_at=at, is_unsure=False, told_at=at, untold=f"{word}: nobody", **about, **state)
            db.session.add(alert)
            db.session.flush()
            self.alerts.setdefault(word, []).append(alert.id)
            more = {"answer_alert_id": alert.id, "study_id": self.study.id}
            queue_mail(db.session(), f"{word}@x.example", word, word, about=f"answer alert {alert.id}", now=at, **more)

    def _answers(self, person: Participant, word: str, at: datetime) -> None:
        """An answered event, with its submission, and a missed one."""
        of = {"participant_id": person.id, "survey_id": self.survey.id}
        one = Submission(
            path=f"{self.study.object_id}/{person.patient_id}/surveyAnswers/1.csv",
            submitted_at=at,
            received_at=at,
            is_new=True,
            standing=Standing.ANSWERED.value,
            answered=1,
            app_version=f"{word}-app",
            problem=f"{word} problem",
            **of,
        )
        db.session.add(one)
        db.session.flush()
        for days, outcome in ((0, Outcome.ANSWERED), (1, Outcome.MISSED)):
            asked = at - timedelta(days=days)
            answer = {"answered_at": at, "submission_id": one.id} if outcome is Outcome.ANSWERED else {}
            times = {"scheduled_at": asked, "counts_at": asked, "expires_at": asked + timedelta(days=1)}
            db.session.add(CountedEvent(on_day=asked.date(), outcome=outcome.value, **times, **answer, **of))
        of = {"participant_id": person.id, "wording_id": self.wording.id}
        db.session.add(SubmittedAnswer(submission_id=one.id, place=0, state="answered", choices=[1], **of))
        for tallied, value in ((Tallied.ANSWERED, 0), (Tallied.CHOICE, 1)):
            db.session.add(AnswerTally(tallied=tallied.value, value=value, count=1, **of))
