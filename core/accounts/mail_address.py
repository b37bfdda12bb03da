"""The mail address of an account: where alerts are sent (CLAR-58)."""

from sqlalchemy.orm import Session

from core.audit import Actor, record
from core.config import MAIL_ADDRESS
from core.models import Researcher
from core.models.audit_record import Action

LONGEST = 254


class MailAddressRefused(ValueError):
    """This is no mail address; the message says what is expected."""


def set_mail_address(session: Session, researcher: Researcher, address: str, *, actor: Actor) -> None:
    """Sets where the person's alerts are sent; an empty address: nowhere. The caller commits.

    The audit trail holds that it changed, not the address. Raises MailAddressRefused.
    """
    address = address.strip()
    if address and (len(address) > LONGEST or not MAIL_ADDRESS.fullmatch(address) or not address.isprintable()):
        raise MailAddressRefused("A mail address has the form name@example.org.")
    researcher.mail_address = address or None
    record(session, actor, Action.RESEARCHER_MAIL_ADDRESS, researcher=researcher.username, is_set=bool(address))
