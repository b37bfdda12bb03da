"""The form with which researchers change their password."""

from webapp.portal.frame.forms import PortalForm, SecretField

REQUIRED_FIELDS = ("current_password", "new_password", "confirm_new_password")


class PasswordForm(PortalForm):
    """The current password, and a new one twice."""

    current_password = SecretField("Current password", "Needed, so that nobody else changes it.")
    new_password = SecretField("New password", "A new password is needed.")
    confirm_new_password = SecretField("New password again", "Type it a second time.")

    def __init__(self, least: int, *, is_forced: bool) -> None:
        """`least`: least length of the new password. `is_forced`: the current password is a one-time password."""
        super().__init__()
        self.current_password.description = "The one you signed in with." if is_forced else ""
        self.new_password.description = (
            f"At least {least} characters, with a lower-case letter, an upper-case letter, a digit and one other"
            " character; a space counts."
        )
