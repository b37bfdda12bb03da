"""How often something may be tried; counted in each process."""

from flask import request
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address

SIGN_INS_PER_ADDRESS = "20 per minute"
SIGN_INS_PER_NAME = "30 per minute"  # above the other, so that nobody's attempts alone keep somebody else out

limiter = Limiter(get_remote_address, storage_uri="memory://", strategy="moving-window")


def name_tried() -> str:
    """The account that a sign-in is for."""
    return "name:" + request.form.get("username", "").lower()[:64]
