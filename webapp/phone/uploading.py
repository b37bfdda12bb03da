"""Uploads (PHONE-63 to PHONE-85)."""

from flask import Response

from core.database import db
from core.phones.uploads import Upload, accept_upload, answer_before_reading
from webapp.phone.door import admitted, desk_of, now, phone_route, text_answer


@phone_route("/upload")
def upload() -> Response:
    """PHONE-63 to PHONE-85. The first transaction ends before the file is looked at (PHONE-17)."""
    participant, form = admitted("last_upload_at")
    db.session.commit()
    file_name = form.fields.get("file_name", "")
    answer = answer_before_reading(participant, file_name, now())
    if answer is None:
        answer = accept_upload(desk_of(participant), participant, Upload(file_name, form.file))
    return text_answer(answer)
