"""The page of a study's app settings (SURVEY-40 to SURVEY-43)."""

import re
from typing import Any

from flask import flash, g, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.audit import actor_of
from core.database import db
from core.models import AppSettings
from core.studies.rollout import rollout_of
from core.studies.settings_changes import SettingsOvertaken, save_app_settings
from core.studies.settings_versions import DEFAULTS, newest_version, values_of
from webapp.portal.access.rules import requires
from webapp.portal.frame.navigation import can
from webapp.portal.frame.pages import is_htmx
from webapp.portal.settings import wording
from webapp.portal.settings.forms import AppSettingsForm
from webapp.portal.settings.previewing import Preview, preview_of
from webapp.portal.settings.section import settings_section

PATH = "/device_settings/<number:study_number>"


@settings_section.get(PATH)
@requires(Capability.STUDY_VIEW, is_return_page=True)
def page(study_number: int) -> ResponseReturnValue:
    """The form; for those who may not change settings, the values."""
    saved = _saved()
    if not can(Capability.STUDY_APP_SETTINGS):
        return _page("portal/settings/values.html", preview_of(saved, {}), values=saved, version=None)
    newest = newest_version(db.session(), study_number)
    return _form_page(AppSettingsForm.showing(saved, newest.id if newest else None), preview_of(saved, {}))


@settings_section.post(PATH, endpoint="save")
@requires(Capability.STUDY_APP_SETTINGS)
def save(study_number: int) -> ResponseReturnValue:
    """Saves all settings, or none and says at the fields what is wrong (SURVEY-42)."""
    form, saved = AppSettingsForm(), _saved()
    if not form.checked():
        return _form_page(form, preview_of(saved, form.values(), has_errors=True)), 422
    seen = form.version.data or ""
    try:
        changed = save_app_settings(
            db.session(),
            g.study,
            form.values(),
            g.now,
            actor=actor_of(g.researcher),
            based_on=int(seen) if re.fullmatch("[0-9]{1,18}", seen) else None,
        )
    except SettingsOvertaken as overtaken:
        form.version.process_data(overtaken.newest.id)
        form.version.raw_data = None
        return _form_page(form, preview_of(saved, form.values()), overtaken_by=overtaken.newest), 409
    db.session.commit()
    if changed:
        labels = [change.label for change in wording.changes_in_words(saved, _saved(), changed)]
        flash(f"Saved. Changed: {', '.join(labels)}.", "good")
    else:
        flash("Nothing was changed: these are the settings that were there.", "good")
    return redirect(url_for("settings.page", study_number=study_number))


@settings_section.post(f"{PATH}/preview", endpoint="preview")
@requires(Capability.STUDY_APP_SETTINGS)
def preview(study_number: int) -> ResponseReturnValue:
    """What would follow from the typed settings; nothing is saved."""
    form = AppSettingsForm()
    is_right = form.checked()
    previewed = preview_of(_saved(), form.values(), has_errors=not is_right)
    if is_htmx():
        return render_template("portal/settings/_previews.html", preview=previewed, wording=wording)
    return _form_page(form, previewed)


def _form_page(form: AppSettingsForm, previewed: Preview, **values: Any) -> str:
    return _page("portal/settings/form.html", previewed, form=form, **values)


def _page(template: str, previewed: Preview, **values: Any) -> str:
    newest = newest_version(db.session(), g.study.id)
    return render_template(
        template,
        preview=previewed,
        newest=newest,
        rollout=rollout_of(db.session(), g.study.id, newest.at) if newest else None,
        groups=wording.grouped_settings(),
        defaults=DEFAULTS,
        wording=wording,
        **values,
    )


def _saved() -> dict[str, Any]:
    settings = db.session.scalars(db.select(AppSettings).filter_by(study_id=g.study.id)).one()
    return values_of(settings)
