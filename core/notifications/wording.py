"""What pushes say to each participant: the study's texts, in the participant's language (NOTIF-31, CLAR-62)."""

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.bulk import is_one_of
from core.models import Participant, StudyLanguage
from core.notifications.messages import Wording
from core.studies.languages import codes_of_participants, texts_by_language


def wording_of(session: Session, participant_ids: Collection[int]) -> dict[int, Wording]:
    """The texts for these participants; those to whom the built-in ones go are left out. At most three queries."""
    if not participant_ids:
        return {}
    rows = session.execute(
        sa.select(Participant.id, Participant.study_id).where(
            is_one_of(Participant.id, participant_ids),
            Participant.study_id.in_(sa.select(StudyLanguage.study_id)),
        )
    )
    studies = dict(rows.tuples().all())
    if not studies:
        return {}
    texts = texts_by_language(session, set(studies.values()))
    codes = codes_of_participants(session, studies)
    return {
        participant_id: Wording(**texts[study_id].get(codes.get(participant_id), {}))
        for participant_id, study_id in studies.items()
    }
