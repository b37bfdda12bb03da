"""Creates studies, participants and other rows for tests, with sensible defaults."""

import itertools
from datetime import UTC, date, datetime
from typing import Any

from core.access import Role
from core.accounts import create_api_key, create_researcher
from core.accounts.roles import set_role
from core.audit import SERVER
from core.crypto.passwords import device_hash, hash_participant_password
from core.database import db
from core.models import (
    ApiKey,
    Intervention,
    InterventionDate,
    Participant,
    ParticipantActivity,
    Researcher,
    Schedule,
    Study,
    StudyRole,
    Survey,
    SurveyType,
)
from core.models.participant import participant_with_study
from core.phones.key_cache import private_key_path, public_key_path
from core.storage import SealedStore
from core.streams import Platform
from core.studies import create_study
from core.surveys.saving import add_version
from core.surveys.schedules import Arm, Timing
from core.surveys.timing_rows import row_of
from tests.support.paths import DEVICE_FILES
from webapp.stores import sealed_store

PASSWORD = "correct horse 2"
RESEARCHER_PASSWORD = "Correct horse 1! and more"
_numbers = itertools.count(1)


class Factory:
    """Rows and objects of one test's database and store; every method commits."""

    def study(self, name: str | None = None, **options: Any) -> Study:
        study = create_study(db.session(), name or f"Study {next(_numbers)}", **options, actor=SERVER)
        db.session.commit()
        return study

    def participant(
        self,
        study: Study | None = None,
        patient_id: str | None = None,
        platform: Platform | None = Platform.ANDROID,
        **columns: Any,
    ) -> Participant:
        """A participant with the vectors' key pair, registered unless `platform` is None, password `PASSWORD`."""
        study = study or self.study()
        patient_id = patient_id or _patient_id(next(_numbers))
        participant = Participant(
            patient_id=patient_id,
            study_id=study.id,
            os_type=platform and platform.value,
            password_hash=hash_participant_password(PASSWORD),
            device_id="a device" if platform else "",
            **columns,
        )
        db.session.add(participant)
        db.session.flush()
        db.session.add(ParticipantActivity(participant_id=participant.id))
        db.session.commit()
        store = self.store(study)
        for path, file in (
            (private_key_path(study.object_id, patient_id), "test_private_key.pem"),
            (public_key_path(study.object_id, patient_id), "test_public_key.pem"),
        ):
            store.create(path, (DEVICE_FILES / file).read_bytes())
        loaded = participant_with_study(db.session(), patient_id)
        assert loaded is not None
        return loaded

    def survey(self, study: Study, survey_type: SurveyType = SurveyType.TRACKING, **columns: Any) -> Survey:
        columns = {"published_at": datetime.now(UTC)} | columns
        survey = Survey(study_id=study.id, survey_type=survey_type.value, **columns)
        db.session.add(survey)
        add_version(db.session(), survey, datetime.now(UTC))
        db.session.commit()
        return survey

    def schedule(self, survey: Survey, timing: Timing, arm: Arm | None = None, **columns: Any) -> Schedule:
        """A schedule alone; its events are made by `rebuild_events`."""
        schedule = Schedule(**row_of(survey.id, timing, arm), **columns)
        db.session.add(schedule)
        db.session.commit()
        return schedule

    def intervention(self, study: Study, name: str = "Baseline") -> Intervention:
        intervention = Intervention(study_id=study.id, name=name)
        db.session.add(intervention)
        db.session.commit()
        return intervention

    def intervention_date(self, participant: Participant, intervention: Intervention, on: date) -> None:
        """Sets or moves the participant's date."""
        row = InterventionDate(participant_id=participant.id, intervention_id=intervention.id, happens_on=on)
        db.session.merge(row)
        db.session.commit()

    def researcher(
        self,
        username: str | None = None,
        *,
        study: Study | None = None,
        role: Role = Role.STUDY_RESEARCHER,
        is_site_admin: bool = False,
        password: str = RESEARCHER_PASSWORD,
        must_change_password: bool = False,
    ) -> Researcher:
        username = username or f"researcher{next(_numbers)}"
        researcher = create_researcher(
            db.session(),
            username,
            password,
            is_site_admin=is_site_admin,
            must_change_password=must_change_password,
            actor=SERVER,
        )
        db.session.flush()
        if study:
            db.session.add(StudyRole(study_id=study.id, researcher_id=researcher.id, role=role.value))
        db.session.commit()
        return researcher

    def role(self, researcher: Researcher, study: Study, role: Role | None, ends_on: date | None = None) -> None:
        """Gives, changes or removes a role."""
        set_role(db.session(), study, researcher, role, ends_on=ends_on, actor=SERVER)
        db.session.commit()

    def api_key(self, researcher: Researcher, **narrower: Any) -> dict[str, str]:
        """Form fields of a new key."""
        access_key, secret_key = create_api_key(db.session(), researcher, "", **narrower, actor=SERVER)
        db.session.commit()
        return {"access_key": access_key, "secret_key": secret_key}

    def disable(self, access_key: str) -> None:
        db.session.execute(db.update(ApiKey).where(ApiKey.access_key == access_key).values(is_active=False))
        db.session.commit()

    def store(self, study: Study) -> SealedStore:
        return sealed_store(study)


def phone_fields(participant: Participant, **fields: str) -> dict[str, str]:
    """The credentials that every request of a phone carries, and more fields."""
    return {"patient_id": participant.patient_id, "password": device_hash(PASSWORD), "device_id": "a device", **fields}


def _patient_id(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 9)
        digits = str(digit + 1) + digits
    return "p" + digits.rjust(7, "1")
