"""Turns raw objects that a crash left without rows into accepted uploads (PHONE-68, OPS-20)."""

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.config import Settings
from core.crypto.seal import SealBroken
from core.models.participant import participant_with_study
from core.models.study import study_by_object_id
from core.phones.key_cache import PrivateKeyCache
from core.phones.uploads import UploadContext, rows_of_upload
from core.storage import ObjectStore, SealedStore
from core.storage.sealed import SUFFIX
from core.streams import SPECS, Platform
from core.streams.paths import UnknownStream, below_participant, stream_of_path

QUEUED = "queued"


class NotRequeued(Exception):
    """The object is not a raw upload of a participant of this study, or cannot be opened. The message says which."""


def patient_of(path: str, study_id: str) -> str | None:
    """The patient id in the key of a raw upload of this study, or None."""
    pieces = path.split("/")
    return pieces[1] if len(pieces) > 2 and pieces[0] == study_id and pieces[1] != "keys" else None


def requeue_orphan(context: UploadContext, key: str) -> bool:
    """Adds the rows of the raw object under this key; commits. Returns False if the rows exist by now.

    Raises NotRequeued, StoreUnavailable.
    """
    path = key.removesuffix(SUFFIX)
    patient_id = patient_of(path, context.store.study_id)
    if patient_id is None or path == key:
        raise NotRequeued("not the key of a raw upload")
    participant = participant_with_study(context.session, patient_id)
    if participant is None or participant.study.object_id != context.store.study_id or participant.is_locked_out:
        raise NotRequeued("there is no such participant in this study")
    try:
        stream = stream_of_path(below_participant(path))
        contents, _ = context.store.read(path)
    except (UnknownStream, SealBroken) as error:
        raise NotRequeued(str(error)) from None
    try:
        platform = SPECS[stream].only_platform or (Platform(participant.os_type) if participant.os_type else None)
        context.session.execute(*rows_of_upload(participant, context.store.adopt(path, contents), platform))
        context.session.commit()
    except IntegrityError:
        context.session.rollback()
        return False
    return True


def requeued(session: Session, store: ObjectStore, settings: Settings, key: str) -> str:
    """Requeues a key that an audit found without a row; commits. Returns `queued`, or the reason against it.

    Raises StoreUnavailable.
    """
    study = study_by_object_id(session, key.partition("/")[0])
    if study is None:
        return "left alone: not in a study's folder"
    context = UploadContext(session, SealedStore(store, study, settings), PrivateKeyCache())
    try:
        return QUEUED if requeue_orphan(context, key) else "its rows have come meanwhile"
    except NotRequeued as reason:
        return f"left alone: {reason}"
