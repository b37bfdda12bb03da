"""Rules of alerts on answers, whom they tell, and the alerts that were raised (CLAR-58)."""

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Model, SealedText
from core.models.columns import At, CreatedAt, Id, one_of


class Comparison(StrEnum):
    """How an answer is compared: a number with a value, a choice with the answers that match."""

    ABOVE = "above"
    AT_LEAST = "at least"
    BELOW = "below"
    AT_MOST = "at most"
    EQUAL = "equal"
    ANY_OF = "any of"


class AlertRule(Model):
    """Which answer to which question of a survey raises an alert.

    `options` are the texts of the answers that match, for choices, and `others` those that do not, both as they were
    when the rule was saved: an answer in neither list was edited since, and matches, so that nobody is overlooked.
    `effective_from` is when the rule was made: submissions that were uploaded before are only listed. Nobody having
    acknowledged after `escalates_after_minutes`, others are told; null: never. A rule is never deleted, since its
    alerts stay: `removed_at`.
    """

    __tablename__ = "alert_rules"

    id: Mapped[Id]
    study_id: Mapped[int] = mapped_column(sa.ForeignKey("studies.id", ondelete="RESTRICT"))
    survey_id: Mapped[int] = mapped_column(sa.ForeignKey("surveys.id", ondelete="RESTRICT"))
    question_id: Mapped[str] = mapped_column(sa.Text)
    comparison: Mapped[str] = mapped_column(sa.Text)
    value: Mapped[float | None]
    options: Mapped[list[str]] = mapped_column(ARRAY(sa.Text), server_default="{}")
    others: Mapped[list[str]] = mapped_column(ARRAY(sa.Text), server_default="{}")
    escalates_after_minutes: Mapped[int | None]
    webhook_address: Mapped[str | None] = mapped_column(SealedText("alert_rules.webhook_address"))
    webhook_key: Mapped[str | None] = mapped_column(SealedText("alert_rules.webhook_key"))
    effective_from: Mapped[At]
    created_at: Mapped[CreatedAt]
    removed_at: Mapped[At | None]

    __table_args__ = (
        one_of("comparison", Comparison),
        sa.CheckConstraint("(comparison = 'any of') = (value IS NULL)", name="value"),
        sa.CheckConstraint("escalates_after_minutes BETWEEN 5 AND 10080", name="escalates_after_minutes"),
        sa.Index(None, "study_id"),
        sa.Index("ix_alert_rules_active", "survey_id", postgresql_where=sa.text("removed_at IS NULL")),
    )


class AlertRecipient(Model):
    """Who is told of the alerts of a rule: at once, or, with `is_escalation`, when nobody has acknowledged."""

    __tablename__ = "alert_recipients"

    rule_id: Mapped[int] = mapped_column(sa.ForeignKey("alert_rules.id", ondelete="CASCADE"), primary_key=True)
    researcher_id: Mapped[int] = mapped_column(
        sa.ForeignKey("researchers.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    is_escalation: Mapped[bool] = mapped_column(primary_key=True)


class AnswerAlert(Model):
    """A submission that matched a rule; at most one for each pair.

    `is_listed_only`: it was uploaded before the rule was made, or did not come from a phone just then, so nobody is
    told. `is_unsure`: the answer could not be read, or its text was edited since the rule was saved. `told_at` is when
    messages to the recipients were written, `untold` says of whom there was none and why. `note` is what the person
    wrote who acknowledged it.
    """

    __tablename__ = "answer_alerts"

    id: Mapped[Id]
    rule_id: Mapped[int] = mapped_column(sa.ForeignKey("alert_rules.id", ondelete="RESTRICT"))
    study_id: Mapped[int] = mapped_column(sa.ForeignKey("studies.id", ondelete="RESTRICT"))
    participant_id: Mapped[int] = mapped_column(sa.ForeignKey("participants.id", ondelete="RESTRICT"))
    submission_id: Mapped[int | None] = mapped_column(sa.ForeignKey("submissions.id", ondelete="SET NULL"))
    raised_at: Mapped[At]
    is_listed_only: Mapped[bool]
    is_unsure: Mapped[bool]
    told_at: Mapped[At | None]
    untold: Mapped[str | None] = mapped_column(sa.Text)
    escalated_at: Mapped[At | None]
    acknowledged_at: Mapped[At | None]
    acknowledged_by: Mapped[str | None] = mapped_column(sa.Text)
    note: Mapped[str | None] = mapped_column(sa.Text)

    __table_args__ = (
        sa.UniqueConstraint("rule_id", "submission_id"),
        sa.Index(None, "study_id", "raised_at", "id"),
        sa.Index(None, "participant_id"),
        sa.Index(None, "submission_id"),
        sa.Index(
            "ix_answer_alerts_open",
            "study_id",
            postgresql_where=sa.text("acknowledged_at IS NULL AND NOT is_listed_only"),
        ),
        sa.Index("ix_answer_alerts_untold", "id", postgresql_where=sa.text("told_at IS NULL AND NOT is_listed_only")),
    )


class AlertSeen(Model):
    """Who has opened an alert, and when first."""

    __tablename__ = "alerts_seen"

    alert_id: Mapped[int] = mapped_column(sa.ForeignKey("answer_alerts.id", ondelete="CASCADE"), primary_key=True)
    researcher_id: Mapped[int] = mapped_column(
        sa.ForeignKey("researchers.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    seen_at: Mapped[At]
