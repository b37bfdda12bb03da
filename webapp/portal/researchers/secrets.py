"""Secrets that are shown once, in the answer to the request that made them (PERM-80, CLAR-26)."""

from flask import g, render_template, url_for

from core.accounts.links import VALID
from core.models import Researcher


def show_link(researcher: Researcher, token: str) -> str:
    """The page that shows a one-time link."""
    return render_template(
        "portal/researchers/secret.html",
        target=researcher,
        link=url_for("researchers.open_link", token=token, _external=True),
        until=g.now + VALID,
        password=None,
    )


def show_password(researcher: Researcher, password: str) -> str:
    """The page that shows a password for one use."""
    return render_template("portal/researchers/secret.html", target=researcher, link=None, password=password)
