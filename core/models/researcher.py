"""Researchers, their roles in studies, and their API keys."""

import secrets
from collections.abc import Sequence
from datetime import date
from enum import StrEnum
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.access import PURGE_ROLES, STORED_ROLES, Requester, Role, SiteLimit
from core.crypto.passwords import NO_PASSWORD, hash_password
from core.database import Model, SealedText
from core.models.columns import At, CreatedAt, Id, one_of
from core.models.custom_field import FieldOption
from core.models.study import Study


class Appearance(StrEnum):
    """The colours of a person's pages: as the browser's system says, or always light or dark."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


class Researcher(Model):
    """A person who signs in to the portal. `session_token` changes to end all of the person's sessions (PORTAL-29).

    `mail_address` is where alerts are sent; null where the person gave none.
    `last_page` is the path of the last page visited to which sign-in may return (PORTAL-25).
    `totp_secret` is the base32 secret of the person's authenticator app, in use since `totp_enabled_at` (PORTAL-52).
    `totp_last_step` is the last 30-second step whose code was accepted (PORTAL-51). `pending_totp_secret` becomes the
    secret once a code of it was typed (PORTAL-54).
    """

    __tablename__ = "researchers"

    id: Mapped[Id]
    username: Mapped[str] = mapped_column(sa.Text)
    password_hash: Mapped[str] = mapped_column(sa.Text)
    password_changed_at: Mapped[CreatedAt]
    password_length: Mapped[int | None]
    must_change_password: Mapped[bool] = mapped_column(server_default=sa.true())
    is_site_admin: Mapped[bool] = mapped_column(server_default=sa.false())
    is_disabled: Mapped[bool] = mapped_column(server_default=sa.false())
    session_token: Mapped[str] = mapped_column(sa.Text, default=lambda: secrets.token_urlsafe(24))
    last_login_at: Mapped[At | None]
    last_page: Mapped[str | None] = mapped_column(sa.Text)
    created_at: Mapped[CreatedAt]
    mail_address: Mapped[str | None] = mapped_column(sa.Text)
    appearance: Mapped[str] = mapped_column(sa.Text, server_default=Appearance.SYSTEM.value)
    totp_secret: Mapped[str | None] = mapped_column(SealedText("researchers.totp_secret"), deferred=True)
    totp_enabled_at: Mapped[At | None]
    totp_last_step: Mapped[int | None] = mapped_column(sa.BigInteger)
    pending_totp_secret: Mapped[str | None] = mapped_column(SealedText("researchers.totp_secret"), deferred=True)
    pending_totp_at: Mapped[At | None]

    roles: Mapped[list["StudyRole"]] = relationship(back_populates="researcher", passive_deletes=True)

    __table_args__ = (
        sa.Index("uq_researchers_username", sa.func.lower(username), unique=True),
        one_of("appearance", Appearance),
    )

    @property
    def has_password(self) -> bool:
        """Whether the person has set a password, or somebody has; not before an invitation is accepted."""
        return self.password_hash != NO_PASSWORD

    def set_password(self, password: str, *, must_change: bool) -> None:
        """Stores a new password hash and ends every session of this person."""
        self.password_hash, self.password_length = hash_password(password), len(password)
        self.password_changed_at = sa.func.now()
        self.must_change_password = must_change
        self.end_sessions()

    def end_sessions(self) -> None:
        """Ends every session of this person, on every browser (PORTAL-29)."""
        self.session_token = secrets.token_urlsafe(24)


class StudyRole(Model):
    """A researcher's role in one study; at most one per pair (PERM-1).

    `ends_on` is its last day in the study's zone, and `ends_at` the end of that day (PERM-96). Both are written
    together, and `ends_at` again when the study's zone changes. A role that has ended gives no right.
    A role with `limit_field_id` is limited to participants with a value among its `StudyRoleSite` rows; without such
    rows, to nobody. `may_change_study` lets it change what concerns the whole study all the same (PERM-95).
    """

    __tablename__ = "study_roles"

    study_id: Mapped[int] = mapped_column(sa.ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True)
    researcher_id: Mapped[int] = mapped_column(
        sa.ForeignKey("researchers.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    role: Mapped[str] = mapped_column(sa.Text)
    ends_on: Mapped[date | None]
    ends_at: Mapped[At | None]
    limit_field_id: Mapped[int | None] = mapped_column(sa.ForeignKey("custom_fields.id", ondelete="RESTRICT"))
    may_change_study: Mapped[bool] = mapped_column(server_default=sa.false())

    researcher: Mapped[Researcher] = relationship(back_populates="roles")
    study: Mapped[Study] = relationship()

    __table_args__ = (
        one_of("role", STORED_ROLES),
        sa.CheckConstraint("(ends_on IS NULL) = (ends_at IS NULL)", name="ends"),
        sa.CheckConstraint("limit_field_id IS NULL OR role <> 'study_admin'", name="limit"),
        sa.CheckConstraint("limit_field_id IS NOT NULL OR NOT may_change_study", name="may_change_study"),
        sa.Index(
            "ix_study_roles_limit_field_id", "limit_field_id", postgresql_where=sa.text("limit_field_id IS NOT NULL")
        ),
    )

    @classmethod
    def is_current(cls) -> "sa.ColumnElement[bool]":
        """Whether the role has not ended; part of each query that asks for rights (PERM-96)."""
        return sa.or_(cls.ends_at.is_(None), cls.ends_at > sa.func.now())


class StudyRoleSite(Model):
    """A value of the custom field that limits a role: its participants exist for the person (PERM-95)."""

    __tablename__ = "study_role_sites"

    study_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    researcher_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    option_id: Mapped[int] = mapped_column(
        sa.ForeignKey("field_options.id", ondelete="RESTRICT"), primary_key=True, index=True
    )

    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["study_id", "researcher_id"],
            ["study_roles.study_id", "study_roles.researcher_id"],
            name="fk_study_role_sites_role",
            ondelete="CASCADE",
        ),
    )


class ApiKey(Model):
    """Credentials of a researcher's program (DATA-1, DATA-4). Only the secret's hash is kept.

    A key may be narrower than its owner: for `only_study_id` alone, or, with `is_for_lists`, without participants' data
    (PERM-96). From `expires_at` on it is refused; null: never. `last_used_for` is the name of the last request, such as
    `get-data`, at `last_used_at` (PORTAL-63).
    """

    __tablename__ = "api_keys"

    id: Mapped[Id]
    access_key: Mapped[str] = mapped_column(sa.Text, unique=True)
    secret_hash: Mapped[str] = mapped_column(sa.Text)
    name: Mapped[str] = mapped_column(sa.Text, server_default="")
    is_active: Mapped[bool] = mapped_column(server_default=sa.true())
    researcher_id: Mapped[int | None] = mapped_column(sa.ForeignKey("researchers.id", ondelete="SET NULL"), index=True)
    only_study_id: Mapped[int | None] = mapped_column(sa.ForeignKey("studies.id", ondelete="CASCADE"))
    is_for_lists: Mapped[bool] = mapped_column(server_default=sa.false())
    expires_at: Mapped[At | None]
    last_used_at: Mapped[At | None]
    last_used_for: Mapped[str | None] = mapped_column(sa.Text)
    created_at: Mapped[CreatedAt]

    researcher: Mapped[Researcher | None] = relationship()


def researcher_by_username(session: "sa.orm.Session", username: str) -> Researcher | None:
    """The account with exactly this user name (case-sensitive), or None (PORTAL-20)."""
    return session.scalar(
        sa.select(Researcher).where(
            sa.func.lower(Researcher.username) == username.lower(), Researcher.username == username
        )
    )


def requester_of(
    session: "sa.orm.Session",
    researcher: Researcher,
    *,
    key: ApiKey | None = None,
    least_purge_role: str = "study_researcher",
) -> Requester:
    """The researcher, or the program with the researcher's key, as `decide` knows them; one query.

    `least_purge_role` is the setting DATA_DELETION_USERTYPE. Roles are looked up
    at each request, so that a change of them works at once (PERM-2), and so does the end of one (PERM-96).
    """
    rows = session.execute(
        sa.select(StudyRole, sites_of_role())
        .join(Study, Study.id == StudyRole.study_id)
        .where(StudyRole.researcher_id == researcher.id, StudyRole.is_current(), Study.hidden_at.is_(None))
    ).all()
    limits = {} if researcher.is_site_admin else {row.study_id: limit_of_row(row, sites) for row, sites in rows}
    return Requester(
        researcher.is_site_admin,
        {row.study_id: Role(row.role) for row, _ in rows},
        uses_key=key is not None,
        may_purge=PURGE_ROLES[least_purge_role],
        key_study=key.only_study_id if key else None,
        key_is_for_lists=key is not None and key.is_for_lists,
        limits={study_id: limit for study_id, limit in limits.items() if limit},
    )


def limit_of_row(role: StudyRole, sites: Sequence[str] | None) -> SiteLimit | None:
    """The limit of a role, from its row and `sites_of_role`; None without one."""
    if role.limit_field_id is None:
        return None
    return SiteLimit(role.limit_field_id, tuple(sites or ()), role.may_change_study)


def sites_of_role() -> "sa.ColumnElement[Any]":
    """The values to which a role of `StudyRole` is limited, sorted; null for one without a limit."""
    values = (
        sa.select(sa.func.array_agg(aggregate_order_by(FieldOption.value, FieldOption.value)))
        .join(StudyRoleSite, StudyRoleSite.option_id == FieldOption.id)
        .where(
            StudyRoleSite.study_id == StudyRole.study_id,
            StudyRoleSite.researcher_id == StudyRole.researcher_id,
            FieldOption.field_id == StudyRole.limit_field_id,
        )
        .correlate(StudyRole)
        .scalar_subquery()
    )
    return sa.case((StudyRole.limit_field_id.is_not(None), values)).label("sites")


class NamedStudy(NamedTuple):
    """A study in a list: its number and name."""

    id: int
    name: str


def named_studies_of(session: "sa.orm.Session", researcher: Researcher, most: int) -> list[NamedStudy]:
    """Number and name of the first `most` studies that the researcher may see, in the order of `studies_of`."""
    rows = session.execute(_visible(sa.select(Study.id, Study.name), researcher).limit(most))
    return [NamedStudy(*row) for row in rows]


def studies_of(session: "sa.orm.Session", researcher: Researcher) -> list[Study]:
    """Studies that the researcher may see, sorted by name ignoring case; never hidden ones (PORTAL-70)."""
    return list(session.scalars(_visible(sa.select(Study), researcher)))


def studies_of_key(session: "sa.orm.Session", key: ApiKey, researcher: Researcher) -> list[Study]:
    """Studies that a program with this key of the researcher may ask for (PERM-94, PERM-96).

    Those in which the owner is a viewer are left out, and all but one where the key is for one study.
    """
    query = _visible(sa.select(Study), researcher)
    if not researcher.is_site_admin:
        query = query.where(StudyRole.role != Role.STUDY_VIEWER.value)
    if key.only_study_id is not None:
        query = query.where(Study.id == key.only_study_id)
    return list(session.scalars(query))


def _visible(query: "sa.Select[Any]", researcher: Researcher) -> "sa.Select[Any]":
    query = query.where(Study.hidden_at.is_(None)).order_by(sa.func.lower(Study.name), Study.id)
    if not researcher.is_site_admin:
        query = query.join(StudyRole, StudyRole.study_id == Study.id).where(
            StudyRole.researcher_id == researcher.id, StudyRole.is_current()
        )
    return query
