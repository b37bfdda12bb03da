"""Checks whether the store is the right one when files are missing (PROC-52, CLAR-13)."""

from contextlib import suppress

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.crypto.seal import SealBroken
from core.models import Participant, StoredObject
from core.phones.key_cache import private_key_path
from core.processing.fetching import Fetched
from core.processing.report import StoreLooksWrong
from core.storage import ObjectMissing, SealedStore
from core.storage.sealed import SUFFIX

MOST_TRIED = 5


def check_missing(session: Session, participant: Participant, store: SealedStore, fetched: Fetched) -> None:
    """Returns if nothing is missing, or if another object of the study can be read, which shows the right store.

    Raises StoreLooksWrong otherwise: a wrong bucket, an unmounted folder. Raises StoreUnavailable.
    """
    if not fetched.missing or fetched.files:
        return
    for path, seal in _known_objects(session, participant, store.study_id):
        with suppress(ObjectMissing, SealBroken):
            store.read(path, seal)
            return
    raise StoreLooksWrong(
        f"{len(fetched.missing)} raw files of participant {participant.patient_id} are missing, and no other object of "
        "the study could be read; is this the right bucket or folder?"
    )


def _known_objects(session: Session, participant: Participant, study_id: str) -> list[tuple[str, str | None]]:
    """Key files: the participant's own, which every participant has, and the first few of the study."""
    folder = f"{study_id}/keys/"
    query = sa.select(StoredObject.path, StoredObject.seal)
    query = query.where(StoredObject.path >= folder, StoredObject.path < folder[:-1] + "0").order_by(StoredObject.path)
    others = [(row.path.removesuffix(SUFFIX), row.seal) for row in session.execute(query.limit(MOST_TRIED))]
    session.commit()  # no transaction is open while the store is read
    return [(private_key_path(study_id, participant.patient_id), None), *others]
