"""What participants answered: submissions, their answers, and the questions as they were worded (CLAR-56)."""

from datetime import date
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Model
from core.models.columns import At, CreatedAt, Digest, Id, one_of
from core.streams import Platform


class Standing(StrEnum):
    """What a submission is to the survey's events (NOTIF-24, CLAR-51).

    The first within the expiry answers its event; the first after it, and before the next event, is late; others are
    extra. Without any event before it, it is unasked. A duplicate is the same file once more: it counts nowhere.
    """

    ANSWERED = "answered"
    LATE = "late"
    EXTRA = "extra"
    UNASKED = "unasked"
    DUPLICATE = "duplicate"


class Submission(Model):
    """One file of answers, or one recording, of one participant and survey. `path` is the raw file's key.

    `submitted_at` is the time in the file's name, `received_at` that of its upload. `survey_version_id` is the version
    by which the answers were read, null for a survey or version that is not known; `survey_id` is null, too, for a
    survey that is not in the database. `is_new` says that it came from a phone and was read while it was processed, not
    from a store of older files (CLAR-58). `problem` says why the file could not be read, or not wholly; `unreadable`
    counts answers that could not be mapped. `sealed_texts` are the typed answers by place, sealed with the study's key.
    """

    __tablename__ = "submissions"

    id: Mapped[Id]
    path: Mapped[str] = mapped_column(sa.Text, unique=True)
    participant_id: Mapped[int] = mapped_column(sa.ForeignKey("participants.id", ondelete="RESTRICT"))
    survey_id: Mapped[int | None] = mapped_column(sa.ForeignKey("surveys.id", ondelete="RESTRICT"))
    survey_version_id: Mapped[int | None] = mapped_column(
        sa.ForeignKey("survey_versions.id", ondelete="RESTRICT"), index=True
    )
    is_recording: Mapped[bool] = mapped_column(server_default=sa.false())
    submitted_at: Mapped[At]
    received_at: Mapped[At]
    os_type: Mapped[str | None] = mapped_column(sa.Text)
    app_version: Mapped[str] = mapped_column(sa.Text, server_default="")
    is_new: Mapped[bool]
    standing: Mapped[str] = mapped_column(sa.Text, server_default=Standing.UNASKED)
    problem: Mapped[str | None] = mapped_column(sa.Text)
    answered: Mapped[int] = mapped_column(sa.SmallInteger, server_default="0")
    skipped: Mapped[int] = mapped_column(sa.SmallInteger, server_default="0")
    unseen: Mapped[int] = mapped_column(sa.SmallInteger, server_default="0")
    unreadable: Mapped[int] = mapped_column(sa.SmallInteger, server_default="0")
    sealed_texts: Mapped[bytes | None] = mapped_column(sa.LargeBinary, deferred=True)
    written_at: Mapped[CreatedAt]

    __table_args__ = (
        one_of("os_type", Platform),
        one_of("standing", Standing),
        sa.Index(None, "participant_id", "survey_id", "submitted_at"),
        sa.Index(None, "survey_id", "submitted_at", "id"),
        sa.Index("ix_submissions_problem", "survey_id", "id", postgresql_where=sa.text("problem IS NOT NULL")),
    )


class QuestionWording(Model):
    """A question with the texts, options and limits that participants saw; other texts make another wording.

    `number` is the question's within its survey, `revision` counts its wordings; both stay, so that names of variables
    do. `options` are the texts of the answers in order; their indices are what answers hold. `digest` is that of all
    that makes the wording.
    """

    __tablename__ = "question_wordings"

    id: Mapped[Id]
    survey_id: Mapped[int] = mapped_column(sa.ForeignKey("surveys.id", ondelete="RESTRICT"))
    question_id: Mapped[str] = mapped_column(sa.Text)
    number: Mapped[int]
    revision: Mapped[int]
    digest: Mapped[Digest]
    kind: Mapped[str] = mapped_column(sa.Text)
    text: Mapped[str] = mapped_column(sa.Text)
    options: Mapped[list[str]] = mapped_column(JSONB, server_default=sa.text("'[]'"))
    least: Mapped[float | None]
    most: Mapped[float | None]
    field_type: Mapped[str] = mapped_column(sa.Text, server_default="")
    survey_version_id: Mapped[int | None] = mapped_column(
        sa.ForeignKey("survey_versions.id", ondelete="RESTRICT"), index=True
    )
    """The first version with this wording; null where only files have it."""

    __table_args__ = (
        sa.UniqueConstraint("survey_id", "digest"),
        sa.UniqueConstraint("survey_id", "number", "revision"),
    )


class SubmittedAnswer(Model):
    """One row of a submission, by its place in the file. `choices` are indices of options, `number` a number given.

    A typed text is in `Submission.sealed_texts`.
    """

    __tablename__ = "submitted_answers"

    submission_id: Mapped[int] = mapped_column(sa.ForeignKey("submissions.id", ondelete="CASCADE"), primary_key=True)
    place: Mapped[int] = mapped_column(sa.SmallInteger, primary_key=True)
    participant_id: Mapped[int] = mapped_column(sa.ForeignKey("participants.id", ondelete="RESTRICT"), index=True)
    wording_id: Mapped[int] = mapped_column(sa.ForeignKey("question_wordings.id", ondelete="RESTRICT"), index=True)
    state: Mapped[str] = mapped_column(sa.Text)
    number: Mapped[float | None]
    choices: Mapped[list[int] | None] = mapped_column(ARRAY(sa.SmallInteger))

    __table_args__ = (
        sa.CheckConstraint("state IN ('answered', 'skipped', 'unseen', 'unreadable')", name="state"),  # AnswerState
    )


class Tallied(StrEnum):
    """What a tally counts: rows of one state, an option that was chosen, a number that was given."""

    ANSWERED = "answered"
    SKIPPED = "skipped"
    UNSEEN = "unseen"
    UNREADABLE = "unreadable"
    CHOICE = "choice"
    NUMBER = "number"


class AnswerTally(Model):
    """How often a participant gave an answer; `value` is the option's index or the number, and 0 for states."""

    __tablename__ = "answer_tallies"

    wording_id: Mapped[int] = mapped_column(sa.ForeignKey("question_wordings.id", ondelete="CASCADE"), primary_key=True)
    participant_id: Mapped[int] = mapped_column(sa.ForeignKey("participants.id", ondelete="RESTRICT"), primary_key=True)
    tallied: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    value: Mapped[float] = mapped_column(primary_key=True)
    count: Mapped[int]

    __table_args__ = (one_of("tallied", Tallied), sa.Index(None, "participant_id"))


class Outcome(StrEnum):
    """What came of an event that counted (NOTIF-24, CLAR-51). Late and missed ones are not answered."""

    OPEN = "open"
    ANSWERED = "answered"
    LATE = "late"
    MISSED = "missed"


class CountedEvent(Model):
    """An event whose time had come; it stays when its scheduled event is removed (NOTIF-24).

    `counts_at` is when its time came on the participant's clock, `on_day` the date on that clock, `expires_at` the end
    of its time to answer by the expiry of that moment. `submission_id` is the first submission before the next event;
    `answered_at` is when that was submitted. `opened_at` is the first that is known of the participant seeing it.
    """

    __tablename__ = "counted_events"

    id: Mapped[Id]
    participant_id: Mapped[int] = mapped_column(sa.ForeignKey("participants.id", ondelete="RESTRICT"))
    survey_id: Mapped[int] = mapped_column(sa.ForeignKey("surveys.id", ondelete="CASCADE"))
    scheduled_at: Mapped[At]
    counts_at: Mapped[At]
    expires_at: Mapped[At]
    on_day: Mapped[date]
    outcome: Mapped[str] = mapped_column(sa.Text, server_default=Outcome.OPEN)
    opened_at: Mapped[At | None]
    answered_at: Mapped[At | None]
    submission_id: Mapped[int | None] = mapped_column(sa.ForeignKey("submissions.id", ondelete="SET NULL"), index=True)
    minutes: Mapped[int | None] = mapped_column(
        sa.Integer,
        sa.Computed("floor(extract(epoch FROM answered_at - counts_at) / 60)::integer", persisted=True),
    )
    """Whole minutes from the event to its first submission."""

    __table_args__ = (
        one_of("outcome", Outcome),
        sa.UniqueConstraint("participant_id", "survey_id", "scheduled_at"),
        sa.Index(None, "participant_id", "survey_id", "counts_at"),
        sa.Index(None, "survey_id", "on_day"),
        sa.Index("ix_counted_events_open", "expires_at", postgresql_where=sa.text("outcome = 'open'")),
    )
