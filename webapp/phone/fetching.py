"""What phones fetch: the app settings of their study, and its surveys (PHONE-40 to PHONE-56)."""

from flask import Response

from core.database import db
from core.models import AppSettings, Participant
from core.models.survey import surveys_for_phones
from webapp.phone.door import admitted, json_answer, phone_route


@phone_route("/get_latest_device_settings")
def get_latest_device_settings() -> Response:
    """PHONE-41, PHONE-42: every key, always."""
    participant, _ = admitted("last_settings_at")
    settings = settings_of(participant).for_phones()
    db.session.commit()
    return json_answer(settings | {"enable_extensive_device_info_tracking": False})


@phone_route("/download_surveys")
def download_surveys() -> Response:
    """PHONE-44 to PHONE-51. A survey that is left out is deleted on the phone, so all or nothing (PHONE-45)."""
    participant, _ = admitted("last_surveys_at")
    surveys = [
        {
            "_id": survey.object_id,
            "survey_type": survey.survey_type,
            "content": survey.parsed_content(),
            "settings": survey.parsed_settings(),
            "timings": [[] for _ in range(7)],
            "name": survey.name,
        }
        for survey in surveys_for_phones(db.session, participant.study_id)
    ]
    db.session.commit()
    return json_answer(surveys)


def settings_of(participant: Participant) -> AppSettings:
    """The app settings of the participant's study."""
    return db.session.scalars(db.select(AppSettings).where(AppSettings.study_id == participant.study_id)).one()
