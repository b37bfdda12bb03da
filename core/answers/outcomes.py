"""What submissions are to events, and what came of events (NOTIF-24, CLAR-51): one meaning for all pages.

A submission belongs to the survey's newest event that counted before it. The first one within the expiry answers the
event, the first one after it is late, all others are extra. Both sides are worked out anew from the event before a
moment on, so the order in which events, uploads and old files arrive does not matter.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.answers.counting import Touched, record_counted_events
from core.models import CountedEvent, Outcome

MOST_AT_ONCE = 20_000
_GIVEN = """
    SELECT * FROM unnest(CAST(:participants AS bigint[]), CAST(:surveys AS bigint[]), CAST(:ats AS timestamptz[]))
        AS g (participant_id, survey_id, at)
"""

# Taken in one order before anything is read, so that the sender of an upload and the periodic step cannot deadlock, and
# the second of them sees what the first has written.
_LOCK = sa.text(
    """
    WITH given AS (GIVEN)
    SELECT e.id FROM given AS t
    JOIN counted_events AS e ON e.participant_id = t.participant_id AND e.survey_id = t.survey_id
        AND e.expires_at >= t.at - interval '31 days'
    ORDER BY e.id FOR NO KEY UPDATE OF e
    """.replace("GIVEN", _GIVEN)
)
_SETTLE = sa.text(
    """
    WITH given AS (GIVEN), touched AS (
        SELECT t.participant_id, t.survey_id, coalesce(
            (SELECT max(e.counts_at) FROM counted_events AS e
             WHERE e.participant_id = t.participant_id AND e.survey_id = t.survey_id AND e.counts_at < t.at),
            t.at) AS at
        FROM given AS t
    ), events AS (
        SELECT e.id, e.participant_id, e.survey_id, e.counts_at, e.expires_at, min(e.counts_at) OVER (
            PARTITION BY e.participant_id, e.survey_id ORDER BY e.counts_at
            RANGE BETWEEN '1 microsecond' FOLLOWING AND UNBOUNDED FOLLOWING) AS next_at
        FROM touched AS t JOIN counted_events AS e
            ON e.participant_id = t.participant_id AND e.survey_id = t.survey_id AND e.counts_at >= t.at
    ), placed AS (
        SELECT s.id, s.submitted_at, e.id AS event_id, s.submitted_at < e.expires_at AS is_in_time,
            row_number() OVER (PARTITION BY coalesce(e.id, -s.id) ORDER BY s.submitted_at, s.id) AS nth
        FROM touched AS t
        JOIN submissions AS s ON s.participant_id = t.participant_id AND s.survey_id = t.survey_id
            AND s.submitted_at >= t.at AND s.standing <> 'duplicate'
        LEFT JOIN events AS e ON e.participant_id = s.participant_id AND e.survey_id = s.survey_id
            AND e.counts_at <= s.submitted_at AND (e.next_at IS NULL OR s.submitted_at < e.next_at)
    ), standings AS (
        SELECT id, CASE WHEN bool_and(event_id IS NULL) THEN 'unasked' WHEN min(nth) > 1 THEN 'extra'
            WHEN bool_or(is_in_time) THEN 'answered' ELSE 'late' END AS standing
        FROM placed GROUP BY id
    ), stood AS (
        UPDATE submissions AS s SET standing = n.standing FROM standings AS n
        WHERE s.id = n.id AND s.standing <> n.standing
    )
    UPDATE counted_events AS c
    SET outcome = found.outcome, answered_at = found.answered_at, submission_id = found.submission_id,
        opened_at = least(c.opened_at, found.answered_at)
    FROM (
        SELECT e.id, p.id AS submission_id, p.submitted_at AS answered_at,
            CASE WHEN p.is_in_time THEN 'answered' WHEN p.id IS NOT NULL THEN 'late'
                WHEN least(e.expires_at, e.next_at) <= CAST(:now AS timestamptz) THEN 'missed'
                ELSE 'open' END AS outcome
        FROM events AS e LEFT JOIN placed AS p ON p.event_id = e.id AND p.nth = 1
    ) AS found
    WHERE c.id = found.id AND (c.outcome, c.submission_id) IS DISTINCT FROM (found.outcome, found.submission_id)
    """.replace("GIVEN", _GIVEN)
)
_OPEN = sa.text(
    """
    WITH given AS (GIVEN)
    UPDATE counted_events AS c SET opened_at = found.at
    FROM (
        SELECT newest.id, min(o.at) AS at
        FROM given AS o
        CROSS JOIN LATERAL (
            SELECT e.id FROM counted_events AS e
            WHERE e.participant_id = o.participant_id AND e.survey_id = o.survey_id AND e.counts_at <= o.at
            ORDER BY e.counts_at DESC LIMIT 1) AS newest
        GROUP BY newest.id
    ) AS found
    WHERE c.id = found.id AND (c.opened_at IS NULL OR c.opened_at > found.at)
    """.replace("GIVEN", _GIVEN)
)


def settle_outcomes(session: Session, touched: Iterable[Touched], now: datetime) -> None:
    """Works out standings of submissions and outcomes of events of these pairs from their moments on.

    Two statements, whatever their number. The caller commits.
    """
    earliest: dict[tuple[int, int], datetime] = {}
    for each in touched:
        pair = (each.participant_id, each.survey_id)
        earliest[pair] = min(each.since, earliest.get(pair, each.since))
    if not earliest:
        return
    session.flush()
    pairs = sorted(earliest)
    given = {
        "participants": [participant for participant, _ in pairs],
        "surveys": [survey for _, survey in pairs],
        "ats": [earliest[pair] for pair in pairs],
    }
    session.execute(_LOCK, given)
    session.execute(_SETTLE, given | {"now": now})


def record_openings(session: Session, seen: Iterable[tuple[int, int, datetime]], now: datetime) -> None:
    """Notes that participants saw surveys: participant, survey and moment of rows of survey timings (NOTIF-24).

    One statement. The caller commits.
    """
    rows = [row for row in seen if row[2] <= now]
    if rows:
        participants, surveys, ats = map(list, zip(*rows, strict=True))
        session.execute(_OPEN, {"participants": participants, "surveys": surveys, "ats": ats})


def miss_expired(session: Session, now: datetime) -> int:
    """Ends open events whose time to answer is over, at most 20,000; returns how many. The caller commits."""
    expired = sa.select(CountedEvent.id).where(
        CountedEvent.outcome == Outcome.OPEN.value, CountedEvent.expires_at <= now
    )
    locked = expired.order_by(CountedEvent.id).limit(MOST_AT_ONCE).with_for_update(skip_locked=True)
    missed = sa.update(CountedEvent).where(CountedEvent.id.in_(locked)).values(outcome=Outcome.MISSED.value)
    return session.execute(missed, execution_options={"synchronize_session": False}).rowcount  # type: ignore[attr-defined,no-any-return]


def bring_outcomes_up_to_date(session: Session, now: datetime, **which: Any) -> int:
    """Writes events that have counted by now and what came of them; returns how many pairs of participant and survey
    changed. `which` is the scope of `record_counted_events`. The caller commits.
    """
    touched = record_counted_events(session, now, **which)
    settle_outcomes(session, touched, now)
    return len(touched)
