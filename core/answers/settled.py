"""What follows from submissions in the transaction that writes them: the one place for rules that act on them."""

from collections.abc import Collection

from sqlalchemy.orm import Session

from core.answer_alerts.raising import raise_alerts
from core.answers.scoring import score_submissions
from core.webhooks.raising import note_answers


def new_submissions_settled(session: Session, ids: Collection[int]) -> None:
    """Called for submissions that phones have just uploaded, with answers, standings and outcomes written.

    What must act on new submissions alone, such as alerts and webhooks, is called from here, in the same transaction
    (CLAR-58).
    """
    submissions_settled(session, ids)
    raise_alerts(session, ids, is_new=True)
    note_answers(session, ids)


def older_submissions_settled(session: Session, ids: Collection[int]) -> None:
    """Called for submissions that were read later than they were processed: nobody is told of them (CLAR-58)."""
    submissions_settled(session, ids)
    raise_alerts(session, ids, is_new=False)


def submissions_settled(session: Session, ids: Collection[int]) -> None:
    """What follows from every submission: its scores."""
    score_submissions(session, ids)
