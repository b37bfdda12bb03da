"""What all senders did in a span of time, for artifacts and pages."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import SenderPass
from core.notifications.outcomes import Fate


@dataclass(frozen=True)
class Recent:
    """Sums over the looks of a span. `reasons` are why events waited in its last look that found some."""

    since: datetime
    until: datetime
    due: int
    outcomes: Counter[str]
    reasons: dict[str, int]

    @property
    def accepted(self) -> int:
        return sum(count for words, count in self.outcomes.items() if words.endswith(f" {Fate.DELIVERED}"))

    @property
    def waiting(self) -> int:
        return sum(self.reasons.values())

    def rows(self) -> list[tuple[str, int]]:
        """The sums as lines: due, then sent by service, platform and outcome, then waiting by reason."""
        sent = [(f"sent: {words}", count) for words, count in sorted(self.outcomes.items())]
        return [("due", self.due), *sent, *((f"waiting: {why}", count) for why, count in self.reasons.items())]


def recent_passes(session: Session, since: datetime, until: datetime) -> Recent:
    """The sums of the looks that began in the span; one query."""
    query = sa.select(SenderPass).where(SenderPass.began_at >= since, SenderPass.began_at <= until)
    passes = list(session.scalars(query.order_by(SenderPass.id)))
    outcomes: Counter[str] = Counter()
    for each in passes:
        outcomes.update(each.outcomes)
    reasons = passes[-1].waiting if passes else {}
    return Recent(since, until, sum(each.due for each in passes), outcomes, dict(reasons))
