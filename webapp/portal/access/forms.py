"""The sign-in form."""

from webapp.portal.frame.forms import HiddenField, PortalForm, SecretField, TextField


class SignInForm(PortalForm):
    """User name, password, and the page to open next. It needs no CSRF token: programs send it too (PORTAL-6)."""

    class Meta:
        csrf = False

    username = TextField("User name")
    password = SecretField("Password")
    referrer = HiddenField()
