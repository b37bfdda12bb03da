"""Rate limits by patient id, counted in each process. They are far above what apps send.

A request with the participant's password is always served, so others cannot use up a phone's limit (CLAR-11).
"""

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

REQUESTS = RateLimitItemPerMinute(6_000)  # a phone may upload 500 files at once
WRONG_PASSWORDS = RateLimitItemPerMinute(120)

_limiter = FixedWindowRateLimiter(MemoryStorage())


class TooManyRequests(Exception):
    """Too many requests for one patient id: 429. The phone keeps its file and tries again."""


def is_within(limit: RateLimitItem, patient_id: str) -> bool:
    """Counts a request for this patient id, which may be unknown, and returns whether it is within the limit."""
    return _limiter.hit(limit, patient_id.strip().lower()[:32])
