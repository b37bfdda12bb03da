"""Forms of the portal: one macro for each kind of field, and forms that keep what was typed."""

import pytest
from flask import Flask, get_template_attribute
from werkzeug.datastructures import MultiDict

from tests.support.factories import Factory
from tests.support.portal_visitor import Visitor
from webapp.portal.access.forms import SignInForm
from webapp.portal.account.forms import PasswordForm
from webapp.portal.frame.forms import NumberField, PortalForm, SecretField, ShownField, TextField
from webapp.portal.participants.forms import ManyForm

pytestmark = pytest.mark.usefixtures("quick_passwords")


class SomeForm(PortalForm):
    """A field of each kind."""

    class Meta:
        csrf = False

    name = TextField("Name", "As on the sheet.")
    secret = SecretField("Secret", "It is needed.")
    every = NumberField("Every", least=10, most=3600, unit="seconds")


def rendered(form: PortalForm, name: str) -> str:
    return str(get_template_attribute("portal/parts/_fields.html", "field")(form[name], autocomplete="off"))


def test_each_kind_of_field_shows_label_hint_unit_and_error(app: Flask):
    with app.test_request_context():
        form = SomeForm(MultiDict({"name": "<b>", "secret": "", "every": "5 min"}))
        assert not form.validate()
        name, secret, every = (rendered(form, field) for field in ("name", "secret", "every"))
    assert '<label for="name">Name</label>' in name and "As on the sheet." in name
    assert 'aria-describedby="name-hint"' in name and 'value="&lt;b&gt;"' in name and 'autocomplete="off"' in name
    assert "aria-invalid" not in name
    assert '<span class="error" id="secret-error">It is needed.</span>' in secret and 'type="password"' in secret
    assert 'aria-describedby="every-unit every-error"' in every and 'aria-invalid="true"' in every
    assert 'value="5 min"' in every and 'min="10"' in every and ">seconds</span>" in every
    assert "A number from 10 to 3,600." in every


def test_a_password_is_never_sent_back(app: Flask):
    with app.test_request_context():
        assert "hunter2" not in rendered(SomeForm(MultiDict({"secret": "hunter2"})), "secret")


def test_every_field_that_is_shown_is_of_a_kind_that_has_a_macro(app: Flask):
    with app.test_request_context():
        for form in (SignInForm(), PasswordForm(8, is_forced=False), ManyForm()):
            for field in form:
                assert isinstance(field, ShownField) or field.type in ("HiddenField", "CSRFTokenField"), field


def test_a_form_that_comes_back_keeps_what_was_typed(app: Flask, factory: Factory):
    study = factory.study()
    answer = Visitor(app, factory.researcher(study=study)).post(
        f"/create_many_patients/{study.id}", number_of_new_patients="a few", desired_filename="mine.csv"
    )
    assert answer.status_code == 422
    assert 'value="a few"' in answer.text and 'value="mine.csv"' in answer.text
    assert "number_of_new_patients-hint number_of_new_patients-error" in answer.text
