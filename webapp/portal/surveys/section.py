"""The blueprint of the section."""

from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from core.surveys.locking import SurveyDeleted
from webapp.portal.frame.errors import error_page
from webapp.portal.frame.section import Section

surveys = Section("surveys", __name__)


@surveys.errorhandler(SurveyDeleted)
def _deleted_meanwhile(_: SurveyDeleted) -> ResponseReturnValue:
    return error_page(NotFound(), "Somebody deleted this survey since you opened it. It can be restored from the list.")
