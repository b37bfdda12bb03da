"""settings and consent versions, custom fields, taking part, bulk edits, stars

Revision ID: 0015
Revises: 0014
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "app_settings_versions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("study_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("author_name", sa.Text(), nullable=False),
        sa.Column("values", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("changed", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_app_settings_versions_study_id_studies"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_app_settings_versions")),
    )
    op.create_index(
        op.f("ix_app_settings_versions_study_id_at"), "app_settings_versions", ["study_id", "at"], unique=False
    )
    op.create_table(
        "bulk_edits",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("study_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("author_id", sa.BigInteger(), nullable=True),
        sa.Column("author_name", sa.Text(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_bulk_edits_study_id_studies"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bulk_edits")),
    )
    op.create_index(op.f("ix_bulk_edits_study_id_at"), "bulk_edits", ["study_id", "at"], unique=False)
    op.create_table(
        "consent_versions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("study_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("author_name", sa.Text(), nullable=False),
        sa.Column("form_text", sa.Text(), nullable=False),
        sa.Column("sections", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_consent_versions_study_id_studies"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_versions")),
        sa.UniqueConstraint("study_id", "number", name=op.f("uq_consent_versions_study_id_number")),
    )
    op.create_table(
        "custom_fields",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("study_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_custom_fields_study_id_studies"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_custom_fields")),
    )
    op.create_index(
        "uq_custom_fields_name", "custom_fields", ["study_id", sa.literal_column("lower(name)")], unique=True
    )
    op.create_table(
        "participant_columns",
        sa.Column("researcher_id", sa.BigInteger(), nullable=False),
        sa.Column("study_id", sa.BigInteger(), nullable=False),
        sa.Column("names", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(
            ["researcher_id"],
            ["researchers.id"],
            name=op.f("fk_participant_columns_researcher_id_researchers"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_participant_columns_study_id_studies"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("researcher_id", "study_id", name=op.f("pk_participant_columns")),
    )
    op.create_table(
        "study_stars",
        sa.Column("researcher_id", sa.BigInteger(), nullable=False),
        sa.Column("study_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["researcher_id"],
            ["researchers.id"],
            name=op.f("fk_study_stars_researcher_id_researchers"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_study_stars_study_id_studies"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("researcher_id", "study_id", name=op.f("pk_study_stars")),
    )
    op.create_table(
        "bulk_edit_rows",
        sa.Column("bulk_edit_id", sa.BigInteger(), nullable=False),
        sa.Column("participant_id", sa.BigInteger(), nullable=False),
        sa.Column("before", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("after", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(
            ["bulk_edit_id"],
            ["bulk_edits.id"],
            name=op.f("fk_bulk_edit_rows_bulk_edit_id_bulk_edits"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["participants.id"],
            name=op.f("fk_bulk_edit_rows_participant_id_participants"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("bulk_edit_id", "participant_id", name=op.f("pk_bulk_edit_rows")),
    )
    op.create_index(op.f("ix_bulk_edit_rows_participant_id"), "bulk_edit_rows", ["participant_id"], unique=False)
    op.create_table(
        "consents_sent",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("participant_id", sa.BigInteger(), nullable=False),
        sa.Column("consent_version_id", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["consent_version_id"],
            ["consent_versions.id"],
            name=op.f("fk_consents_sent_consent_version_id_consent_versions"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["participants.id"],
            name=op.f("fk_consents_sent_participant_id_participants"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consents_sent")),
    )
    op.create_index(
        op.f("ix_consents_sent_participant_id_sent_at"), "consents_sent", ["participant_id", "sent_at"], unique=False
    )
    op.create_index(
        op.f("ix_consents_sent_consent_version_id_participant_id"),
        "consents_sent",
        ["consent_version_id", "participant_id"],
        unique=False,
    )
    op.create_table(
        "departures",
        sa.Column("participant_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("left_on", sa.Date(), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retire_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("recorded_by", sa.Text(), nullable=False),
        sa.Column("trimmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("hours_removed", sa.Integer(), server_default="0", nullable=False),
        sa.CheckConstraint(
            "(kind = 'withdrawn') = (reason IS NOT NULL)", name=op.f("ck_departures_reason_of_withdrawal")
        ),
        sa.CheckConstraint("kind IN ('completed', 'withdrawn')", name=op.f("ck_departures_kind")),
        sa.CheckConstraint(
            "reason IN ('own wish', 'too much effort', 'privacy concerns', 'health', 'phone or technical trouble', 'moved away', 'lost contact', 'decision of the study team', 'other')",
            name=op.f("ck_departures_reason"),
        ),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["participants.id"],
            name=op.f("fk_departures_participant_id_participants"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("participant_id", name=op.f("pk_departures")),
    )
    op.create_index(op.f("ix_departures_retire_at"), "departures", ["retire_at"], unique=False)
    op.create_table(
        "field_values",
        sa.Column("participant_id", sa.BigInteger(), nullable=False),
        sa.Column("field_id", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["field_id"], ["custom_fields.id"], name=op.f("fk_field_values_field_id_custom_fields"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["participants.id"],
            name=op.f("fk_field_values_participant_id_participants"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("participant_id", "field_id", name=op.f("pk_field_values")),
    )
    op.create_index(
        "ix_field_values_value",
        "field_values",
        ["field_id", sa.literal_column("left(lower(value), 100)")],
        unique=False,
    )
    op.create_table(
        "participant_notes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("participant_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("author_name", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["participants.id"],
            name=op.f("fk_participant_notes_participant_id_participants"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_participant_notes")),
    )
    op.create_index(
        op.f("ix_participant_notes_participant_id_at"), "participant_notes", ["participant_id", "at"], unique=False
    )
    op.create_table(
        "pauses",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("participant_id", sa.BigInteger(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("ends_at > starts_at", name=op.f("ck_pauses_ends_after_start")),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["participants.id"],
            name=op.f("fk_pauses_participant_id_participants"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pauses")),
    )
    op.create_index(op.f("ix_pauses_participant_id"), "pauses", ["participant_id"], unique=False)
    op.add_column(
        "participant_batches",
        sa.Column("rows", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    )
    op.add_column("participants", sa.Column("external_id", sa.Text(), nullable=True))
    op.add_column("participants", sa.Column("is_test", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("participants", sa.Column("retired_by_id", sa.BigInteger(), nullable=True))
    op.create_index(
        "uq_participants_external_id",
        "participants",
        ["study_id", sa.literal_column("lower(external_id)")],
        unique=True,
        postgresql_where=sa.text("external_id IS NOT NULL"),
    )
    op.add_column(
        "purges", sa.Column("before", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True)
    )
    op.add_column("studies", sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("studies", sa.Column("password_minimum_length", sa.Integer(), server_default="8", nullable=False))
    op.add_column("studies", sa.Column("password_max_age_days", sa.Integer(), nullable=True))
    op.add_column("upload_problems", sa.Column("tried_again_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("upload_problems", sa.Column("outcome", sa.Text(), nullable=True))
    op.create_index(
        "ix_upload_queue_failed",
        "upload_queue",
        ["study_id", "path"],
        unique=False,
        postgresql_where=sa.text("state = 'failed'"),
    )
    op.create_index(
        "ix_upload_queue_held",
        "upload_queue",
        ["received_at"],
        unique=False,
        postgresql_where=sa.text("state = 'held'"),
    )
    op.create_table(
        "processed_hours",
        sa.Column("study_id", sa.BigInteger(), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("files", sa.Integer(), server_default="0", nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("rows_kept", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("rows_dropped", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_processed_hours_study_id_studies"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("study_id", "hour", name=op.f("pk_processed_hours")),
    )
    op.create_check_constraint(
        op.f("ck_studies_password_minimum_length"), "studies", "password_minimum_length BETWEEN 8 AND 20"
    )
    op.create_check_constraint(
        op.f("ck_studies_password_max_age_days"), "studies", "password_max_age_days BETWEEN 30 AND 365"
    )
    _allow("upload_queue", "state", ("waiting", "held", "failed"))
    _allow("participant_events", "kind", ("registered", "device changed", "password changed", "zone changed"))
    # What the settings and consent texts are today is their first version.
    op.execute(
        "INSERT INTO app_settings_versions (study_id, at, author_name, values) "
        "SELECT study_id, studies.created_at, 'server', to_jsonb(app_settings) - 'id' - 'study_id' "
        "FROM app_settings JOIN studies ON studies.id = study_id"
    )
    op.execute(
        "INSERT INTO consent_versions (study_id, number, at, author_name, form_text, sections) "
        "SELECT study_id, 1, studies.created_at, 'server', consent_form_text, consent_sections "
        "FROM app_settings JOIN studies ON studies.id = study_id"
    )


def _allow(table: str, column: str, values: tuple[str, ...]) -> None:
    """Replaces the CHECK of an enumeration's column."""
    listed = ", ".join(f"'{value}'" for value in values)
    op.drop_constraint(op.f(f"ck_{table}_{column}"), table, type_="check")
    op.create_check_constraint(op.f(f"ck_{table}_{column}"), table, f"{column} IN ({listed})")


def downgrade() -> None:
    op.execute("UPDATE upload_queue SET state = 'waiting' WHERE state = 'held'")
    op.execute("DELETE FROM participant_events WHERE kind = 'zone changed'")
    op.drop_table("processed_hours")
    _allow("upload_queue", "state", ("waiting", "failed"))
    _allow("participant_events", "kind", ("registered", "device changed", "password changed"))
    op.drop_index("ix_upload_queue_held", table_name="upload_queue", postgresql_where=sa.text("state = 'held'"))
    op.drop_index("ix_upload_queue_failed", table_name="upload_queue", postgresql_where=sa.text("state = 'failed'"))
    op.drop_column("upload_problems", "outcome")
    op.drop_column("upload_problems", "tried_again_at")
    op.drop_column("studies", "password_max_age_days")
    op.drop_column("studies", "password_minimum_length")
    op.drop_column("studies", "stopped_at")
    op.drop_column("purges", "before")
    op.drop_index(
        "uq_participants_external_id", table_name="participants", postgresql_where=sa.text("external_id IS NOT NULL")
    )
    op.drop_column("participants", "retired_by_id")
    op.drop_column("participants", "is_test")
    op.drop_column("participants", "external_id")
    op.drop_column("participant_batches", "rows")
    op.drop_index(op.f("ix_pauses_participant_id"), table_name="pauses")
    op.drop_table("pauses")
    op.drop_index(op.f("ix_participant_notes_participant_id_at"), table_name="participant_notes")
    op.drop_table("participant_notes")
    op.drop_index("ix_field_values_value", table_name="field_values")
    op.drop_table("field_values")
    op.drop_index(op.f("ix_departures_retire_at"), table_name="departures")
    op.drop_table("departures")
    op.drop_index(op.f("ix_consents_sent_consent_version_id_participant_id"), table_name="consents_sent")
    op.drop_index(op.f("ix_consents_sent_participant_id_sent_at"), table_name="consents_sent")
    op.drop_table("consents_sent")
    op.drop_index(op.f("ix_bulk_edit_rows_participant_id"), table_name="bulk_edit_rows")
    op.drop_table("bulk_edit_rows")
    op.drop_table("study_stars")
    op.drop_table("participant_columns")
    op.drop_index("uq_custom_fields_name", table_name="custom_fields")
    op.drop_table("custom_fields")
    op.drop_table("consent_versions")
    op.drop_index(op.f("ix_bulk_edits_study_id_at"), table_name="bulk_edits")
    op.drop_table("bulk_edits")
    op.drop_index(op.f("ix_app_settings_versions_study_id_at"), table_name="app_settings_versions")
    op.drop_table("app_settings_versions")
