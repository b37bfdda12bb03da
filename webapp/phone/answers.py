"""Answers to phones: ASCII JSON, or a short text (PHONE-11)."""

import json
from dataclasses import dataclass
from typing import Any

from flask import Response

RETRY_AFTER_SECONDS = "60"


@dataclass(frozen=True)
class Answer:
    """A status and a short text."""

    status: int
    text: str


def json_answer(value: Any) -> Response:
    """ASCII JSON with a charset: iOS decodes by that header, and as Latin-1 if it is missing (PHONE-11)."""
    return Response(json.dumps(value, ensure_ascii=True), content_type="application/json; charset=utf-8")


def text_answer(answer: Answer) -> Response:
    """A plain-text response; a 503 gets `Retry-After`."""
    response = Response(answer.text, status=answer.status, content_type="text/plain; charset=utf-8")
    if answer.status == 503:
        response.headers["Retry-After"] = RETRY_AFTER_SECONDS
    return response
