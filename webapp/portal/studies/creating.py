"""Creating a study: new, from a settings file, or from another study (PORTAL-80 to PORTAL-83)."""

from typing import Any

from flask import flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import IntegrityError

from core.access import Capability
from core.audit import actor_of
from core.database import db
from core.models import Study
from core.models.researcher import studies_of
from core.studies import StudyRefused, create_study
from core.studies.changing import set_forest
from core.studies.copying import copy_study
from core.studies.settings_file.importing import ImportRefused, Ticks, import_file, plan_import
from core.studies.settings_file.reading import FileUnreadable, read_study_file
from core.studies.zones import zones_by_offset
from webapp.portal.access.rules import requires
from webapp.portal.frame.wording import counted
from webapp.portal.studies.section import studies
from webapp.portal.studies.settings_files import uploaded_settings_file

FIELDS = ("name", "timezone", "source", "existing_study_id", "device_settings", "surveys", "forest_enabled")


@studies.get("/create_study")
@requires(Capability.STUDY_CREATE)
def create() -> ResponseReturnValue:
    """The form."""
    return _page({"device_settings": "true", "surveys": "true"})


@studies.post("/create_study", endpoint="make")
@requires(Capability.STUDY_CREATE)
def make() -> ResponseReturnValue:
    """Creates the study, and fills it from a file or another study as ticked; all or nothing."""
    form = request.form
    typed = {name: form.get(name, "") for name in FIELDS}
    actor = actor_of(g.researcher)
    try:
        study = create_study(
            db.session(),
            form.get("name", ""),
            timezone_name=form.get("timezone", ""),
            encryption_key=form.get("encryption_key") or None,
            actor=actor,
        )
        db.session.flush()
        texts = _fill(study, typed)
        if typed["forest_enabled"] == "true":
            set_forest(db.session(), study, True, actor=actor)
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        return _page(typed, {"name": "A study has this name already."})
    except (StudyRefused, FileUnreadable, ImportRefused) as refused:
        db.session.rollback()
        return _page(typed, {_field_of(refused, str(refused)): str(refused)})
    for text in texts:
        flash(text, "good")
    flash(f"{study.name} was created. Look at its app settings before the first phone registers.", "good")
    return redirect(url_for("settings.page", study_number=study.id))


def _fill(study: Study, typed: dict[str, str]) -> list[str]:
    """Settings and surveys from where the form says; what was done, in sentences."""
    actor = actor_of(g.researcher)
    ticks = Ticks(settings=typed["device_settings"] == "true", surveys=typed["surveys"] == "true")
    if typed["source"] == "file":
        plan = plan_import(db.session(), study, read_study_file(uploaded_settings_file()), ticks)
        import_file(db.session(), study, plan, g.now, actor=actor)
        return [f"{counted(len(plan.surveys), 'survey')} and {counted(len(plan.settings), 'app setting')} came in."]
    if typed["source"] == "study":
        number = typed["existing_study_id"]
        source = next((s for s in studies_of(db.session(), g.researcher) if str(s.id) == number), None)
        if source is None:
            raise ImportRefused("Choose a study to copy from.")
        copied = copy_study(
            db.session(), source, study, settings=ticks.settings, surveys=ticks.surveys, now=g.now, actor=actor
        )
        surveys = f"{counted(copied.surveys, 'survey')} and {counted(copied.audio_surveys, 'audio survey')}"
        settings = "app settings were copied" if ticks.settings else "app settings are the defaults"
        return [f"{surveys} came from {source.name}; {settings}."]
    return []


def _field_of(refused: Exception, text: str) -> str:
    if isinstance(refused, StudyRefused):
        return "encryption_key" if "key" in text else "timezone" if "zone" in text else "name"
    return "source"


def _page(typed: dict[str, str], problems: dict[str, str] | None = None) -> ResponseReturnValue:
    values: dict[str, Any] = {"typed": typed, "problems": problems or {}}
    others, zones = studies_of(db.session(), g.researcher), zones_by_offset(g.now.year)
    page = render_template("portal/studies/create.html", others=others, zones=zones, **values)
    return page, 422 if problems else 200
