"""Public addresses that study staff give to participants: the Android app and the privacy policy (PORTAL-280)."""

from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

from flask import Blueprint, redirect, render_template
from flask.typing import ResponseReturnValue

from webapp.stores import settings

phone_pages = Blueprint("phone_pages", __name__)


@phone_pages.get("/download")
def download() -> ResponseReturnValue:
    """Redirects to DOWNLOADABLE_APK_URL with a new query each time, so that caches return no old app (PORTAL-280)."""
    address = settings().downloadable_apk_url
    if not address:
        return _not_set("There is no app to download here", "Where to find the app, your study staff can tell.")
    parts = urlsplit(address)
    query = f"{parts.query}&" if parts.query else ""
    return redirect(urlunsplit(parts._replace(query=f"{query}uniqueify={uuid4()}")), 302)


@phone_pages.get("/privacy_policy")
def privacy_policy() -> ResponseReturnValue:
    """Redirects to PRIVACY_POLICY_URL (PORTAL-280)."""
    address = settings().privacy_policy_url
    if not address:
        return _not_set("There is no privacy policy here", "Your study staff can give you the one that holds for you.")
    return redirect(address, 302)


def _not_set(title: str, explanation: str) -> ResponseReturnValue:
    return render_template("phone/notice.html", title=title, explanation=explanation), 404
