"""The portal's navigation as data: what stands beside a study's pages, in the account's menu, and in the switcher."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Flask, g

from core.access import Capability, Requester, SiteLimit, decide
from core.accounts import days_until_due
from core.answer_alerts.listing import open_alert_count
from core.database import db
from core.measures.of_study import has_measures
from core.models import SystemEvent
from core.models.researcher import NamedStudy, named_studies_of
from core.notifications.watch import open_troubles

STUDIES_IN_SWITCHER = 12


@dataclass(frozen=True)
class NavigationItem:
    """A link. It is shown to those who have the capability; `name` is how a page says that it is the current one.

    `is_wanted` limits it to studies that have something to show there.
    """

    name: str
    endpoint: str
    label: str
    icon: str
    capability: Capability
    is_wanted: Callable[[], bool] = lambda: True


def has_forest() -> bool:
    """Whether Forest is switched on in the study of the page."""
    return bool(g.get("study")) and g.study.has_forest


def shows_measures() -> bool:
    """Whether the person has pages of daily measures in this study (CLAR-82)."""
    return bool(g.get("study")) and can(Capability.MEASURES_VIEW) and has_measures(db.session(), g.study)


STUDY_NAVIGATION = (
    NavigationItem("overview", "studies.overview", "Overview", "layout-dashboard", Capability.STUDY_VIEW),
    NavigationItem("participants", "participants.list", "Participants", "users", Capability.STUDY_VIEW),
    NavigationItem("adding", "participants.add", "Add participants", "user-plus", Capability.PARTICIPANT_CREATE),
    NavigationItem("surveys", "surveys.list", "Surveys", "clipboard-list", Capability.STUDY_VIEW),
    NavigationItem("notifications", "notifications.study", "Notifications", "send", Capability.STUDY_VIEW),
    NavigationItem("alerts", "alerts.list", "Alerts", "bell", Capability.ANSWERS_READ),
    NavigationItem("interventions", "interventions.list", "Interventions", "calendar-days", Capability.STUDY_VIEW),
    NavigationItem("fields", "interventions.fields", "Custom fields", "tag", Capability.STUDY_VIEW),
    NavigationItem(
        "measures", "measures.study", "Daily measures", "chart-line", Capability.MEASURES_VIEW, shows_measures
    ),
    NavigationItem("processing", "studies.processing", "Processing", "cpu", Capability.STUDY_STATUS),
    NavigationItem("quantities", "quantities.study", "Data quantities", "chart-column", Capability.STUDY_VIEW),
    NavigationItem("data", "downloads.page", "Data", "download", Capability.DATA_DOWNLOAD),
    NavigationItem("forest", "forest.log", "Forest", "trees", Capability.FOREST_LOG, is_wanted=has_forest),
    NavigationItem("settings", "settings.page", "App settings", "sliders-horizontal", Capability.STUDY_VIEW),
    NavigationItem("team", "researchers.team", "Team", "shield-check", Capability.STUDY_VIEW),
    NavigationItem("study", "studies.edit", "Study", "folder-cog", Capability.STUDY_RENAME),
    NavigationItem("webhooks", "webhooks.list", "Webhooks", "webhook", Capability.WEBHOOK_MANAGE),
    NavigationItem("audit", "audit.study_changes", "Audit trail", "scroll-text", Capability.AUDIT_STUDY),
)
ACCOUNT_NAVIGATION = (
    NavigationItem("account", "account.page", "Account", "key-round", Capability.OWN_PASSWORD),
    NavigationItem("studies", "studies.choose", "Studies", "folder-open", Capability.OWN_STUDIES),
    NavigationItem("manage", "studies.manage", "Manage studies", "folder-cog", Capability.RESEARCHER_LIST),
    NavigationItem("researchers", "researchers.list", "Researchers", "users", Capability.RESEARCHER_LIST),
    NavigationItem("rights", "researchers.rights", "Who may do what", "shield-check", Capability.OWN_STUDIES),
    NavigationItem("audit", "audit.site_changes", "Audit trail", "scroll-text", Capability.AUDIT_ALL),
    NavigationItem("push", "notifications.credentials", "Push credentials", "smartphone", Capability.PUSH_CREDENTIALS),
    NavigationItem("alerts", "site.alerts", "Alerts", "bell", Capability.PUSH_CREDENTIALS),
    NavigationItem("downtime", "site.downtime", "Downtime", "power", Capability.DOWNTIME),
)


def init_navigation(app: Flask) -> None:
    """Gives every template what the layout needs."""
    app.context_processor(frame_values)


def frame_values() -> dict[str, Any]:
    """Who looks, at which study, when; the navigation; and `can`, which asks `decide` about them."""
    return {
        "now": g.get("now"),
        "researcher": g.get("researcher"),
        "study": g.get("study"),
        "can": can,
        "shows_measures": shows_measures,
        "site_limit": site_limit(),
        "password_days_left": password_days_left,
        "study_navigation": _shown(STUDY_NAVIGATION),
        "account_navigation": _shown(ACCOUNT_NAVIGATION),
        "switchable_studies": switchable_studies,
        "push_troubles": push_troubles,
        "open_alerts": open_alerts,
    }


def site_limit() -> SiteLimit | None:
    """The limit of the person's role in the study of the page (PERM-95)."""
    actor: Requester | None = g.get("actor")
    study = g.get("study")
    return actor.limits.get(study.id) if actor and study else None


def password_days_left() -> int | None:
    """In how many days the person must set a new password, if it is within a week (PORTAL-41)."""
    if not g.get("account_rule"):
        return None
    return days_until_due(g.researcher, g.account_rule, g.now)


def push_troubles() -> list[SystemEvent]:
    """Troubles of sending that last, for those who can do something about them: site administrators (CLAR-62)."""
    return open_troubles(db.session()) if can(Capability.PUSH_CREDENTIALS) else []


def open_alerts() -> int:
    """How many alerts on answers of this study somebody must look at, for those who may read answers (CLAR-58)."""
    return open_alert_count(db.session(), g.study.id) if g.get("study") and can(Capability.ANSWERS_READ) else 0


def can(capability: str) -> bool:
    """Whether the researcher may do this, in the study of the page (PERM-91). Raises ValueError for an unknown name."""
    actor: Requester | None = g.get("actor")
    return actor is not None and decide(actor, Capability(capability), g.get("study")).is_allowed


def switchable_studies() -> tuple[list[NamedStudy], bool]:
    """The first studies of the person, and whether there are more."""
    studies = named_studies_of(db.session(), g.researcher, STUDIES_IN_SWITCHER + 1)
    return studies[:STUDIES_IN_SWITCHER], len(studies) > STUDIES_IN_SWITCHER


def _shown(items: tuple[NavigationItem, ...]) -> Callable[[], list[NavigationItem]]:
    return lambda: [item for item in items if can(item.capability) and item.is_wanted()]
