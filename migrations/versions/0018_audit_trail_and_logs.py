"""the audit trail is append-only and says from where; sign-ins; what was read of participants' data

Revision ID: 0018
Revises: 0017
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

WHOLE = sa.text("part_of IS NULL")
OLD_INDEXES = (["study_object_id", "at"], ["patient_id", "at"], ["at"])
INDEXES: tuple[tuple[list[str], sa.TextClause | None], ...] = (
    (["study_object_id", "at", "id"], WHOLE),
    (["study_object_id", "actor_name", "at", "id"], WHOLE),
    (["study_object_id", "action", "at", "id"], WHOLE),
    (["study_object_id", "actor_name", "action", "at", "id"], WHOLE),
    (["at", "id"], WHOLE),
    (["actor_name", "at", "id"], WHOLE),
    (["action", "at", "id"], WHOLE),
    (["actor_name", "action", "at", "id"], WHOLE),
    (["patient_id", "at", "id"], None),
    (["part_of", "at", "id"], sa.text("part_of IS NOT NULL")),
)
ACCESS_INDEXES = (
    ["study_id", "started_at", "id"],
    ["study_id", "username", "started_at", "id"],
    ["started_at", "id"],
    ["username", "started_at", "id"],
)
FUNCTION = """
    CREATE FUNCTION refuse_change_of_audit_records() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'audit_records is append-only: % is refused', TG_OP
            USING HINT = 'Rows of the audit trail are never changed.';
    END $$"""
TRIGGER = """
    CREATE TRIGGER audit_records_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_records
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_audit_records()"""
# Also on a connection that has set session_replication_role to replica, which skips ordinary triggers.
ALWAYS = "ALTER TABLE audit_records ENABLE ALWAYS TRIGGER audit_records_append_only"


def upgrade() -> None:
    for name in ("actor_role", "request_id", "address"):
        op.add_column("audit_records", sa.Column(name, sa.Text(), nullable=True))
    op.add_column("audit_records", sa.Column("part_of", sa.BigInteger(), nullable=True))
    for columns in OLD_INDEXES:
        op.drop_index(_index("audit_records", columns), "audit_records")
    for columns, where in INDEXES:
        op.create_index(_index("audit_records", columns), "audit_records", columns, postgresql_where=where)
    _allow_actors("researcher", "api_key", "command", "server")
    for statement in (FUNCTION, TRIGGER, ALWAYS):
        op.execute(statement)

    op.add_column("participant_batches", sa.Column("asked_by_id", sa.BigInteger(), nullable=True))

    table = "data_access_records"
    op.add_column(table, sa.Column("kind", sa.Text(), server_default="data", nullable=False))
    op.add_column(table, sa.Column("participants", sa.Integer(), nullable=True))
    for name in ("key_name", "address", "request_id"):
        op.add_column(table, sa.Column(name, sa.Text(), nullable=True))
    for name in ("patient_ids", "streams"):
        op.add_column(table, sa.Column(name, postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.alter_column(table, "parameters", server_default=sa.text("'{}'"))
    op.drop_index(_index(table, ["study_id"]), table)
    for columns in ACCESS_INDEXES:
        op.create_index(_index(table, columns), table, columns)

    op.create_table(
        "sign_in_records",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("username", sa.Text(), nullable=True),
        sa.Column("researcher_id", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("browser", sa.String(60), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_in_records")),
    )
    for columns in (["at", "id"], *([name, "at", "id"] for name in ("username", "outcome", "researcher_id"))):
        op.create_index(_index("sign_in_records", columns), "sign_in_records", columns)


def downgrade() -> None:
    op.drop_table("sign_in_records")

    table = "data_access_records"
    for columns in ACCESS_INDEXES:
        op.drop_index(_index(table, columns), table)
    op.create_index(_index(table, ["study_id"]), table, ["study_id"])
    op.alter_column(table, "parameters", server_default=None)
    # The version before knows downloads of data alone.
    op.execute(f"DELETE FROM {table} WHERE kind <> 'data'")
    for name in ("kind", "participants", "key_name", "address", "request_id", "patient_ids", "streams"):
        op.drop_column(table, name)

    op.drop_column("participant_batches", "asked_by_id")

    op.execute("DROP TRIGGER audit_records_append_only ON audit_records")
    op.execute("DROP FUNCTION refuse_change_of_audit_records()")
    op.execute("UPDATE audit_records SET actor_kind = 'researcher' WHERE actor_kind = 'api_key'")
    _allow_actors("researcher", "command", "server")
    for columns, _ in INDEXES:
        op.drop_index(_index("audit_records", columns), "audit_records")
    for columns in OLD_INDEXES:
        op.create_index(_index("audit_records", columns), "audit_records", columns)
    for name in ("actor_role", "request_id", "address", "part_of"):
        op.drop_column("audit_records", name)


def _allow_actors(*kinds: str) -> None:
    name = op.f("ck_audit_records_actor_kind")
    op.drop_constraint(name, "audit_records", type_="check")
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    op.create_check_constraint(name, "audit_records", f"actor_kind IN ({listed})")


def _index(table: str, columns: list[str]) -> str:
    return op.f(f"ix_{table}_{'_'.join(columns)}")
