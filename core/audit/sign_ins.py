"""The log of sign-ins: who signed in or out, who was refused, from where, with which browser (PORTAL-290)."""

from datetime import timedelta
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.audit.browsers import browser_in_words
from core.audit.origin import current_origin
from core.models import SignInOutcome, SignInRecord
from core.models.researcher import researcher_by_username
from core.operations.tallies import Counted, add_tallies

ONCE_IN = timedelta(minutes=1)
# Anybody may cause these, as often as they like and without the work of a hash.
_UNBOUNDED = (SignInOutcome.UNKNOWN_NAME, SignInOutcome.LOCKED)


class Account(Protocol):
    """A researcher's account, as far as the log names it."""

    id: int


def record_sign_in(session: Session, typed_name: str, outcome: SignInOutcome) -> None:
    """Adds a row about an attempt for this user name, or about a sign-out; the caller commits.

    Address, browser and request id are those of the current request. A name that no account has is not stored:
    people type passwords into that field. For a wrong password the row says what is true: the account is disabled, or
    there is none. Refusals of unknown and locked names are recorded once a minute for each name and address; for
    `/metrics` each attempt counts.
    """
    account = researcher_by_username(session, typed_name)
    if outcome is SignInOutcome.WRONG_PASSWORD:
        if account is None:
            outcome = SignInOutcome.UNKNOWN_NAME
        elif account.is_disabled:
            outcome = SignInOutcome.DISABLED
    add_tallies(session, {Counted.SIGN_INS: {outcome.value: 1}})
    origin = current_origin()
    row = SignInRecord(
        username=typed_name if account else None,
        researcher_id=account.id if account else None,
        outcome=outcome.value,
        address=origin.address,
        browser=browser_in_words(origin.user_agent),
        request_id=origin.request_id,
    )
    if outcome not in _UNBOUNDED or not _is_recorded(session, row):
        session.add(row)


def recent_sign_ins(session: Session, researcher: Account, most: int) -> list[SignInRecord]:
    """The newest rows about this account, the newest first, at most `most`; for the page of one's own account."""
    query = sa.select(SignInRecord).where(SignInRecord.researcher_id == researcher.id)
    return list(session.scalars(query.order_by(SignInRecord.at.desc(), SignInRecord.id.desc()).limit(most)))


def _is_recorded(session: Session, row: SignInRecord) -> bool:
    """Whether the same was recorded within the last minute."""
    table = SignInRecord
    same = sa.exists().where(
        table.at > sa.func.now() - ONCE_IN,
        table.outcome == row.outcome,
        table.username.is_not_distinct_from(row.username),
        table.address.is_not_distinct_from(row.address),
    )
    return bool(session.scalar(sa.select(same)))
