"""Protection against guessed passwords that does not lock out the right person (PORTAL-22, PORTAL-23, CLAR-11).

Failures are counted per user name and source. A browser in which the researcher has signed in before is
a source of its own, so that strangers at the same address cannot lock it. Any other browser counts by its
address; of IPv6 by the network of 64 bits, since one customer has all addresses of it. Ten failures in a
row lock the name for that source alone, for ten minutes.
"""

import hashlib
from datetime import datetime, timedelta
from ipaddress import IPv6Address, IPv6Network, ip_address

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.models import SignInFailures

MOST_IN_A_ROW = 10
LOCK = timedelta(minutes=10)
KEPT = timedelta(days=7)
LONGEST_DELAY_S = 2.0
NETWORK_BITS = 64
_PRUNED_AT_ONCE = 100


def address_source(address: str | None) -> str:
    """The source of a browser without an earlier sign-in: its address, or the /64 network of an IPv6 address."""
    try:
        known = ip_address(address or "")
    except ValueError:
        return f"address:{address or 'none'}"
    if not isinstance(known, IPv6Address):
        return f"address:{known}"
    if known.ipv4_mapped:
        return f"address:{known.ipv4_mapped}"
    return f"address:{IPv6Network((int(known), NETWORK_BITS), strict=False)}"


def browser_source(browser: str) -> str:
    """The source of a browser in which the researcher has signed in before."""
    return f"browser:{browser}"


def is_known_browser(source: str) -> bool:
    """Whether the source is a browser in which the researcher has signed in before."""
    return source.startswith("browser:")


def is_locked(session: Session, username: str, source: str, now: datetime) -> bool:
    """Whether sign-ins for this name from this source are refused unchecked; works alike for unknown names."""
    row = session.get(SignInFailures, (_hashed(username), source))
    return row is not None and row.locked_until is not None and row.locked_until > now


def note_failure(session: Session, username: str, source: str, now: datetime) -> float:
    """Counts a failure; the tenth in a row locks the name for the source (PORTAL-22). The caller commits.

    Returns by how many seconds to delay the answer. The delay grows with the name's failures from all addresses,
    and applies to failures only.
    """
    _prune(session, now)
    table = SignInFailures
    row = insert(table).values(name_hash=_hashed(username), source=source, in_a_row=1, untold=1, last_at=now)
    again = table.in_a_row + 1
    is_tenth = again >= MOST_IN_A_ROW
    session.execute(
        row.on_conflict_do_update(
            index_elements=["name_hash", "source"],
            set_={
                "in_a_row": sa.case((is_tenth, 0), else_=again),
                "untold": table.untold + 1,
                "last_at": now,
                "locked_until": sa.case((is_tenth, now + LOCK), else_=table.locked_until),
            },
        )
    )
    lately = (table.name_hash == _hashed(username), table.last_at > now - LOCK)
    everywhere = session.scalar(sa.select(sa.func.sum(table.untold)).where(*lately)) or 0
    return delay_after(int(everywhere))


def delay_after(failures: int) -> float:
    """Seconds to delay the answer after so many failures: none at first, then longer with each, at most two."""
    return min(0.05 * max(failures - MOST_IN_A_ROW, 0), LONGEST_DELAY_S)


def note_success(session: Session, username: str, source: str) -> int:
    """Resets the source's failures; returns how many the researcher has not been told of. The caller commits."""
    table = SignInFailures
    of_name = table.name_hash == _hashed(username)
    untold = session.scalar(sa.select(sa.func.sum(table.untold)).where(of_name)) or 0
    session.execute(sa.update(table).where(of_name).values(untold=0))
    session.execute(sa.delete(table).where(of_name, table.source == source))
    return int(untold)


def forget_failures(session: Session, username: str, source: str | None = None) -> None:
    """Resets one source's failures, without any message to the researcher. The caller commits.

    Without a source, those of all: an administrator who resets the password lifts every lock (PORTAL-193).
    """
    is_meant = SignInFailures.name_hash == _hashed(username)
    if source is not None:
        is_meant = sa.and_(is_meant, SignInFailures.source == source)
    session.execute(sa.delete(SignInFailures).where(is_meant))


def _prune(session: Session, now: datetime) -> None:
    """Removes a few outdated rows."""
    old = sa.select(sa.text("ctid")).select_from(SignInFailures).where(SignInFailures.last_at < now - KEPT)
    batch = old.limit(_PRUNED_AT_ONCE).with_for_update(skip_locked=True).cte("old")
    statement = sa.delete(SignInFailures).where(sa.text("ctid IN (SELECT ctid FROM old)")).add_cte(batch)
    session.execute(statement, execution_options={"synchronize_session": False})


def _hashed(username: str) -> bytes:
    return hashlib.sha256(username.lower().encode()).digest()
