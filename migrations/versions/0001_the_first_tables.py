"""the first tables

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "processing_status",
        sa.Column("id", sa.Integer(), server_default="1", autoincrement=False, nullable=False),
        sa.Column("last_run_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("id = 1", name=op.f("ck_processing_status_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_processing_status")),
    )
    op.create_table(
        "researchers",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("password_changed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("must_change_password", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("is_site_admin", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("is_disabled", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("session_token", sa.Text(), nullable=False),
        sa.Column("last_login_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_researchers")),
    )
    op.create_index("uq_researchers_username", "researchers", [sa.literal_column("lower(username)")], unique=True)
    op.create_table(
        "studies",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("object_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("encryption_key", sa.Text(), nullable=False),
        sa.Column("timezone_name", sa.Text(), server_default="America/New_York", nullable=False),
        sa.Column("end_on", sa.Date(), nullable=True),
        sa.Column("is_stopped_by_hand", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("hidden_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("has_easy_enrollment", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("object_id ~ '^[A-Za-z0-9]{1,64}$'", name=op.f("ck_studies_object_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_studies")),
        sa.UniqueConstraint("object_id", name=op.f("uq_studies_object_id")),
    )
    op.create_index("uq_studies_name", "studies", [sa.literal_column("lower(name)")], unique=True)
    op.create_table(
        "api_keys",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("access_key", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("researcher_id", sa.BigInteger(), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["researcher_id"],
            ["researchers.id"],
            name=op.f("fk_api_keys_researcher_id_researchers"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("access_key", name=op.f("uq_api_keys_access_key")),
    )
    op.create_index(op.f("ix_api_keys_researcher_id"), "api_keys", ["researcher_id"], unique=False)
    op.create_table(
        "app_settings",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("study_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "consent_sections", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column("accelerometer", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("gps", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("calls", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("texts", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("wifi", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("bluetooth", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("power_state", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("use_anonymized_hashing", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("use_gps_fuzzing", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("call_clinician_button_enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column(
            "call_research_assistant_button_enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False
        ),
        sa.Column("ambient_audio", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("proximity", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("gyro", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("magnetometer", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("devicemotion", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("reachability", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("allow_upload_over_cellular_data", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("accelerometer_off_duration_seconds", sa.Integer(), server_default=sa.text("10"), nullable=False),
        sa.Column("accelerometer_on_duration_seconds", sa.Integer(), server_default=sa.text("10"), nullable=False),
        sa.Column("accelerometer_frequency", sa.Integer(), server_default=sa.text("10"), nullable=False),
        sa.Column("ambient_audio_off_duration_seconds", sa.Integer(), server_default=sa.text("600"), nullable=False),
        sa.Column("ambient_audio_on_duration_seconds", sa.Integer(), server_default=sa.text("600"), nullable=False),
        sa.Column("ambient_audio_bitrate", sa.Integer(), server_default=sa.text("24000"), nullable=False),
        sa.Column("ambient_audio_sampling_rate", sa.Integer(), server_default=sa.text("44100"), nullable=False),
        sa.Column("bluetooth_on_duration_seconds", sa.Integer(), server_default=sa.text("60"), nullable=False),
        sa.Column("bluetooth_total_duration_seconds", sa.Integer(), server_default=sa.text("300"), nullable=False),
        sa.Column("bluetooth_global_offset_seconds", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "check_for_new_surveys_frequency_seconds", sa.Integer(), server_default=sa.text("3600"), nullable=False
        ),
        sa.Column(
            "create_new_data_files_frequency_seconds", sa.Integer(), server_default=sa.text("900"), nullable=False
        ),
        sa.Column("gps_off_duration_seconds", sa.Integer(), server_default=sa.text("600"), nullable=False),
        sa.Column("gps_on_duration_seconds", sa.Integer(), server_default=sa.text("60"), nullable=False),
        sa.Column("seconds_before_auto_logout", sa.Integer(), server_default=sa.text("600"), nullable=False),
        sa.Column("upload_data_files_frequency_seconds", sa.Integer(), server_default=sa.text("3600"), nullable=False),
        sa.Column(
            "voice_recording_max_time_length_seconds", sa.Integer(), server_default=sa.text("240"), nullable=False
        ),
        sa.Column("wifi_log_frequency_seconds", sa.Integer(), server_default=sa.text("300"), nullable=False),
        sa.Column("gyro_off_duration_seconds", sa.Integer(), server_default=sa.text("600"), nullable=False),
        sa.Column("gyro_on_duration_seconds", sa.Integer(), server_default=sa.text("60"), nullable=False),
        sa.Column("gyro_frequency", sa.Integer(), server_default=sa.text("10"), nullable=False),
        sa.Column("magnetometer_off_duration_seconds", sa.Integer(), server_default=sa.text("600"), nullable=False),
        sa.Column("magnetometer_on_duration_seconds", sa.Integer(), server_default=sa.text("60"), nullable=False),
        sa.Column("devicemotion_off_duration_seconds", sa.Integer(), server_default=sa.text("600"), nullable=False),
        sa.Column("devicemotion_on_duration_seconds", sa.Integer(), server_default=sa.text("60"), nullable=False),
        sa.Column(
            "about_page_text",
            sa.Text(),
            server_default="This app collects data for a research study. The study's staff can tell you what is collected and why.",
            nullable=False,
        ),
        sa.Column("call_clinician_button_text", sa.Text(), server_default="Call My Clinician", nullable=False),
        sa.Column(
            "consent_form_text",
            sa.Text(),
            server_default="Taking part is voluntary. You can stop at any time. The study's staff can answer your questions.",
            nullable=False,
        ),
        sa.Column(
            "survey_submit_success_toast_text",
            sa.Text(),
            server_default="Thank you. Your answers have been saved.",
            nullable=False,
        ),
        sa.Column(
            "heartbeat_message",
            sa.Text(),
            server_default="The study has not heard from this phone for a while. Opening the app helps.",
            nullable=False,
        ),
        sa.Column("heartbeat_timer_minutes", sa.Integer(), server_default=sa.text("60"), nullable=False),
        sa.Column("resend_period_minutes", sa.Integer(), server_default=sa.text("180"), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_app_settings_study_id_studies"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_app_settings")),
        sa.UniqueConstraint("study_id", name=op.f("uq_app_settings_study_id")),
    )
    op.create_table(
        "data_access_records",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("researcher_id", sa.BigInteger(), nullable=True),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("study_id", sa.BigInteger(), nullable=True),
        sa.Column("parameters", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("registry_entries", sa.Integer(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["researcher_id"],
            ["researchers.id"],
            name=op.f("fk_data_access_records_researcher_id_researchers"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_data_access_records_study_id_studies"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_data_access_records")),
    )
    op.create_index(
        op.f("ix_data_access_records_researcher_id"), "data_access_records", ["researcher_id"], unique=False
    )
    op.create_index(op.f("ix_data_access_records_study_id"), "data_access_records", ["study_id"], unique=False)
    op.create_table(
        "participants",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("patient_id", sa.Text(collation="C"), nullable=False),
        sa.Column("study_id", sa.BigInteger(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Text(), server_default="", nullable=False),
        sa.Column("os_type", sa.Text(), nullable=True),
        sa.Column("timezone_name", sa.Text(), nullable=True),
        sa.Column("has_easy_enrollment", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("purge_asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("purged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("os_type IN ('ANDROID', 'IOS')", name=op.f("ck_participants_os_type")),
        sa.CheckConstraint("patient_id ~ '^[1-9a-z]{1,8}$'", name=op.f("ck_participants_patient_id")),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_participants_study_id_studies"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_participants")),
        sa.UniqueConstraint("patient_id", name=op.f("uq_participants_patient_id")),
    )
    op.create_index(
        op.f("ix_participants_study_id_created_at"), "participants", ["study_id", "created_at"], unique=False
    )
    op.create_index(
        op.f("ix_participants_study_id_patient_id"), "participants", ["study_id", "patient_id"], unique=False
    )
    op.create_table(
        "study_roles",
        sa.Column("study_id", sa.BigInteger(), nullable=False),
        sa.Column("researcher_id", sa.BigInteger(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.CheckConstraint("role IN ('study_admin', 'study_researcher')", name=op.f("ck_study_roles_role")),
        sa.ForeignKeyConstraint(
            ["researcher_id"],
            ["researchers.id"],
            name=op.f("fk_study_roles_researcher_id_researchers"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_study_roles_study_id_studies"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("study_id", "researcher_id", name=op.f("pk_study_roles")),
    )
    op.create_index(op.f("ix_study_roles_researcher_id"), "study_roles", ["researcher_id"], unique=False)
    op.create_table(
        "surveys",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("object_id", sa.Text(), nullable=False),
        sa.Column("study_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("survey_type", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), server_default="[]", nullable=False),
        sa.Column("settings", sa.Text(), server_default="{}", nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("object_id ~ '^[A-Za-z0-9]{1,64}$'", name=op.f("ck_surveys_object_id")),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_surveys_study_id_studies"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_surveys")),
        sa.UniqueConstraint("object_id", name=op.f("uq_surveys_object_id")),
    )
    op.create_index(op.f("ix_surveys_study_id"), "surveys", ["study_id"], unique=False)
    op.create_table(
        "chunks",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("participant_id", sa.BigInteger(), nullable=False),
        sa.Column("study_id", sa.BigInteger(), nullable=False),
        sa.Column("survey_id", sa.BigInteger(), nullable=True),
        sa.Column("stream", sa.SmallInteger(), nullable=False),
        sa.Column("time_bin", sa.DateTime(timezone=True), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("md5", sa.LargeBinary(), nullable=True),
        sa.Column("sha1", sa.LargeBinary(), nullable=True),
        sa.Column("path", sa.Text(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("octet_length(md5) = 16", name=op.f("ck_chunks_md5")),
        sa.CheckConstraint("octet_length(sha1) = 20", name=op.f("ck_chunks_sha1")),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["participants.id"],
            name=op.f("fk_chunks_participant_id_participants"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_chunks_study_id_studies"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["survey_id"], ["surveys.id"], name=op.f("fk_chunks_survey_id_surveys"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chunks")),
    )
    op.create_index(
        op.f("ix_chunks_participant_id_stream_time_bin"),
        "chunks",
        ["participant_id", "stream", "time_bin"],
        unique=False,
    )
    op.create_index(
        "uq_chunks_derived",
        "chunks",
        ["participant_id", "stream", "time_bin", sa.literal_column("coalesce(survey_id, 0)")],
        unique=True,
        postgresql_where=sa.text("path IS NULL"),
    )
    op.create_index(
        "uq_chunks_path",
        "chunks",
        ["participant_id", "path"],
        unique=True,
        postgresql_where=sa.text("path IS NOT NULL"),
    )
    op.create_table(
        "heartbeats",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("participant_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["participants.id"],
            name=op.f("fk_heartbeats_participant_id_participants"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_heartbeats")),
    )
    op.create_index(op.f("ix_heartbeats_participant_id_at"), "heartbeats", ["participant_id", "at"], unique=False)
    op.create_table(
        "participant_activity",
        sa.Column("participant_id", sa.BigInteger(), nullable=False),
        sa.Column("last_upload_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_surveys_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_settings_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("first_registered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_registered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_set_password_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_set_push_token_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_heartbeat_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_version_code", sa.Text(), nullable=True),
        sa.Column("last_version_name", sa.Text(), nullable=True),
        sa.Column("last_os_version", sa.Text(), nullable=True),
        sa.Column(
            "last_activity_at",
            sa.DateTime(timezone=True),
            sa.Computed(
                "greatest(last_upload_at, last_surveys_at, last_settings_at, last_registered_at, last_set_password_at, last_set_push_token_at, last_heartbeat_at)",
                persisted=True,
            ),
            nullable=True,
        ),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["participants.id"],
            name=op.f("fk_participant_activity_participant_id_participants"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("participant_id", name=op.f("pk_participant_activity"))
    )
    op.create_table(
        "served_participants",
        sa.Column("participant_id", sa.BigInteger(), nullable=False),
        sa.Column("served_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["participants.id"],
            name=op.f("fk_served_participants_participant_id_participants"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("participant_id", name=op.f("pk_served_participants")),
    )
    op.create_table(
        "stored_objects",
        sa.Column("path", sa.Text(collation="C"), nullable=False),
        sa.Column("study_id", sa.BigInteger(), nullable=True),
        sa.Column("participant_id", sa.BigInteger(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("size_stored_bytes", sa.BigInteger(), nullable=True),
        sa.Column("sha1", sa.LargeBinary(), nullable=True),
        sa.Column("seal", sa.Text(), server_default="ours", nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("seal IN ('ours', 'legacy')", name=op.f("ck_stored_objects_seal")),
        sa.CheckConstraint("octet_length(sha1) = 20", name=op.f("ck_stored_objects_sha1")),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["participants.id"],
            name=op.f("fk_stored_objects_participant_id_participants"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_stored_objects_study_id_studies"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("path", name=op.f("pk_stored_objects")),
    )
    op.create_index(op.f("ix_stored_objects_participant_id"), "stored_objects", ["participant_id"], unique=False)
    op.create_table(
        "upload_log",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("participant_id", sa.BigInteger(), nullable=False),
        sa.Column("stream", sa.SmallInteger(), nullable=True),
        sa.Column("os_type", sa.Text(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("processed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("first_bin", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_bin", sa.DateTime(timezone=True), nullable=True),
        sa.Column("dropped_rows", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["participants.id"],
            name=op.f("fk_upload_log_participant_id_participants"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload_log")),
    )
    op.create_index(
        op.f("ix_upload_log_participant_id_received_at"), "upload_log", ["participant_id", "received_at"], unique=False
    )
    op.create_index(op.f("ix_upload_log_path"), "upload_log", ["path"], unique=False)
    op.create_table(
        "upload_problems",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("participant_id", sa.BigInteger(), nullable=False),
        sa.Column("received_name", sa.Text(), nullable=False),
        sa.Column("object_path", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("line_errors", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["participants.id"],
            name=op.f("fk_upload_problems_participant_id_participants"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload_problems")),
    )
    op.create_index(
        op.f("ix_upload_problems_participant_id_received_at"),
        "upload_problems",
        ["participant_id", "received_at"],
        unique=False,
    )
    op.create_table(
        "upload_queue",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("study_id", sa.BigInteger(), nullable=False),
        sa.Column("participant_id", sa.BigInteger(), nullable=False),
        sa.Column("os_type", sa.Text(), nullable=True),
        sa.Column("app_version", sa.Text(), server_default="", nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("attempts", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("next_try_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint("state IN ('waiting', 'failed')", name=op.f("ck_upload_queue_state")),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["participants.id"],
            name=op.f("fk_upload_queue_participant_id_participants"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_upload_queue_study_id_studies"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload_queue")),
        sa.UniqueConstraint("path", name=op.f("uq_upload_queue_path"))
    )
    op.create_index(
        "ix_upload_queue_oldest",
        "upload_queue",
        ["received_at"],
        unique=False,
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index(
        "ix_upload_queue_waiting",
        "upload_queue",
        ["participant_id", "path"],
        unique=False,
        postgresql_where=sa.text("state = 'waiting'"),
    )
    # A phone's request rewrites one small row within its page; the queue is small and busy (MODEL-101, MODEL-105).
    op.execute("ALTER TABLE participant_activity SET (fillfactor = 70)")
    op.execute("ALTER TABLE upload_queue SET (autovacuum_vacuum_scale_factor = 0.01)")



def downgrade() -> None:
    op.drop_index("ix_upload_queue_waiting", table_name="upload_queue", postgresql_where=sa.text("state = 'waiting'"))
    op.drop_index("ix_upload_queue_oldest", table_name="upload_queue", postgresql_where=sa.text("state = 'waiting'"))
    op.drop_table("upload_queue")
    op.drop_index(op.f("ix_upload_problems_participant_id_received_at"), table_name="upload_problems")
    op.drop_table("upload_problems")
    op.drop_index(op.f("ix_upload_log_path"), table_name="upload_log")
    op.drop_index(op.f("ix_upload_log_participant_id_received_at"), table_name="upload_log")
    op.drop_table("upload_log")
    op.drop_index(op.f("ix_stored_objects_participant_id"), table_name="stored_objects")
    op.drop_table("stored_objects")
    op.drop_table("served_participants")
    op.drop_table("participant_activity")
    op.drop_index(op.f("ix_heartbeats_participant_id_at"), table_name="heartbeats")
    op.drop_table("heartbeats")
    op.drop_index("uq_chunks_path", table_name="chunks", postgresql_where=sa.text("path IS NOT NULL"))
    op.drop_index("uq_chunks_derived", table_name="chunks", postgresql_where=sa.text("path IS NULL"))
    op.drop_index(op.f("ix_chunks_participant_id_stream_time_bin"), table_name="chunks")
    op.drop_table("chunks")
    op.drop_index(op.f("ix_surveys_study_id"), table_name="surveys")
    op.drop_table("surveys")
    op.drop_index(op.f("ix_study_roles_researcher_id"), table_name="study_roles")
    op.drop_table("study_roles")
    op.drop_index(op.f("ix_participants_study_id_patient_id"), table_name="participants")
    op.drop_index(op.f("ix_participants_study_id_created_at"), table_name="participants")
    op.drop_table("participants")
    op.drop_index(op.f("ix_data_access_records_study_id"), table_name="data_access_records")
    op.drop_index(op.f("ix_data_access_records_researcher_id"), table_name="data_access_records")
    op.drop_table("data_access_records")
    op.drop_table("app_settings")
    op.drop_index(op.f("ix_api_keys_researcher_id"), table_name="api_keys")
    op.drop_table("api_keys")
    op.drop_index("uq_studies_name", table_name="studies")
    op.drop_table("studies")
    op.drop_index("uq_researchers_username", table_name="researchers")
    op.drop_table("researchers")
    op.drop_table("processing_status")
