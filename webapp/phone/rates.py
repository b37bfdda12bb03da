"""How much one phone may ask for; counted in each process, far above what apps do (an upload round of 500 files)."""

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

REQUESTS = RateLimitItemPerMinute(6_000)
# Where a password is compared, so that nobody guesses on.
WITH_PASSWORD = RateLimitItemPerMinute(120)

_limiter = FixedWindowRateLimiter(MemoryStorage())


class TooManyRequests(Exception):
    """The phone keeps its file and comes back."""


def count_request(patient_id: str, limit: RateLimitItem) -> None:
    """Counts a request in the name of a participant, known or not. Raises TooManyRequests."""
    if not _limiter.hit(limit, patient_id.strip().lower()[:32]):
        raise TooManyRequests
