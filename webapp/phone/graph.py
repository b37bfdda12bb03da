"""The page behind "view survey answers" in the Android app (PHONE-62)."""

from flask import render_template
from flask.typing import ResponseReturnValue

from core.database import db
from core.phones.authentication import Level
from core.phones.survey_answers import newest_answer_files, read_answers
from core.storage import StoreUnavailable
from webapp.phone.answer_charts import charts_of
from webapp.phone.answers import RETRY_AFTER_SECONDS
from webapp.phone.blueprint import authenticated, now, phone_route
from webapp.stores import sealed_store

READING_SECONDS = 6


@phone_route("/graph")
def graph() -> ResponseReturnValue:
    """A page of charts of the participant's own answers (PHONE-62), without sign-in, cookie or script.

    No transaction is open while files are read.
    """
    participant, _ = authenticated(Level.FULL)
    files = newest_answer_files(db.session(), participant.id, now())
    db.session.commit()
    try:
        read = read_answers(sealed_store(participant.study), files, READING_SECONDS)
    except StoreUnavailable:
        return _not_now()
    return render_template(
        "phone/graph.html",
        surveys=charts_of(read),
        zone=participant.study.zone,
        is_partial=any(file.answers is None for file in read),
    )


def _not_now() -> ResponseReturnValue:
    page = render_template(
        "phone/notice.html",
        title="Your answers cannot be shown now",
        explanation="The server does not reach the place where they are kept. Nothing is lost; try again in a minute.",
    )
    return page, 503, {"Retry-After": RETRY_AFTER_SECONDS}
