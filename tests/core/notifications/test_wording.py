"""Pushes as the service gets them, in the participant's language (NOTIF-31, CLAR-62)."""

from core.audit import SERVER
from core.database import db
from core.models import CustomField, FieldValue
from core.streams import Platform
from core.studies.languages import save_language, set_language_field
from tests.core.notifications.test_sending import NOON
from tests.support.pushing import Pushing


def test_an_iphone_shows_the_participants_language(pushing: Pushing):
    """CLAR-62: Android's app shows its own text, so only iPhones do."""
    session, study = db.session(), pushing.study
    field = CustomField(study_id=study.id, name="Language")
    session.add(field)
    session.flush()
    set_language_field(session, study, field, actor=SERVER)
    save_language(session, study, "en", "English", {}, actor=SERVER)
    save_language(session, study, "es", "Español", {"one_survey": "Es hora 📋", "title": "Diario"}, actor=SERVER)
    speaker, other = pushing.phone(Platform.IOS), pushing.phone(Platform.IOS)
    session.add(FieldValue(participant_id=speaker.id, field_id=field.id, value="es"))
    session.commit()
    pushing.asked(NOON)
    pushing.look()
    shown = {m["token"]: (m["notification"]["title"], m["notification"]["body"]) for m in pushing.google.messages}
    assert shown == {
        f"t-{speaker.patient_id}": ("Diario", "Es hora 📋"),
        f"t-{other.patient_id}": ("Beiwe", "You have a survey to take."),
    }
