"""The process of `make demo`: a study, an account, and simulated phones with two weeks of history that go on reporting.

The study, its participants and their passwords are created once and kept in VAR_DIR/demo.json; each start uses them.
"""

import json
import os
import subprocess
import sys
import time
import urllib.request
import uuid
from datetime import UTC, datetime, timedelta
from datetime import time as clock_time
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from core.accounts import create_researcher, new_password
from core.audit import SERVER
from core.config import Settings, get_settings
from core.database import open_session
from core.models import Participant, ParticipantActivity, StudyRole, SurveyType
from core.models.researcher import researcher_by_username
from core.participants import create_participants
from core.storage import SealedStore, open_store
from core.studies import create_study
from core.surveys.saving import SurveyChanges, create_survey, save_survey
from core.surveys.schedules import ScheduleKind, Weekly
from ops.demo_past import notify_of_last_days

ACCOUNT = "demo"
STUDY = "Sleep and movement after discharge"
PARTICIPANTS = 12
DAYS_BACK = 14
FILES_PER_SECOND = "0.5"
WAIT_SECONDS = 120
APP_SETTINGS = {"proximity": True, "magnetometer": False, "check_for_new_surveys_frequency_seconds": 3600}


def main() -> None:
    """Prepares the study, then replaces this process by the simulated phones."""
    settings = get_settings()
    server = f"http://127.0.0.1:{settings.port}"
    wait_for(f"{server}/healthz")
    kept = settings.var_dir / "demo.json"
    if not kept.exists():
        draft = kept.with_suffix(".draft")
        draft.write_text(json.dumps(make_study(settings)))
        draft.rename(kept)
    demo = json.loads(kept.read_text())
    password = renewed_password()
    print(f"sign in as   {ACCOUNT}   password   {password}", flush=True)
    report = settings.var_dir / "demo-phones.json"
    if "live" not in demo:
        everybody = phones(server, settings.var_dir, demo["participants"], report)
        subprocess.run([*everybody, "--backfill-days", str(DAYS_BACK)], check=True)
        live = make_past_look_past(demo["study_id"])
        demo["live"] = [
            person | {"platform": live[person["patient_id"]]}
            for person in demo["participants"]
            if person["patient_id"] in live
        ]
        kept.write_text(json.dumps(demo))
        if settings.apns_url:  # the demo's own stand-ins
            print(f"{notify_of_last_days(settings, demo['study_id'])} notifications of the last days", flush=True)
    command = phones(server, settings.var_dir, demo["live"], report)
    os.execv(sys.executable, [*command, "--seconds", "inf", "--rate", FILES_PER_SECOND])


def make_study(settings: Settings) -> dict[str, Any]:
    """Creates a study with surveys of each kind and its participants."""
    with open_session() as session:
        study = create_study(session, STUDY, app_settings=APP_SETTINGS, actor=SERVER)
        session.flush()
        now = datetime.now(UTC)
        for survey_type, changes in SURVEYS:
            save_survey(
                session, create_survey(session, study, survey_type, now, actor=SERVER), changes(), now, actor=SERVER
            )
        session.commit()
        store = SealedStore(open_store(settings), study, settings)
        new = create_participants(session, store, study, PARTICIPANTS, actor=SERVER)
        people = [{"patient_id": n.patient_id, "password": n.password} for n in new]
        return {"study": study.object_id, "study_id": study.id, "participants": people}


def evening_check() -> SurveyChanges:
    """A tracking survey for each evening at eight."""
    timings = [Weekly(weekday, clock_time(20)) for weekday in range(7)]
    return SurveyChanges(name="Evening check", content=evening_questions(), timings={ScheduleKind.WEEKLY: timings})


def moment_check() -> SurveyChanges:
    """A short tracking survey five times a day, so that something is sent while the demo is looked at."""
    timings = [Weekly(weekday, clock_time(hour)) for weekday in range(7) for hour in (9, 12, 15, 18, 21)]
    content = evening_questions()[2:3]
    return SurveyChanges(name="Moment check", content=content, timings={ScheduleKind.WEEKLY: timings})


def voice_diary() -> SurveyChanges:
    """An audio survey that is always available."""
    return SurveyChanges(
        name="Voice diary",
        content=[{"prompt": "How was your day?"}],
        settings={"audio_survey_type": "compressed", "bit_rate": 64000, "sample_rate": 44100, "always_available": True},
    )


SURVEYS = ((SurveyType.TRACKING, evening_check), (SurveyType.TRACKING, moment_check), (SurveyType.AUDIO, voice_diary))


def evening_questions() -> list[dict[str, Any]]:
    """Questions of three types in the form that phones read (PHONE-53)."""

    def question(kind: str, text: str, **more: Any) -> dict[str, Any]:
        return {"question_id": str(uuid.uuid4()), "question_type": kind, "question_text": text, **more}

    return [
        question("info_text_box", "Four short questions about today."),
        question("slider", "How well did you sleep?", min="0", max="10"),
        question("radio_button", "How was your mood?", answers=[{"text": t} for t in ("Low", "Even", "Good")]),
        question("free_response", "How many minutes did you walk?", text_field_type="NUMERIC"),
    ]


def renewed_password() -> str:
    """Sets and returns a new password for the demo's account at each start; it is not stored in plain."""
    password = new_password()
    with open_session() as session:
        researcher = researcher_by_username(session, ACCOUNT)
        if researcher is None:
            researcher = create_researcher(session, ACCOUNT, password, is_site_admin=False, actor=SERVER)
            session.flush()
        researcher.set_password(password, must_change=False)
        study_id = json.loads((get_settings().var_dir / "demo.json").read_text())["study_id"]
        role = insert(StudyRole).values(study_id=study_id, researcher_id=researcher.id, role="study_admin")
        session.execute(role.on_conflict_do_nothing())
        session.commit()
    return password


def make_past_look_past(study_id: int) -> dict[str, str]:
    """Sets the times of enrolment and last contact to match the uploaded history.

    Returns the patient ids of the phones that still report, and their platforms.
    """
    start = datetime.now(UTC) - timedelta(days=DAYS_BACK + 1)
    with open_session() as session:
        session.execute(sa.update(Participant).where(Participant.study_id == study_id).values(created_at=start))
        session.execute(_LAST_HEARD_OF, {"study_id": study_id, "start": start})
        session.commit()
        silent = datetime.now(UTC) - timedelta(days=1)
        query = sa.select(Participant.patient_id, sa.func.lower(Participant.os_type)).join(ParticipantActivity)
        return dict(session.execute(query.where(ParticipantActivity.last_upload_at > silent)).tuples().all())


_LAST_HEARD_OF = sa.text(
    """
    UPDATE participant_activity AS activity
    SET first_registered_at = :start, last_registered_at = :start, last_upload_at = newest.at,
        last_surveys_at = newest.at, last_settings_at = newest.at, last_heartbeat_at = newest.at
    FROM (SELECT participant_id, to_timestamp(max(substring(path FROM '([0-9]{13})[.]')::bigint) / 1000) AS at
          FROM upload_log GROUP BY participant_id) AS newest, participants
    WHERE activity.participant_id = newest.participant_id AND newest.at IS NOT NULL
      AND participants.id = newest.participant_id AND participants.study_id = :study_id
    """
)


def phones(server: str, folder: Path, people: list[dict[str, str]], report: Path) -> list[str]:
    """The command line of the simulated phones of these participants."""
    participants = folder / "demo-participants.json"
    participants.write_text(json.dumps(people))
    files = ("--participants", str(participants), "--report", str(report))
    return [sys.executable, "-m", "ops.phones", "--server", server, *files]


def wait_for(url: str) -> None:
    """Waits until the address answers; ends the process after two minutes without an answer."""
    end = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except OSError:
            if time.monotonic() > end:
                sys.exit(f"{url} does not answer")
            time.sleep(0.5)


if __name__ == "__main__":
    main()
