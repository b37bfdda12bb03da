"""`make demo`'s own process: a study, an account, and simulated phones that register, look back two weeks, and go on.

The study, its participants and their passwords are made once and kept in VAR_DIR/demo.json; the phones come back to
them at each start.
"""

import json
import os
import sys
import time
import urllib.request
import uuid
from pathlib import Path
from typing import Any

from sqlalchemy.dialects.postgresql import insert

from core.accounts import create_researcher, new_password
from core.config import Settings, get_settings
from core.database import open_session
from core.models import StudyRole, Survey, SurveyType
from core.models.researcher import researcher_by_username
from core.participants import create_participants
from core.storage import SealedStore, open_store
from core.studies import create_study

ACCOUNT = "demo"
STUDY = "Sleep and movement after discharge"
PARTICIPANTS = 12
DAYS_BACK = "14"
FILES_PER_SECOND = "0.5"
WAIT_SECONDS = 120
APP_SETTINGS = {"proximity": True, "magnetometer": False, "check_for_new_surveys_frequency_seconds": 3600}


def main() -> None:
    """Becomes the simulated phones when everything is there; ends with them."""
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
    participants = settings.var_dir / "demo-participants.json"
    participants.write_text(json.dumps(demo["participants"]))
    days = "0" if demo.get("looked_back") else DAYS_BACK
    kept.write_text(json.dumps(demo | {"looked_back": True}))
    os.execv(sys.executable, phones(server, participants, days, settings.var_dir / "demo-phones.json"))


def make_study(settings: Settings) -> dict[str, Any]:
    """A study with surveys of each kind and its participants."""
    with open_session() as session:
        study = create_study(session, STUDY, app_settings=APP_SETTINGS)
        session.flush()
        evening = Survey(study_id=study.id, survey_type=SurveyType.TRACKING, name="Evening check")
        evening.content = json.dumps(evening_questions())
        diary = Survey(study_id=study.id, survey_type=SurveyType.AUDIO, name="Voice diary")
        diary.content = json.dumps([{"prompt": "How was your day?"}])
        diary.settings = json.dumps({"audio_survey_type": "compressed", "bit_rate": 64000, "sample_rate": 44100})
        session.add_all([evening, diary])
        session.commit()
        store = SealedStore(open_store(settings), study, settings)
        new = create_participants(session, store, study, PARTICIPANTS)
        people = [{"patient_id": n.patient_id, "password": n.password} for n in new]
        return {"study": study.object_id, "study_id": study.id, "participants": people}


def evening_questions() -> list[dict[str, Any]]:
    """Questions of three types, as phones read them (PHONE-53)."""

    def question(kind: str, text: str, **more: Any) -> dict[str, Any]:
        return {"question_id": str(uuid.uuid4()), "question_type": kind, "question_text": text, **more}

    return [
        question("info_text_box", "Four short questions about today."),
        question("slider", "How well did you sleep?", min="0", max="10"),
        question("radio_button", "How was your mood?", answers=[{"text": t} for t in ("Low", "Even", "Good")]),
        question("free_response", "How many minutes did you walk?", text_field_type="NUMERIC"),
    ]


def renewed_password() -> str:
    """A new password for the demo's account at each start: nothing of it is kept."""
    password = new_password()
    with open_session() as session:
        researcher = researcher_by_username(session, ACCOUNT)
        if researcher is None:
            researcher = create_researcher(session, ACCOUNT, password, is_site_admin=False)
            session.flush()
        researcher.set_password(password, must_change=False)
        study_id = json.loads((get_settings().var_dir / "demo.json").read_text())["study_id"]
        role = insert(StudyRole).values(study_id=study_id, researcher_id=researcher.id, role="study_admin")
        session.execute(role.on_conflict_do_nothing())
        session.commit()
    return password


def phones(server: str, participants: Path, days: str, report: Path) -> list[str]:
    """The command that the demo becomes."""
    return [
        sys.executable, "-m", "ops.phones", "--server", server, "--participants", str(participants),
        "--backfill-days", days, "--seconds", "inf", "--rate", FILES_PER_SECOND, "--report", str(report),
    ]  # fmt: skip


def wait_for(url: str) -> None:
    """Returns when the address answers; ends the process when it does not for two minutes."""
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
