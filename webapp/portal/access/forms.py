"""The form that signs in."""

from webapp.portal.frame.forms import HiddenField, PortalForm, SecretField, TextField


class SignInForm(PortalForm):
    """User name and password, and the page that was asked for. Programs send it too, without a token (PORTAL-6)."""

    class Meta:
        csrf = False

    username = TextField("User name")
    password = SecretField("Password")
    referrer = HiddenField()
