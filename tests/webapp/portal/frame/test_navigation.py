"""The navigation and the controls of pages: only what a person may do is shown."""

from dataclasses import replace

import pytest
from flask import Flask

from core.access import TABLE, Capability, Role
from tests.support.factories import Factory
from tests.support.portal_visitor import Visitor

pytestmark = pytest.mark.usefixtures("quick_passwords")


def test_a_link_is_shown_to_those_who_have_the_capability(app: Flask, factory: Factory):
    """PERM-91: the account's menu."""
    assert 'href="/downtime"' not in Visitor(app, factory.researcher()).get("/manage_credentials").text
    assert 'href="/downtime"' in Visitor(app, factory.researcher(is_site_admin=True)).get("/manage_credentials").text


def test_a_control_goes_with_its_capability(app: Flask, factory: Factory, monkeypatch: pytest.MonkeyPatch):
    """PERM-91: page, navigation and check ask the same table."""
    study = factory.study()
    visitor = Visitor(app, factory.researcher(study=study))
    adding = f"/view_study/{study.id}/add_participants"
    assert visitor.get(f"/view_study/{study.id}/participants").text.count(adding) == 3
    rule = TABLE[Capability.PARTICIPANT_CREATE]
    narrowed = replace(rule, roles=rule.roles - {Role.STUDY_RESEARCHER})
    monkeypatch.setitem(TABLE, Capability.PARTICIPANT_CREATE, narrowed)
    assert adding not in visitor.get(f"/view_study/{study.id}/participants").text
    assert visitor.get(adding).status_code == 403
