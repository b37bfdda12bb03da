"""submissions with their answers, wordings of questions, tallies, events that counted, scores

Revision ID: 0026
Revises: 0025
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

AT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "scores",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("survey_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("variable", sa.Text(), nullable=False),
        sa.Column("created_at", AT, server_default=sa.text("now()"), nullable=False),
        sa.Column("removed_at", AT, nullable=True),
        sa.CheckConstraint("variable ~ '^[a-z][a-z0-9_]{0,30}$'", name=op.f("ck_scores_variable")),
        sa.ForeignKeyConstraint(
            ["survey_id"], ["surveys.id"], name=op.f("fk_scores_survey_id_surveys"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scores")),
        sa.UniqueConstraint("survey_id", "variable", name=op.f("uq_scores_survey_id_variable")),
    )
    op.create_table(
        "question_wordings",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("survey_id", sa.BigInteger(), nullable=False),
        sa.Column("question_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("options", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("least", sa.Float(), nullable=True),
        sa.Column("most", sa.Float(), nullable=True),
        sa.Column("field_type", sa.Text(), server_default="", nullable=False),
        sa.Column("survey_version_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["survey_id"], ["surveys.id"], name=op.f("fk_question_wordings_survey_id_surveys"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["survey_version_id"],
            ["survey_versions.id"],
            name=op.f("fk_question_wordings_survey_version_id_survey_versions"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_question_wordings")),
        sa.UniqueConstraint("survey_id", "digest", name=op.f("uq_question_wordings_survey_id_digest")),
        sa.UniqueConstraint(
            "survey_id", "number", "revision", name=op.f("uq_question_wordings_survey_id_number_revision")
        ),
    )
    op.create_index(
        op.f("ix_question_wordings_survey_version_id"), "question_wordings", ["survey_version_id"], unique=False
    )
    op.create_table(
        "score_versions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("score_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("definition", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("made_at", AT, server_default=sa.text("now()"), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["score_id"], ["scores.id"], name=op.f("fk_score_versions_score_id_scores"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_score_versions")),
        sa.UniqueConstraint("score_id", "number", name=op.f("uq_score_versions_score_id_number")),
    )
    op.create_table(
        "submissions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("participant_id", sa.BigInteger(), nullable=False),
        sa.Column("survey_id", sa.BigInteger(), nullable=True),
        sa.Column("survey_version_id", sa.BigInteger(), nullable=True),
        sa.Column("is_recording", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("submitted_at", AT, nullable=False),
        sa.Column("received_at", AT, nullable=False),
        sa.Column("os_type", sa.Text(), nullable=True),
        sa.Column("app_version", sa.Text(), server_default="", nullable=False),
        sa.Column("is_new", sa.Boolean(), nullable=False),
        sa.Column("standing", sa.Text(), server_default="unasked", nullable=False),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("answered", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("skipped", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("unseen", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("unreadable", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("sealed_texts", sa.LargeBinary(), nullable=True),
        sa.Column("written_at", AT, server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("os_type IN ('ANDROID', 'IOS')", name=op.f("ck_submissions_os_type")),
        sa.CheckConstraint(
            "standing IN ('answered', 'late', 'extra', 'unasked', 'duplicate')", name=op.f("ck_submissions_standing")
        ),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["participants.id"],
            name=op.f("fk_submissions_participant_id_participants"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["survey_id"], ["surveys.id"], name=op.f("fk_submissions_survey_id_surveys"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["survey_version_id"],
            ["survey_versions.id"],
            name=op.f("fk_submissions_survey_version_id_survey_versions"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_submissions")),
        sa.UniqueConstraint("path", name=op.f("uq_submissions_path")),
    )
    op.create_index(
        op.f("ix_submissions_participant_id_survey_id_submitted_at"),
        "submissions",
        ["participant_id", "survey_id", "submitted_at"],
        unique=False,
    )
    op.create_index(
        "ix_submissions_problem",
        "submissions",
        ["survey_id", "id"],
        unique=False,
        postgresql_where=sa.text("problem IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_submissions_survey_id_submitted_at_id"),
        "submissions",
        ["survey_id", "submitted_at", "id"],
        unique=False,
    )
    op.create_index(op.f("ix_submissions_survey_version_id"), "submissions", ["survey_version_id"], unique=False)
    op.create_table(
        "answer_tallies",
        sa.Column("wording_id", sa.BigInteger(), nullable=False),
        sa.Column("participant_id", sa.BigInteger(), nullable=False),
        sa.Column("tallied", sa.Text(), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "tallied IN ('answered', 'skipped', 'unseen', 'unreadable', 'choice', 'number')",
            name=op.f("ck_answer_tallies_tallied"),
        ),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["participants.id"],
            name=op.f("fk_answer_tallies_participant_id_participants"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["wording_id"],
            ["question_wordings.id"],
            name=op.f("fk_answer_tallies_wording_id_question_wordings"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("wording_id", "participant_id", "tallied", "value", name=op.f("pk_answer_tallies")),
    )
    op.create_index(op.f("ix_answer_tallies_participant_id"), "answer_tallies", ["participant_id"], unique=False)
    op.create_table(
        "counted_events",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("participant_id", sa.BigInteger(), nullable=False),
        sa.Column("survey_id", sa.BigInteger(), nullable=False),
        sa.Column("scheduled_at", AT, nullable=False),
        sa.Column("counts_at", AT, nullable=False),
        sa.Column("expires_at", AT, nullable=False),
        sa.Column("on_day", sa.Date(), nullable=False),
        sa.Column("outcome", sa.Text(), server_default="open", nullable=False),
        sa.Column("opened_at", AT, nullable=True),
        sa.Column("answered_at", AT, nullable=True),
        sa.Column("submission_id", sa.BigInteger(), nullable=True),
        sa.Column(
            "minutes",
            sa.Integer(),
            sa.Computed("floor(extract(epoch FROM answered_at - counts_at) / 60)::integer", persisted=True),
            nullable=True,
        ),
        sa.CheckConstraint("outcome IN ('open', 'answered', 'late', 'missed')", name=op.f("ck_counted_events_outcome")),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["participants.id"],
            name=op.f("fk_counted_events_participant_id_participants"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["submission_id"],
            ["submissions.id"],
            name=op.f("fk_counted_events_submission_id_submissions"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["survey_id"], ["surveys.id"], name=op.f("fk_counted_events_survey_id_surveys"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_counted_events")),
        sa.UniqueConstraint(
            "participant_id",
            "survey_id",
            "scheduled_at",
            name=op.f("uq_counted_events_participant_id_survey_id_scheduled_at"),
        ),
    )
    op.create_index(
        "ix_counted_events_open",
        "counted_events",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("outcome = 'open'"),
    )
    op.create_index(
        op.f("ix_counted_events_participant_id_survey_id_counts_at"),
        "counted_events",
        ["participant_id", "survey_id", "counts_at"],
        unique=False,
    )
    op.create_index(op.f("ix_counted_events_submission_id"), "counted_events", ["submission_id"], unique=False)
    op.create_index(op.f("ix_counted_events_survey_id_on_day"), "counted_events", ["survey_id", "on_day"], unique=False)
    op.create_table(
        "score_runs",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("score_version_id", sa.BigInteger(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("asked_at", AT, server_default=sa.text("now()"), nullable=False),
        sa.Column("ended_at", AT, nullable=True),
        sa.Column("last_submission_id", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("submissions", sa.Integer(), server_default="0", nullable=False),
        sa.Column("changed", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["score_version_id"],
            ["score_versions.id"],
            name=op.f("fk_score_runs_score_version_id_score_versions"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_score_runs")),
    )
    op.create_index(op.f("ix_score_runs_score_version_id"), "score_runs", ["score_version_id"], unique=False)
    op.create_table(
        "submitted_answers",
        sa.Column("submission_id", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.SmallInteger(), nullable=False),
        sa.Column("participant_id", sa.BigInteger(), nullable=False),
        sa.Column("wording_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("number", sa.Float(), nullable=True),
        sa.Column("choices", postgresql.ARRAY(sa.SmallInteger()), nullable=True),
        sa.CheckConstraint(
            "state IN ('answered', 'skipped', 'unseen', 'unreadable')", name=op.f("ck_submitted_answers_state")
        ),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["participants.id"],
            name=op.f("fk_submitted_answers_participant_id_participants"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["submission_id"],
            ["submissions.id"],
            name=op.f("fk_submitted_answers_submission_id_submissions"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["wording_id"],
            ["question_wordings.id"],
            name=op.f("fk_submitted_answers_wording_id_question_wordings"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("submission_id", "place", name=op.f("pk_submitted_answers")),
    )
    op.create_index(op.f("ix_submitted_answers_participant_id"), "submitted_answers", ["participant_id"], unique=False)
    op.create_index(op.f("ix_submitted_answers_wording_id"), "submitted_answers", ["wording_id"], unique=False)
    op.create_table(
        "score_values",
        sa.Column("submission_id", sa.BigInteger(), nullable=False),
        sa.Column("score_version_id", sa.BigInteger(), nullable=False),
        sa.Column("participant_id", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("items_answered", sa.SmallInteger(), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=True),
        sa.Column("computed_at", AT, server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["participants.id"],
            name=op.f("fk_score_values_participant_id_participants"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["score_runs.id"], name=op.f("fk_score_values_run_id_score_runs"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["score_version_id"],
            ["score_versions.id"],
            name=op.f("fk_score_values_score_version_id_score_versions"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["submission_id"],
            ["submissions.id"],
            name=op.f("fk_score_values_submission_id_submissions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("submission_id", "score_version_id", name=op.f("pk_score_values")),
    )
    op.create_index(op.f("ix_score_values_participant_id"), "score_values", ["participant_id"], unique=False)
    op.create_index(op.f("ix_score_values_run_id"), "score_values", ["run_id"], unique=False)
    op.create_index(
        op.f("ix_score_values_score_version_id_submission_id"),
        "score_values",
        ["score_version_id", "submission_id"],
        unique=False,
    )


def downgrade() -> None:
    for table in (
        "score_values",
        "submitted_answers",
        "score_runs",
        "counted_events",
        "answer_tallies",
        "submissions",
        "score_versions",
        "question_wordings",
        "scores",
    ):
        op.drop_table(table)
