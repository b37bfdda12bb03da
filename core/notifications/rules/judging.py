"""What the outcomes of a run say about a credential, and how long to wait after each class (NOTIF-41 to 43). Pure."""

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta

from core.notifications.outcomes import Fate

FEW = 5
TOKEN_PAUSE = timedelta(minutes=6)
REFUSED_PAUSE = timedelta(minutes=5)
FIRST_PAUSE = timedelta(seconds=15)
LONGEST_PAUSE = timedelta(minutes=5)
QUOTA_PAUSE = timedelta(minutes=1)
LONGEST_QUOTA_PAUSE = timedelta(hours=1)
UNREACHABLE_IN_A_ROW = 10
"""After so many answers in a row that the service gave nobody, a run asks it nothing more."""


def blames_credential(fates: Iterable[Fate], *, has_accepted: bool) -> bool:
    """Whether "unregistered" answers of a run are the credential's fault: the wrong topic, sandbox or project.

    So it is where more than half of a run fail so, and where a credential that never sent anything begins so. A run
    of less than five messages cannot tell, once the credential has sent something.
    """
    counts = Counter(fates)
    answered = counts[Fate.DELIVERED] + counts[Fate.UNREGISTERED] + counts[Fate.FAILED]
    lost = counts[Fate.UNREGISTERED]
    if not lost:
        return False
    if not has_accepted and not counts[Fate.DELIVERED]:
        return True
    return answered >= FEW and lost * 2 > answered


def pause_after(fate: Fate, failures: int, retry_after_seconds: int | None = None) -> timedelta:
    """How long the service is left alone after a failure of this class; `failures` in a row, this one included."""
    if fate is Fate.CREDENTIALS:
        return REFUSED_PAUSE
    if fate is Fate.QUOTA:
        asked = timedelta(seconds=retry_after_seconds) if retry_after_seconds else QUOTA_PAUSE
        return min(asked, LONGEST_QUOTA_PAUSE)
    doubled: int = 2 ** min(failures - 1, 10)
    pause = min(FIRST_PAUSE * doubled, LONGEST_PAUSE)
    asked = timedelta(seconds=retry_after_seconds) if retry_after_seconds else timedelta()
    return max(pause, min(asked, LONGEST_QUOTA_PAUSE))
