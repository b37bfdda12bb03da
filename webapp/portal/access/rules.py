"""Access rules: what each view of the portal requires of a request (PERM-4).

A view names its rule with a decorator. One without a rule keeps the application from starting.
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
    """What a view asks.

    `capability`: what the researcher must be allowed to do; one about a study means the study of the path, or of the
    form's `study_id` where the path has none. None: the view is for anybody. `is_return_page`: sign-in may lead back
    to it (PORTAL-25). `is_polled`: a page asks for it by itself, so it does not prolong the session (PORTAL-27).
    `is_open_to_forced`: those who must set a new password first may use it (PERM-41).
    """

    capability: Capability | None = None
    needs_token: bool = True
    is_return_page: bool = False
    is_polled: bool = False
    is_open_to_forced: bool = False

    @property
    def needs_session(self) -> bool:
        return self.capability is not None

    @property
    def is_about_study(self) -> bool:
        return self.capability is not None and TABLE[self.capability].scope is Scope.STUDY


def public(*, needs_token: bool = True) -> Callable[[View], View]:
    """For anybody. `needs_token`: whether a change by somebody who is signed in needs the session's token."""
    return _with(AccessRule(needs_token=needs_token, is_open_to_forced=True))


def requires(
    capability: Capability,
    *,
    is_return_page: bool = False,
    is_polled: bool = False,
    is_open_to_forced: bool = False,
) -> Callable[[View], View]:
    """For researchers who may do this. The view finds `g.researcher`, and `g.study` where it is about a study.

    With a patient id in the path, it finds `g.participant`, who is of that study.
    """
    return _with(
        AccessRule(
            capability,
            is_return_page=is_return_page,
            is_polled=is_polled,
            is_open_to_forced=is_open_to_forced,
        )
    )


def _with(rule: AccessRule) -> Callable[[View], View]:
    def name_rule(view: View) -> View:
        setattr(view, ATTRIBUTE, rule)
        return view

    return name_rule


def access_rule_of(endpoint: str | None) -> AccessRule | None:
    """The rule of an endpoint of the portal; None for what is not the portal's."""
    view = current_app.view_functions.get(endpoint or "")
    rule: AccessRule | None = getattr(view, ATTRIBUTE, None)
    return rule


def require_access_rules(app: Flask) -> None:
    """Raises RuntimeError when a view of a section names no rule."""
    for endpoint in section_endpoints(app):
        if not hasattr(app.view_functions[endpoint], ATTRIBUTE):
            raise RuntimeError(f"{endpoint} names no access rule")
