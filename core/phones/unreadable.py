"""Limits the bytes of undecrypted files that are kept per participant and day (CLAR-11).

Anybody who knows a patient id may upload (PHONE-21), so junk must not fill the store. Senders without the participant's
password have a limit of their own, so that they cannot use up the phone's.
"""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import ProblemUpload

BYTES_A_DAY_PROVEN = 2 << 30
BYTES_A_DAY_UNPROVEN = 32 << 20


def has_room_aside(session: Session, participant_id: int, size_bytes: int, *, is_sender_proven: bool) -> bool:
    """Whether so many bytes more may be kept, beside those of files kept without decryption within 24 hours.

    `is_sender_proven`: the request had the participant's password. Uploads at the same moment may go beyond the bound
    by what they hold. Ends the transaction.
    """
    kept = sa.select(sa.func.coalesce(sa.func.sum(ProblemUpload.size_bytes), 0)).where(
        ProblemUpload.participant_id == participant_id,
        ProblemUpload.received_at > sa.func.now() - sa.text("interval '1 day'"),
        ProblemUpload.is_sender_proven.is_(is_sender_proven),
    )
    bytes_kept: int = session.scalar(kept) or 0
    session.commit()
    return bytes_kept + size_bytes <= (BYTES_A_DAY_PROVEN if is_sender_proven else BYTES_A_DAY_UNPROVEN)
