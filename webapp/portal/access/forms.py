"""The sign-in form."""

from webapp.portal.frame.forms import HiddenField, PortalForm, SecretField, TextField


class SignInForm(PortalForm):
    """User name, password, second factor, and the page to open next. It needs no CSRF token: programs send it too
    (PORTAL-6). `passkey` is the browser's answer to a challenge, as JSON.
    """

    class Meta:
        csrf = False

    username = TextField("User name")
    password = SecretField("Password")
    mfa_code = TextField("Code, if you use one", "Six digits from your app, or a recovery code.")
    passkey = HiddenField()
    referrer = HiddenField()
