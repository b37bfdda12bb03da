"""The form that turns downtime on or off."""

from webapp.portal.frame.forms import BooleanField, PortalForm


class DowntimeForm(PortalForm):
    """Whether downtime is to be on."""

    is_on = BooleanField()
