"""Choosing a study (PORTAL-70)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from flask import g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.database import db
from core.models import Participant, ParticipantActivity, Study
from core.models.researcher import NamedStudy, named_studies_of, studies_of
from webapp.portal.doors import portal, signed_in
from webapp.portal.states import Show, conditions

SWITCHER_STUDIES = 12


@dataclass(frozen=True)
class StudyLine:
    """A study in the list, with how its data are coming in."""

    study: Study
    registered: int
    reporting: int
    last_upload_at: datetime | None


@portal.get("/choose_study")
@signed_in()
def choose_study() -> ResponseReturnValue:
    """The studies of this person, filtered by name or object id; straight on where there is only one."""
    studies = studies_of(db.session(), g.researcher)
    if len(studies) == 1:
        return redirect(url_for("portal.study_page", study_number=studies[0].id))
    search = request.args.get("search", "").strip()
    found = [s for s in studies if search.lower() in s.name.lower() or search in s.object_id]
    template = "_studies" if request.htmx else "choose_study"  # type: ignore[attr-defined]
    return render_template(
        f"portal/{template}.html", lines=_lines(found, g.now), search=search, has_studies=bool(studies)
    )


@portal.app_context_processor
def switcher() -> dict[str, Any]:
    """For every page: `switchable()` gives the first studies of the person, and whether there are more."""

    def switchable() -> tuple[list[NamedStudy], bool]:
        studies = named_studies_of(db.session(), g.researcher, SWITCHER_STUDIES + 1)
        return studies[:SWITCHER_STUDIES], len(studies) > SWITCHER_STUDIES

    return {"switchable": switchable, "now": g.get("now"), "researcher": g.get("researcher"), "study": g.get("study")}


def _lines(studies: list[Study], now: datetime) -> list[StudyLine]:
    """One query for all of them."""
    states = conditions(now)
    rows = db.session.execute(
        sa.select(
            Participant.study_id,
            sa.func.count().filter(states[Show.REPORTING]),
            sa.func.count().filter(states[Show.SILENT]),
            sa.func.max(ParticipantActivity.last_upload_at),
        )
        .outerjoin(ParticipantActivity)
        .where(Participant.study_id.in_([s.id for s in studies]), Participant.purged_at.is_(None))
        .group_by(Participant.study_id)
    )
    figures = {number: (reporting + silent, reporting, last) for number, reporting, silent, last in rows}
    return [StudyLine(study, *figures.get(study.id, (0, 0, None))) for study in studies]
