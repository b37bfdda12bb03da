"""The portal: pages for researchers, one package for each section. `SECTIONS` lists them all."""

from flask import Flask
from werkzeug.routing import BaseConverter

from webapp.portal.access.checking import csrf, guard
from webapp.portal.access.rules import require_access_rules
from webapp.portal.access.sessions import PortalSessions, login_manager
from webapp.portal.access.views import access
from webapp.portal.account import keys, passwords, second_factor, sessions  # noqa: F401  their views
from webapp.portal.account import views as account_views  # noqa: F401
from webapp.portal.account.section import account
from webapp.portal.alerts import rules as alert_rules  # noqa: F401  their views
from webapp.portal.alerts import views as alert_views  # noqa: F401
from webapp.portal.alerts.section import alerts
from webapp.portal.answers import exports as answer_exports  # noqa: F401  their views
from webapp.portal.answers import files as answer_files  # noqa: F401
from webapp.portal.answers import person as answers_of_person  # noqa: F401
from webapp.portal.answers import scores as answer_scores  # noqa: F401
from webapp.portal.answers import submissions as answer_submissions  # noqa: F401
from webapp.portal.answers import views as answer_views  # noqa: F401
from webapp.portal.answers.section import answers
from webapp.portal.audit import views as audit_views  # noqa: F401  its views
from webapp.portal.audit.section import audit
from webapp.portal.downloads import exports as background_exports  # noqa: F401  their views
from webapp.portal.downloads import views as download_views  # noqa: F401
from webapp.portal.downloads.section import downloads
from webapp.portal.forest import files as forest_files  # noqa: F401  its views
from webapp.portal.forest import nightly as forest_nightly  # noqa: F401  its views
from webapp.portal.forest import views as forest_views  # noqa: F401
from webapp.portal.forest.section import forest
from webapp.portal.frame.assets import init_assets
from webapp.portal.frame.errors import init_error_pages
from webapp.portal.frame.navigation import init_navigation
from webapp.portal.frame.once import new_form_key
from webapp.portal.frame.server_address import server_address
from webapp.portal.frame.wording import FILTERS
from webapp.portal.interventions.views import interventions
from webapp.portal.measures import files as measure_files  # noqa: F401  their views
from webapp.portal.measures import mobility as measures_mobility  # noqa: F401
from webapp.portal.measures import person as measures_of_person  # noqa: F401
from webapp.portal.measures import study as measures_of_study  # noqa: F401
from webapp.portal.measures.section import measures
from webapp.portal.notifications import credentials  # noqa: F401  its views
from webapp.portal.notifications import study as study_notifications  # noqa: F401
from webapp.portal.notifications.section import notifications
from webapp.portal.participants import (  # noqa: F401  their views
    about,
    adding,
    batches,
    detail,
    importing,
    managing,
    notified,
    purges,
    selection,
    sheets,
    values,
    views,
)
from webapp.portal.participants.section import participants
from webapp.portal.quantities import views as quantity_views  # noqa: F401
from webapp.portal.quantities.section import quantities
from webapp.portal.researchers import (  # noqa: F401  their views
    accounts,
    links,
    rights,
    roles,
    team,
)
from webapp.portal.researchers import views as researcher_views  # noqa: F401
from webapp.portal.researchers.section import researchers
from webapp.portal.settings import history  # noqa: F401  their views
from webapp.portal.settings import views as settings_views  # noqa: F401
from webapp.portal.settings.section import settings_section
from webapp.portal.site import alerts as site_alerts  # noqa: F401  its views
from webapp.portal.site.views import site
from webapp.portal.studies import (  # noqa: F401  their views
    creating,
    editing,
    languages,
    overview,
    processing,
    settings_files,
)
from webapp.portal.studies import views as study_views  # noqa: F401
from webapp.portal.studies.section import studies
from webapp.portal.surveys import copying as survey_copying  # noqa: F401
from webapp.portal.surveys import designing, scheduling  # noqa: F401  their views
from webapp.portal.surveys import editing as survey_editing  # noqa: F401  its views
from webapp.portal.surveys import from_templates as survey_templates  # noqa: F401
from webapp.portal.surveys import previewing as survey_previewing  # noqa: F401
from webapp.portal.surveys import translating as survey_translating  # noqa: F401
from webapp.portal.surveys import views as survey_views  # noqa: F401
from webapp.portal.surveys.section import surveys
from webapp.portal.webhooks import log as webhook_log  # noqa: F401  its views
from webapp.portal.webhooks import views as webhook_views  # noqa: F401
from webapp.portal.webhooks.section import webhooks

SECTIONS = (
    access,
    alerts,
    answers,
    account,
    studies,
    settings_section,
    participants,
    surveys,
    interventions,
    notifications,
    measures,
    webhooks,
    forest,
    researchers,
    downloads,
    quantities,
    audit,
    site,
)


class NumberConverter(BaseConverter):
    """A study's number in its shortest form; anything else is no such page (PORTAL-3)."""

    regex = r"[1-9][0-9]{0,17}"

    def to_python(self, value: str) -> int:
        """The number."""
        return int(value)


def init_portal(app: Flask) -> None:
    """Adds the portal's pages and sign-in. Raises RuntimeError where a page names no access rule."""
    app.config.update(WTF_CSRF_CHECK_DEFAULT=False, WTF_CSRF_TIME_LIMIT=None)
    app.session_interface = PortalSessions()
    login_manager.init_app(app)
    csrf.init_app(app)
    _init_templates(app)
    app.url_map.converters["number"] = NumberConverter
    for section in SECTIONS:
        app.register_blueprint(section)
    require_access_rules(app)
    init_error_pages(app)


for _section in SECTIONS:
    guard(_section)


def _init_templates(app: Flask) -> None:
    app.jinja_env.filters.update(FILTERS)
    app.jinja_env.globals["server_address"] = server_address
    app.jinja_env.globals["new_form_key"] = new_form_key
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    init_assets(app)
    init_navigation(app)
