"""the ledger of push messages, states of push services and of the sender, quiet hours, troubles of the site

Revision ID: 0024
Revises: 0023
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

AT = sa.DateTime(timezone=True)
SERVICES = "service IN ('fcm', 'apns')"
UNCONFIRMED = "uuid IS NOT NULL AND NOT is_confirmed AND status = 'success'"


OLD_KINDS = "'registered', 'device changed', 'password changed', 'zone changed'"
NEW_KINDS = "'push token retired', 'heartbeat notification sent'"


def upgrade() -> None:
    op.drop_constraint(op.f("ck_participant_events_kind"), "participant_events", type_="check")
    op.create_check_constraint(
        op.f("ck_participant_events_kind"), "participant_events", f"kind IN ({OLD_KINDS}, {NEW_KINDS})"
    )
    op.drop_constraint(op.f("ck_scheduled_events_state"), "scheduled_events", type_="check")
    op.create_check_constraint(
        op.f("ck_scheduled_events_state"), "scheduled_events", "state IN ('pending', 'done', 'expired')"
    )
    op.create_index(
        op.f("ix_scheduled_events_participant_id_survey_id_scheduled_at"),
        "scheduled_events",
        ["participant_id", "survey_id", "scheduled_at"],
    )
    op.create_index(
        "ix_notification_attempts_resends",
        "notification_attempts",
        ["attempted_at"],
        postgresql_where=sa.text(UNCONFIRMED),
    )
    op.add_column("push_tokens", sa.Column("failures", sa.Integer(), server_default="0", nullable=False))
    op.add_column("push_tokens", sa.Column("next_try_at", AT, nullable=True))
    op.add_column("push_tokens", sa.Column("retired_because", sa.Text(), nullable=True))
    op.create_index(
        "ix_push_tokens_lost", "push_tokens", ["retired_at"], postgresql_where=sa.text("retired_because IS NOT NULL")
    )
    op.add_column("participant_activity", sa.Column("last_heartbeat_push_at", AT, nullable=True))
    _add_quiet_hours()
    _make_ledger()
    _make_states()


def _add_quiet_hours() -> None:
    for name, default in (
        ("quiet_from", None),
        ("quiet_until", None),
        ("resends_rest_from", "22:00"),
        ("resends_rest_until", "08:00"),
    ):
        op.add_column("studies", sa.Column(name, sa.Time(), server_default=default, nullable=True))
    op.create_check_constraint(
        op.f("ck_studies_quiet_hours"), "studies", "(quiet_from IS NULL) = (quiet_until IS NULL)"
    )
    op.create_check_constraint(
        op.f("ck_studies_rest_of_resends"), "studies", "(resends_rest_from IS NULL) = (resends_rest_until IS NULL)"
    )


def _make_ledger() -> None:
    op.create_table(
        "push_messages",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("participant_id", sa.BigInteger(), nullable=False),
        sa.Column("token_id", sa.BigInteger(), nullable=True),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="pending", nullable=False),
        sa.Column("nonce", sa.Text(), nullable=False),
        sa.Column("app_version", sa.Text(), nullable=True),
        sa.Column("due_at", AT, nullable=False),
        sa.Column("expires_at", AT, nullable=False),
        sa.Column("written_at", AT, server_default=sa.text("now()"), nullable=False),
        sa.Column("settled_at", AT, nullable=True),
        sa.Column("fate", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint(SERVICES, name=op.f("ck_push_messages_service")),
        sa.CheckConstraint("platform IN ('ANDROID', 'IOS')", name=op.f("ck_push_messages_platform")),
        sa.CheckConstraint("kind IN ('surveys', 'heartbeat', 'manual', 'text')", name=op.f("ck_push_messages_kind")),
        sa.CheckConstraint(
            "state IN ('pending', 'accepted', 'unregistered', 'failed', 'unknown')",
            name=op.f("ck_push_messages_state"),
        ),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["participants.id"],
            name=op.f("fk_push_messages_participant_id_participants"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["token_id"], ["push_tokens.id"], name=op.f("fk_push_messages_token_id_push_tokens"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_push_messages")),
    )
    op.create_index(
        "ix_push_messages_pending", "push_messages", ["written_at"], postgresql_where=sa.text("state = 'pending'")
    )
    op.create_index(op.f("ix_push_messages_token_id"), "push_messages", ["token_id"])
    op.create_index(op.f("ix_push_messages_written_at"), "push_messages", ["written_at"])
    op.create_index(
        op.f("ix_push_messages_participant_id_written_at"), "push_messages", ["participant_id", "written_at"]
    )
    op.create_table(
        "push_message_events",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("message_id", sa.BigInteger(), nullable=False),
        sa.Column("participant_id", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=True),
        sa.Column("survey_id", sa.BigInteger(), nullable=False),
        sa.Column("survey_version_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("scheduled_at", AT, nullable=False),
        sa.Column("uuid", sa.Uuid(), nullable=True),
        sa.Column("is_reported", sa.Boolean(), nullable=False),
        sa.Column("was_resend", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('weekly', 'absolute', 'relative', 'manual')", name=op.f("ck_push_message_events_kind")
        ),
        *(
            sa.ForeignKeyConstraint(
                [column], [target], name=op.f(f"fk_push_message_events_{column}_{target[:-3]}"), ondelete=ondelete
            )
            for column, target, ondelete in (
                ("message_id", "push_messages.id", "CASCADE"),
                ("participant_id", "participants.id", "RESTRICT"),
                ("event_id", "scheduled_events.id", "SET NULL"),
                ("survey_id", "surveys.id", "CASCADE"),
                ("survey_version_id", "survey_versions.id", "RESTRICT"),
            )
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_push_message_events")),
    )
    for columns in (["message_id"], ["event_id"], ["participant_id", "survey_id", "scheduled_at"]):
        op.create_index(op.f(f"ix_push_message_events_{'_'.join(columns)}"), "push_message_events", columns)


def _make_states() -> None:
    op.create_table(
        "push_service_states",
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("accepted_at", AT, nullable=True),
        sa.Column("refused_at", AT, nullable=True),
        sa.Column("unreachable_at", AT, nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("waits_until", AT, nullable=True),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.CheckConstraint(SERVICES, name=op.f("ck_push_service_states_service")),
        sa.PrimaryKeyConstraint("service", name=op.f("pk_push_service_states")),
    )
    op.create_table(
        "sender_passes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("began_at", AT, nullable=False),
        sa.Column("ended_at", AT, nullable=False),
        sa.Column("due", sa.Integer(), nullable=False),
        sa.Column("outcomes", JSONB(), nullable=False),
        sa.Column("waiting", JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sender_passes")),
    )
    op.create_index(op.f("ix_sender_passes_began_at"), "sender_passes", ["began_at"])
    op.create_table(
        "sender_state",
        sa.Column("id", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("looked_at", AT, nullable=True),
        sa.Column("resends_begin_at", AT, nullable=True),
        sa.CheckConstraint("id = 1", name=op.f("ck_sender_state_single")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sender_state")),
    )
    op.execute("INSERT INTO sender_state DEFAULT VALUES")
    op.create_table(
        "system_events",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), server_default="", nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("detail", JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("began_at", AT, nullable=False),
        sa.Column("ended_at", AT, nullable=True),
        sa.CheckConstraint(
            "kind IN ('sender silent', 'credentials refused', 'service unreachable', 'delivery halved', 'tokens lost')",
            name=op.f("ck_system_events_kind"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_system_events")),
    )
    op.create_index(
        "uq_system_events_open",
        "system_events",
        ["kind", "subject"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index(op.f("ix_system_events_began_at"), "system_events", ["began_at"])


def downgrade() -> None:
    op.execute(f"DELETE FROM participant_events WHERE kind IN ({NEW_KINDS})")
    op.drop_constraint(op.f("ck_participant_events_kind"), "participant_events", type_="check")
    op.create_check_constraint(op.f("ck_participant_events_kind"), "participant_events", f"kind IN ({OLD_KINDS})")
    for table in (
        "system_events",
        "sender_state",
        "sender_passes",
        "push_service_states",
        "push_message_events",
        "push_messages",
    ):
        op.drop_table(table)
    for name in ("quiet_hours", "rest_of_resends"):
        op.drop_constraint(op.f(f"ck_studies_{name}"), "studies", type_="check")
    for name in ("quiet_from", "quiet_until", "resends_rest_from", "resends_rest_until"):
        op.drop_column("studies", name)
    op.drop_column("participant_activity", "last_heartbeat_push_at")
    op.drop_index("ix_push_tokens_lost", "push_tokens")
    for name in ("failures", "next_try_at", "retired_because"):
        op.drop_column("push_tokens", name)
    op.drop_index("ix_notification_attempts_resends", "notification_attempts")
    op.drop_index(op.f("ix_scheduled_events_participant_id_survey_id_scheduled_at"), "scheduled_events")
    op.execute("UPDATE scheduled_events SET state = 'done' WHERE state = 'expired'")
    op.drop_constraint(op.f("ck_scheduled_events_state"), "scheduled_events", type_="check")
    op.create_check_constraint(op.f("ck_scheduled_events_state"), "scheduled_events", "state IN ('pending', 'done')")
