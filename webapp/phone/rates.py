"""How much may be asked for in the name of one participant; counted in each process, far above what apps do.

Nobody can use up a phone's share: a request with the participant's password is served whatever others sent (CLAR-11).
"""

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

REQUESTS = RateLimitItemPerMinute(6_000)  # an upload round may be 500 files
WRONG_PASSWORDS = RateLimitItemPerMinute(120)

_limiter = FixedWindowRateLimiter(MemoryStorage())


class TooManyRequests(Exception):
    """The phone keeps its file and comes back."""


def is_within(limit: RateLimitItem, patient_id: str) -> bool:
    """Counts a request in the name of a participant, known or not, and says whether it is within the limit."""
    return _limiter.hit(limit, patient_id.strip().lower()[:32])
