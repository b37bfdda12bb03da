"""What the site knows of its push services: which are set up, and which are left alone for a while (NOTIF-42)."""

from collections.abc import Collection, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.models import CredentialKind, PushCredential, PushService, PushServiceState
from core.notifications.outcomes import Fate, Outcome
from core.notifications.rules.judging import pause_after

CREDENTIAL_OF = {PushService.FCM: CredentialKind.BACKEND, PushService.APNS: CredentialKind.APNS}
_WORST_FIRST = (Fate.CREDENTIALS, Fate.QUOTA, Fate.UNREACHABLE)


def configured_services(session: Session) -> dict[PushService, datetime]:
    """The services with credentials, and when these were uploaded; one query."""
    rows = dict(session.execute(sa.select(PushCredential.kind, PushCredential.uploaded_at)).tuples().all())
    return {service: rows[kind.value] for service, kind in CREDENTIAL_OF.items() if kind.value in rows}


def service_states(session: Session) -> dict[PushService, PushServiceState]:
    """The state of each service that was ever used; one query."""
    return {PushService(state.service): state for state in session.scalars(sa.select(PushServiceState))}


def resting_services(session: Session, configured: dict[PushService, datetime], now: datetime) -> list[PushService]:
    """The services that are asked nothing at this moment. New credentials are tried at once."""
    return [
        service
        for service, state in service_states(session).items()
        if state.waits_until
        and state.waits_until > now
        and not (state.refused_at and service in configured and configured[service] > state.refused_at)
    ]


def has_accepted(session: Session, service: PushService, uploaded_at: datetime | None) -> bool:
    """Whether the service has taken a message since its credential was uploaded."""
    accepted_at = session.scalar(
        sa.select(PushServiceState.accepted_at).where(PushServiceState.service == service.value)
    )
    return accepted_at is not None and uploaded_at is not None and accepted_at >= uploaded_at


def note_service(
    session: Session,
    service: PushService,
    outcomes: Sequence[Outcome],
    now: datetime,
    *,
    is_blamed: bool = False,
) -> None:
    """Notes how the service treated a run's messages; one that refused is left alone for a while. The caller commits.

    `is_blamed`: the run's answers are the credential's fault, although none says so (NOTIF-41).
    """
    fates = {outcome.fate for outcome in outcomes}
    worst = Fate.CREDENTIALS if is_blamed else next((fate for fate in _WORST_FIRST if fate in fates), None)
    state = session.get(PushServiceState, service.value)
    if state is None:
        session.execute(insert(PushServiceState).values(service=service.value).on_conflict_do_nothing())
        state = session.get_one(PushServiceState, service.value)
    if Fate.DELIVERED in fates and not is_blamed:
        state.accepted_at = now
    if worst is None:
        if fates & {Fate.DELIVERED, Fate.UNREGISTERED, Fate.FAILED}:
            state.failures, state.waits_until, state.reason = 0, None, None
            state.refused_at = state.unreachable_at = None
        return
    state.failures += 1
    seconds = max((o.retry_after_seconds or 0 for o in outcomes if o.fate is worst), default=0)
    state.waits_until = now + pause_after(worst, state.failures, seconds or None)
    state.reason = _reason(outcomes, worst, is_blamed=is_blamed)
    state.refused_at = (state.refused_at or now) if worst is Fate.CREDENTIALS else None
    state.unreachable_at = (state.unreachable_at or now) if worst is Fate.UNREACHABLE else None


def _reason(outcomes: Collection[Outcome], worst: Fate, *, is_blamed: bool) -> str:
    if is_blamed:
        lost = sum(outcome.fate is Fate.UNREGISTERED for outcome in outcomes)
        return f"{lost} of {len(outcomes)} tokens are unknown to it: is the credential that of the phones' app?"
    return next((outcome.reason for outcome in outcomes if outcome.fate is worst), "")
