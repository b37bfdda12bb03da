"""Custom fields of a study and their values: what a study team notes of each participant (PORTAL-170)."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Model
from core.models.columns import At, CreatedAt, Id


class CustomField(Model):
    """A named field; each participant of the study may have a value of it. Names are unique ignoring case."""

    __tablename__ = "custom_fields"

    id: Mapped[Id]
    study_id: Mapped[int] = mapped_column(sa.ForeignKey("studies.id", ondelete="RESTRICT"))
    name: Mapped[str] = mapped_column(sa.Text)
    created_at: Mapped[CreatedAt]

    __table_args__ = (sa.Index("uq_custom_fields_name", "study_id", sa.func.lower(name), unique=True),)


class FieldOption(Model):
    """A known value of a custom field, so that others can refer to it by its number, such as limits of roles (CLAR-22).

    Participants may have values that are not known.
    """

    __tablename__ = "field_options"

    id: Mapped[Id]
    field_id: Mapped[int] = mapped_column(sa.ForeignKey("custom_fields.id", ondelete="CASCADE"))
    value: Mapped[str] = mapped_column(sa.Text)

    __table_args__ = (
        sa.UniqueConstraint("field_id", "value"),
        sa.CheckConstraint("length(value) BETWEEN 1 AND 200", name="value"),
    )


class FieldValue(Model):
    """A participant's value of a custom field; no row while it is empty."""

    __tablename__ = "field_values"

    participant_id: Mapped[int] = mapped_column(sa.ForeignKey("participants.id", ondelete="RESTRICT"), primary_key=True)
    field_id: Mapped[int] = mapped_column(sa.ForeignKey("custom_fields.id", ondelete="CASCADE"), primary_key=True)
    value: Mapped[str] = mapped_column(sa.Text)

    # Long values are no names of sites or groups; an index row holds less than 3 kB.
    __table_args__ = (sa.Index("ix_field_values_value", "field_id", sa.func.left(sa.func.lower(value), 100)),)


class FieldValueChange(Model):
    """The value that a participant had before a change of a field by which schedules divide arms (CLAR-53).

    Null where there was none. A change takes effect from the participant's next local day; these rows tell what held
    until then. Other fields have no rows.
    """

    __tablename__ = "field_value_changes"

    id: Mapped[Id]
    participant_id: Mapped[int] = mapped_column(sa.ForeignKey("participants.id", ondelete="RESTRICT"))
    field_id: Mapped[int] = mapped_column(sa.ForeignKey("custom_fields.id", ondelete="CASCADE"), index=True)
    changed_at: Mapped[At]
    value_before: Mapped[str | None] = mapped_column(sa.Text)

    __table_args__ = (sa.Index(None, "participant_id", "field_id"),)
