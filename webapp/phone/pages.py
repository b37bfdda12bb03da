"""Addresses that study staff hand out: the Android app and the privacy policy (PORTAL-280). Open to everybody."""

from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

from flask import Blueprint, redirect, render_template
from flask.typing import ResponseReturnValue

from webapp.stores import settings

phone_pages = Blueprint("phone_pages", __name__)


@phone_pages.get("/download")
def download() -> ResponseReturnValue:
    """To DOWNLOADABLE_APK_URL, each time under another address, so that no cache gives an old app (PORTAL-280)."""
    address = settings().downloadable_apk_url
    if not address:
        return _not_set("There is no app to download here", "Where to find the app, your study staff can tell.")
    parts = urlsplit(address)
    query = f"{parts.query}&" if parts.query else ""
    return redirect(urlunsplit(parts._replace(query=f"{query}uniqueify={uuid4()}")), 302)


@phone_pages.get("/privacy_policy")
def privacy_policy() -> ResponseReturnValue:
    """To PRIVACY_POLICY_URL (PORTAL-280)."""
    address = settings().privacy_policy_url
    if not address:
        return _not_set("There is no privacy policy here", "Your study staff can give you the one that holds for you.")
    return redirect(address, 302)


def _not_set(title: str, explanation: str) -> ResponseReturnValue:
    return render_template("phone/notice.html", title=title, explanation=explanation), 404
