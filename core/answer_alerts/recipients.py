"""Who may be told of an alert: asked anew at each send (CLAR-58, PERM-95)."""

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.access import TABLE, Capability, SiteLimit, decide
from core.limits import limit_session
from core.models import AnswerAlert, Participant, Researcher, Study, StudyRole
from core.models.researcher import requester_of


def refusal(session: Session, researcher: Researcher, alert: AnswerAlert) -> str | None:
    """Why this person is not told of this alert; None if they may be."""
    if researcher.is_disabled:
        return "the account is deactivated"
    requester = requester_of(session, researcher)
    study = session.get_one(Study, alert.study_id)
    if not decide(requester, Capability.ANSWERS_READ, study).is_allowed:
        return "no right to read answers of the study"
    if not _sees(session, requester.limits, alert.participant_id):
        return "the participant is of another site"
    if not researcher.mail_address:
        return "no mail address in the account"
    return None


def possible_recipients(session: Session, study: Study) -> list[Researcher]:
    """People who may read answers of the study, by name: those with such a role, and site administrators; one query."""
    allowed = [role.value for role in TABLE[Capability.ANSWERS_READ].roles]
    has_role = sa.exists().where(
        StudyRole.researcher_id == Researcher.id,
        StudyRole.study_id == study.id,
        StudyRole.role.in_(allowed),
        StudyRole.is_current(),
    )
    query = (
        sa.select(Researcher)
        .where(Researcher.is_disabled.is_(False), sa.or_(has_role, Researcher.is_site_admin))
        .order_by(sa.func.lower(Researcher.username))
    )
    return list(session.scalars(query))


def _sees(session: Session, limits: Mapping[int, SiteLimit], participant_id: int) -> bool:
    """Whether a person with these limits sees the participant; asked by the views that pages use."""
    if not limits:
        return True
    with Session(session.get_bind()) as limited:
        limit_session(limited, limits)
        return limited.scalar(sa.select(Participant.id).where(Participant.id == participant_id)) is not None
