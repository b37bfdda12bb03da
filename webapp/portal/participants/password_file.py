"""The file of ids and passwords of new participants (PORTAL-121)."""

import csv
import io
from collections.abc import Iterable

from flask import Response

from core.participants import NewParticipant
from webapp.attachments import attach


def password_file(new: Iterable[NewParticipant], name: str) -> Response:
    """A CSV download with that file name. Like all answers but static files, it is not cached."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(["Patient ID", "Registration password"])
    writer.writerows((one.patient_id, one.password) for one in new)
    response = Response(text.getvalue(), content_type="text/csv; charset=utf-8")
    attach(response, name)
    return response
