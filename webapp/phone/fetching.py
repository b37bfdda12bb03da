"""What phones fetch: the app settings of their study, and its surveys (PHONE-40 to PHONE-56)."""

from flask import Response, current_app

from core.database import db
from core.models import AppSettings, Participant
from core.models.survey import surveys_for_phones
from core.surveys.for_phones import NO_TEXTS, UnreadableSurvey, content_for_phones, settings_for_phones
from core.surveys.timings import timings_for_phones
from core.surveys.translations import translations_for
from webapp.phone.answers import RETRY_AFTER_SECONDS, json_answer
from webapp.phone.blueprint import admitted, now, phone, phone_route


@phone_route("/get_latest_device_settings")
def get_latest_device_settings() -> Response:
    """All app settings of the study as JSON; every key is always present (PHONE-41, PHONE-42)."""
    participant, _ = admitted("last_settings_at")
    settings = settings_of(participant).for_phones()
    db.session.commit()
    return json_answer(settings | {"enable_extensive_device_info_tracking": participant.is_watched_closely})


@phone_route("/download_surveys")
def download_surveys() -> Response:
    """The study's surveys as JSON (PHONE-44 to PHONE-57), always all: phones delete a missing survey (PHONE-45).

    The time of the request is committed before the surveys are read, so it is kept if one is unreadable (503).
    """
    participant, _ = admitted("last_surveys_at")
    surveys = surveys_for_phones(db.session(), participant.study_id)
    timings = timings_for_phones(db.session(), participant, [survey.id for survey in surveys], now())
    translations = translations_for(db.session(), participant)
    db.session.commit()
    return json_answer(
        [
            {
                "_id": survey.object_id,
                "survey_type": survey.survey_type,
                "content": content_for_phones(survey, of.texts if (of := translations.get(survey.id)) else NO_TEXTS),
                "settings": settings_for_phones(survey),
                "timings": timings[survey.id],
                "name": (of.name if of else None) or survey.name,
            }
            for survey in surveys
        ]
    )


def settings_of(participant: Participant) -> AppSettings:
    """The app settings of the participant's study."""
    query = db.select(AppSettings).where(AppSettings.study_id == participant.study_id)
    settings: AppSettings = db.session.scalars(query).one()
    return settings


@phone.errorhandler(UnreadableSurvey)
def keep_your_surveys(error: UnreadableSurvey) -> Response:
    """503: the phone keeps its surveys and asks again later (PHONE-45)."""
    current_app.logger.error("surveys not served: %s", error)
    return Response(status=503, headers={"Retry-After": RETRY_AFTER_SECONDS})
