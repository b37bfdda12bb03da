"""Access rules: what each view of the portal requires of a request (PERM-4).

A decorator gives each view its rule. The application does not start if a view has none.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from flask import Flask, current_app
from flask.typing import ResponseReturnValue

from core.access import TABLE, Capability, Scope
from webapp.portal.frame.section import section_endpoints

View = TypeVar("View", bound=Callable[..., ResponseReturnValue])
ATTRIBUTE = "access_rule"


@dataclass(frozen=True)
class AccessRule:
    """What a view requires.

    `capability`: what the researcher must be allowed to do; None for a public view. If it concerns a study, that is the
    study in the path, else in the form's `study_id`. `needs_token`: a change by a signed-in person needs the CSRF
    token. `is_return_page`: sign-in may return to it (PORTAL-25). `is_polled`: pages poll it, so it does not extend the
    session (PORTAL-27). `is_open_to_forced`: allowed before a one-time password was changed (PERM-41).
    `shows_hidden`: a site administrator may open it for a hidden study too (PERM-50).
    """

    capability: Capability | None = None
    needs_token: bool = True
    is_return_page: bool = False
    is_polled: bool = False
    is_open_to_forced: bool = False
    is_about_participant: bool = False
    shows_hidden: bool = False

    @property
    def needs_session(self) -> bool:
        return self.capability is not None

    @property
    def is_about_study(self) -> bool:
        return self.capability is not None and TABLE[self.capability].scope is Scope.STUDY


def public(*, needs_token: bool = True) -> Callable[[View], View]:
    """Marks a public view. `needs_token`: whether a change by a signed-in person needs the session's CSRF token."""
    return _with(AccessRule(needs_token=needs_token, is_open_to_forced=True))


def requires(
    capability: Capability,
    *,
    is_return_page: bool = False,
    is_polled: bool = False,
    is_open_to_forced: bool = False,
    is_about_participant: bool = False,
    shows_hidden: bool = False,
) -> Callable[[View], View]:
    """Marks a view for researchers who have this capability. The other parameters are those of AccessRule.

    The view can use `g.researcher`; `g.study` if the capability concerns a study; and, if the path has a patient id,
    `g.participant`, who belongs to that study.
    """
    return _with(
        AccessRule(
            capability,
            is_return_page=is_return_page,
            is_polled=is_polled,
            is_open_to_forced=is_open_to_forced,
            is_about_participant=is_about_participant,
            shows_hidden=shows_hidden,
        )
    )


def _with(rule: AccessRule) -> Callable[[View], View]:
    def name_rule(view: View) -> View:
        setattr(view, ATTRIBUTE, rule)
        return view

    return name_rule


def access_rule_of(endpoint: str | None) -> AccessRule | None:
    """The rule of an endpoint of the portal; None for other endpoints."""
    view = current_app.view_functions.get(endpoint or "")
    rule: AccessRule | None = getattr(view, ATTRIBUTE, None)
    return rule


def require_access_rules(app: Flask) -> None:
    """Raises RuntimeError if a view of a section has no rule."""
    for endpoint in section_endpoints(app):
        if not hasattr(app.view_functions[endpoint], ATTRIBUTE):
            raise RuntimeError(f"{endpoint} names no access rule")
