"""The history of app settings, their rollout to phones, and the versions of consent texts (CLAR-31, CLAR-34)."""

from typing import Any

from flask import abort, g, render_template, request
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.database import db
from core.models import AppSettingsVersion
from core.studies.consent_versions import consent_texts, consent_versions
from core.studies.rollout import phones_without, rollout_of, rollouts_of
from core.studies.settings_versions import DEFAULTS, completed, newest_version, settings_history, settings_version
from webapp.portal.access.rules import requires
from webapp.portal.settings import wording
from webapp.portal.settings.previewing import preview_of
from webapp.portal.settings.section import settings_section
from webapp.portal.settings.views import PATH

CHANGES_SHOWN = 20
MOST_PAGES = 10_000


@settings_section.get(f"{PATH}/history")
@requires(Capability.STUDY_VIEW)
def history(study_number: int) -> ResponseReturnValue:
    """Every change: who, when, what, and how many phones have it; 20 a page."""
    page = _page_asked_for()
    changes, has_more = settings_history(db.session(), study_number, page, CHANGES_SHOWN)
    rollouts = rollouts_of(db.session(), study_number, [change.at for change in changes])
    return render_template(
        "portal/settings/history.html",
        changes=list(zip(changes, rollouts, strict=True)),
        page=page,
        has_more=has_more,
        wording=wording,
    )


@settings_section.get(f"{PATH}/history/<number:version_number>")
@requires(Capability.STUDY_VIEW)
def version(study_number: int, version_number: int) -> ResponseReturnValue:
    """All settings as one change left them."""
    values = completed(_version(study_number, version_number).values)
    return render_template(
        "portal/settings/values.html",
        version=_version(study_number, version_number),
        newest=newest_version(db.session(), study_number),
        values=values,
        preview=preview_of(values, {}),
        groups=wording.grouped_settings(),
        defaults=DEFAULTS,
        wording=wording,
    )


@settings_section.get(f"{PATH}/rollout")
@requires(Capability.STUDY_VIEW)
def rollout(study_number: int) -> ResponseReturnValue:
    """How many phones have fetched a change (the newest, or that of the argument `version`), and who has not."""
    number = request.args.get("version", "")
    if number and not (number.isascii() and number.isdecimal() and len(number) <= 18):
        abort(404)
    newest = newest_version(db.session(), study_number)
    change = _version(study_number, int(number)) if number else newest
    values: dict[str, Any] = {}
    page = _page_asked_for()
    if change:
        values["rollout"] = rollout_of(db.session(), study_number, change.at)
        values["phones"], values["has_more"] = phones_without(db.session(), study_number, change.at, page)
    return render_template(
        "portal/settings/rollout.html",
        change=change,
        is_newest=bool(change and newest and change.id == newest.id),
        page=page,
        wording=wording,
        **values,
    )


@settings_section.get(f"{PATH}/consent")
@requires(Capability.STUDY_VIEW)
def consents(study_number: int) -> ResponseReturnValue:
    """The versions of the consent texts, with how many participants were sent each."""
    return render_template("portal/settings/consents.html", versions=consent_versions(db.session(), study_number))


@settings_section.get(f"{PATH}/consent/<number:version_number>")
@requires(Capability.STUDY_VIEW)
def consent(study_number: int, version_number: int) -> ResponseReturnValue:
    """The texts of one version, and how they differ from the version before."""
    texts = consent_texts(db.session(), study_number, version_number) if version_number < 2**31 else None
    if texts is None:
        abort(404, "There is no such version.")
    listed = {listed.number: listed for listed in consent_versions(db.session(), g.study.id)}
    return render_template(
        "portal/settings/consent.html", version=listed[version_number], texts=texts, newest=max(listed), wording=wording
    )


def _version(study_number: int, version_number: int) -> AppSettingsVersion:
    found = settings_version(db.session(), study_number, version_number)
    return found or abort(404, "There is no such version.")


def _page_asked_for() -> int:
    number = request.args.get("page", "1")
    is_number = number.isascii() and number.isdecimal() and len(number) < 6
    return min(max(int(number), 1), MOST_PAGES) if is_number else 1
