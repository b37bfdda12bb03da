"""An event that is made anew takes the uuid under which a message about it may have been sent (NOTIF-7, CLAR-61)."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

# Later than this an event is sent no more; earlier than this it is not sent yet, in any zone.
SENT_FOR = timedelta(days=3)
SENT_BEFORE = timedelta(hours=26)


def take_sent_uuids(session: Session, now: datetime) -> int:
    """Gives events that this transaction has made the uuids of messages whose answer is not known; returns how many.

    If such a message is sent again, it has the same uuids, and a receipt of the first one is one of the event. One
    statement; to be called after the removal of the events that had them. The caller commits.
    """
    span = {"since": now - SENT_FOR, "until": now + SENT_BEFORE}
    return session.execute(_TAKEN, span).rowcount  # type: ignore[attr-defined,no-any-return]


# Two schedules may ask at one minute: their events and uuids are paired in a fixed order.
_TAKEN = sa.text(
    """
    WITH made AS MATERIALIZED (
        SELECT id, participant_id, survey_id, scheduled_at,
               row_number() OVER (PARTITION BY participant_id, survey_id, scheduled_at ORDER BY id) AS nth
        FROM scheduled_events
        WHERE state = 'pending' AND scheduled_at BETWEEN :since AND :until AND created_at = now()
    ), unsettled AS (
        SELECT DISTINCT part.participant_id, part.survey_id, part.scheduled_at, part.uuid
        FROM made
        JOIN push_message_events AS part USING (participant_id, survey_id, scheduled_at)
        JOIN push_messages AS message ON message.id = part.message_id
        WHERE message.state IN ('pending', 'unknown') AND part.uuid IS NOT NULL
          AND NOT EXISTS (SELECT FROM scheduled_events AS other WHERE other.uuid = part.uuid)
    ), sent AS (
        SELECT *, row_number() OVER (PARTITION BY participant_id, survey_id, scheduled_at ORDER BY uuid) AS nth
        FROM unsettled
    )
    UPDATE scheduled_events AS event SET uuid = sent.uuid
    FROM made JOIN sent USING (participant_id, survey_id, scheduled_at, nth)
    WHERE event.id = made.id
    """
)
