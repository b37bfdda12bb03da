"""Uploads of the ten minutes after a participant was retired or a study stopped by hand (CLAR-12, PORTAL-135).

They are stored and queued as always, but held back: an undo lets them be processed, else a sweep deletes them. After
the ten minutes, what such phones send is thrown away (PHONE-64).
"""

from datetime import datetime, timedelta
from itertools import islice

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.bulk import is_one_of
from core.clock import check_clock
from core.models import Participant, QueuedUpload, QueueState, StoredObject, Study, UploadRecord
from core.storage import ObjectStore
from core.storage.sealed import SUFFIX

UNDO_TIME = timedelta(minutes=10)
SWEPT_AT_ONCE = 250


def is_held(participant: Participant, now: datetime) -> bool:
    """Whether what the phone sends now is held back; the participant's study is loaded."""
    study = participant.study
    if participant.is_locked_out or study.hidden_at or study.is_over(now):
        return False
    stopped_at = study.stopped_at if study.is_stopped_by_hand else None
    if study.is_stopped_by_hand and stopped_at is None:
        return False
    moments = [at for at in (participant.retired_at, stopped_at) if at]
    return bool(moments) and now - min(moments) < UNDO_TIME


def release_held(session: Session, study: Study, participant: Participant | None = None) -> int:
    """Lets held uploads of the participant, or of the study, be processed; how many. The caller commits.

    Those of participants that are still retired stay held.
    """
    held = sa.update(QueuedUpload).where(QueuedUpload.study_id == study.id, _IS_HELD)
    if participant is not None:
        held = held.where(QueuedUpload.participant_id == participant.id)
    retired = sa.select(Participant.id).where(Participant.study_id == study.id, Participant.retired_at.is_not(None))
    session.flush()
    released = session.execute(
        held.where(QueuedUpload.participant_id.not_in(retired)).values(state=QueueState.WAITING.value),
        execution_options={"synchronize_session": False},
    )
    count: int = released.rowcount  # type: ignore[attr-defined]
    return count


def release_stranded(session: Session) -> int:
    """Lets held uploads be processed whose participant takes part again: an undo may overtake an upload. Commits."""
    goes_on = (
        sa.select(Participant.id)
        .join(Study, Study.id == Participant.study_id)
        .where(
            Participant.id == QueuedUpload.participant_id,
            Participant.retired_at.is_(None),
            Participant.purge_asked_at.is_(None),
            Study.is_stopped_by_hand.is_(False),
        )
    )
    released = session.execute(
        sa.update(QueuedUpload).where(_IS_HELD, goes_on.exists()).values(state=QueueState.WAITING.value),
        execution_options={"synchronize_session": False},
    )
    session.commit()
    count: int = released.rowcount  # type: ignore[attr-defined]
    return count


def delete_held(session: Session, store: ObjectStore, now: datetime) -> int:
    """Deletes held uploads whose time for an undo is over, with all their rows; commits. How many went.

    Rows go before objects: a crash between the two leaves objects that nothing refers to, which `audit-store` lists.
    Raises StoreUnavailable and ClockLooksWrong.
    """
    check_clock(session)
    deleted = 0
    while paths := _outdated(session, now):
        keys = [path + SUFFIX for path in paths]
        session.execute(sa.delete(QueuedUpload).where(is_one_of(QueuedUpload.path, paths), _IS_HELD))
        session.execute(sa.delete(UploadRecord).where(is_one_of(UploadRecord.path, paths)))
        session.execute(sa.delete(StoredObject).where(is_one_of(StoredObject.path, keys)))
        session.commit()
        for key in keys:
            store.delete_versions(list(islice((v for v in store.versions(key) if v.key == key), 1_000)))
        deleted += len(paths)
    return deleted


def _outdated(session: Session, now: datetime) -> list[str]:
    """Paths of held uploads that no undo will release. Locks their rows, so that an undo cannot meet them.

    Not those of participants who wait for their purge: it deletes them itself, and it may be taken back.
    """
    over = now - UNDO_TIME
    is_over = sa.or_(
        Participant.retired_at <= over,
        sa.and_(Participant.retired_at.is_(None), Study.is_stopped_by_hand, Study.stopped_at <= over),
    )
    query = (
        sa.select(QueuedUpload.path)
        .join(Participant, Participant.id == QueuedUpload.participant_id)
        .join(Study, Study.id == QueuedUpload.study_id)
        .where(_IS_HELD, is_over, Participant.purge_asked_at.is_(None))
        .order_by(QueuedUpload.received_at)
        .limit(SWEPT_AT_ONCE)
        .with_for_update(of=QueuedUpload)
    )
    return list(session.scalars(query))


_IS_HELD = QueuedUpload.state == QueueState.HELD.value
