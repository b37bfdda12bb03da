"""Accounts that were not used for long cannot sign in (PORTAL-28)."""

from datetime import datetime

from core.models import Researcher


def is_inactive(researcher: Researcher, now: datetime, most_days: int) -> bool:
    """Whether more than `most_days` (INACTIVITY_LOCKOUT_DAYS) have passed since the account was last active.

    Activity is a sign-in, the creation of the account, or a new password: an administrator's reset restarts the time.
    """
    moments = (researcher.last_login_at, researcher.created_at, researcher.password_changed_at)
    return (now - max(at for at in moments if at is not None)).days > most_days
