"""Downloads that can be resumed and verified: a manifest in pages, and each file by range requests (CLAR-73)."""

import json
import logging
from collections.abc import Iterable, Iterator
from typing import IO, Annotated, Any

import sqlalchemy as sa
from flask import Response, request, url_for
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.orm import Session
from werkzeug.datastructures import ContentRange, MultiDict

from core.access import Capability
from core.audit.access_log import add_to_access, end_access
from core.audit.actor import actor_with_key
from core.crypto.seal import SealBroken
from core.database import db
from core.downloads.manifest import (
    DownloadedObject,
    Listed,
    manifest_page,
    object_of_study,
    parse_position,
    read_object,
)
from core.downloads.members import participants_asked_for
from core.downloads.query import BadQuery, UnknownName, parse_query
from core.downloads.recording import record_download, record_object
from core.models import Study
from core.operations.tallies import Counted, Integrity, add_tallies_at_once
from core.storage import ObjectMissing, StoreUnavailable
from core.streams import DataStream
from webapp.data_api.answering import JSON
from webapp.data_api.credentials import STUDY_ID, ApiRefused, Program, program_of_headers, study_for
from webapp.data_api.views import api_route, data_api
from webapp.ranges import BehindTheEnd, asked_part
from webapp.stores import sealed_store, settings

GET = ("GET",)
MOST_LISTED = 10_000
LISTED = 1_000
LONGEST_NUMBER = 18  # digits of a 64-bit number
PIECE_BYTES = 1 << 18
OCTETS = "application/octet-stream"
_requests = MovingWindowRateLimiter(MemoryStorage())
log = logging.getLogger(__name__)


class ManifestQuery(BaseModel):
    """The query of a manifest. Lists are repeated parameters, or one JSON list."""

    model_config = ConfigDict(extra="forbid")

    study_id: Annotated[str, Field(pattern=STUDY_ID.pattern, description="The study's id, 24 letters or digits.")]
    data_streams: Annotated[list[str], Field(description="Only these data streams.")] = []
    participant_ids: Annotated[list[str], Field(description="Only these participants.")] = []
    time_start: Annotated[
        str | None, Field(description="Only time bins from this time on: YYYY-MM-DDTHH:MM:SS, UTC, inclusive.")
    ] = None
    time_end: Annotated[
        str | None, Field(description="Only time bins up to this time: YYYY-MM-DDTHH:MM:SS, UTC, inclusive.")
    ] = None
    limit: Annotated[int, Field(ge=1, le=MOST_LISTED, description="About how many files a page lists.")] = LISTED
    cursor: Annotated[str | None, Field(description="The next_cursor of the page before.")] = None


class ManifestFile(BaseModel):
    """One file: where it is, and by what its contents are verified."""

    name: Annotated[str, Field(description="Where mano and get-data put it: participant/stream/…")]
    path: Annotated[str, Field(description="Its path in the registry of get-data.")]
    url: Annotated[str, Field(description="Where its contents are, by GET with Range; to be used as it is.")]
    participant_id: str
    data_stream: DataStream
    survey_id: str | None
    time_bin: Annotated[str, Field(description="The start of its hour, UTC; for unchunked files the file's time.")]
    size: Annotated[int | None, Field(description="Bytes; null where nobody has read the file yet.")]
    hash_algorithm: Annotated[str, Field(description="md5 for chunks, sha1 for unchunked files.")]
    hash: Annotated[str | None, Field(description="Hexadecimal; null if the store lacks the file or it is damaged.")]
    etag: Annotated[str | None, Field(description="The strong ETag of these contents, for If-Match and If-Range.")]


class Manifest(BaseModel):
    """One page of a manifest."""

    study_id: str
    files: list[ManifestFile]
    next_cursor: Annotated[str | None, Field(description="Null on the last page.")]


class ResumableRefused(Exception):
    """A request is answered with this status and these sentences, as JSON."""

    def __init__(self, status: int, errors: list[str], headers: dict[str, str] | None = None) -> None:
        super().__init__(" ".join(errors))
        self.status, self.errors, self.headers = status, errors, headers or {}


@api_route("/get-data/v3/manifest", methods=GET)
def manifest() -> Response:
    """A page of the files that a query selects, with size, hash and address of each."""
    asked = _asked(ManifestQuery, request.args)
    program, study = _program_and_study(asked.study_id)
    fields = {name: values for name, values in request.args.lists() if name in ManifestQuery.model_fields}
    try:
        query = parse_query(fields)
        after = parse_position(asked.cursor) if asked.cursor else None
        participants = participants_asked_for(db.session(), study, query)
    except BadQuery as bad:
        raise ResumableRefused(400, [f"{bad}."]) from None
    except UnknownName as unknown:
        raise ResumableRefused(404, [f"{unknown}."]) from None
    actor = actor_with_key(program.researcher, program.key)
    access = record_download(db.session(), actor, study, query, participants, {**fields, "version": ["3"]})
    db.session.commit()
    files, position = manifest_page(db.session(), sealed_store(study), study, participants, query, after, asked.limit)
    page = Manifest(
        study_id=study.object_id,
        files=[_listed(study, file, access) for file in files],
        next_cursor=position.to_text() if position else None,
    )
    answer = Response(page.model_dump_json(), content_type=JSON)
    end_access(db.session(), access, len(answer.data))
    db.session.commit()
    return answer


class ObjectQuery(BaseModel):
    """The query of a file's address, as the manifest gives it."""

    model_config = ConfigDict(extra="forbid")

    access: Annotated[
        str | None, Field(pattern=rf"^\d{{1,{LONGEST_NUMBER}}}$", description="The manifest's record.")
    ] = None


@api_route("/get-data/v3/objects/<study_id>/<number>", methods=GET)
def contents(study_id: str, number: str) -> Response:
    """A file's contents, whole or a range of bytes. `If-Match` with the manifest's ETag: 412 when they have changed."""
    asked = _asked(ObjectQuery, request.args)
    program, study = _program_and_study(study_id)
    found = object_of_study(db.session(), study, int(number)) if _is_number(number) else None
    if found is None:
        raise ResumableRefused(404, ["There is no such file in this study; it may have been replaced: list it again."])
    if found.hash:
        _require_match(found.hash)
    if found.hash and request.if_none_match.contains_weak(found.hash):
        return _without_contents(304, found.hash)
    if request.method == "HEAD" and found.hash and found.size_bytes is not None:
        answer = _without_contents(200, found.hash)
        answer.content_length = found.size_bytes
        return answer
    access = record_object(
        db.session(), actor_with_key(program.researcher, program.key), study, found, int(asked.access or 0)
    )
    db.session.commit()
    return _answer(*_read(study, found), access)


def _answer(file: IO[bytes], size: int, digest: str, access: int) -> Response:
    """The contents, or what the request's preconditions say of this version (RFC 9110, section 13)."""
    try:
        _require_match(digest)
        part = asked_part(size, f'"{digest}"')
    except ResumableRefused:
        file.close()
        raise
    except BehindTheEnd:
        file.close()
        told = [f"The file has {size} bytes; the range lies behind its end."]
        raise ResumableRefused(416, told, {"Content-Range": f"bytes */{size}", **_validators(digest)}) from None
    if request.if_none_match.contains_weak(digest):
        file.close()
        return _without_contents(304, digest)
    start, end = part or (0, size)
    pieces = _counted(_pieces(file, start, end), file, db.engine, access)
    answer = Response(pieces, 206 if part else 200, content_type=OCTETS, headers=_validators(digest))
    answer.content_length = end - start
    if part:
        answer.content_range = ContentRange("bytes", start, end, size)
    return answer


def _require_match(digest: str) -> None:
    """Raises ResumableRefused (412) where `If-Match` names other versions than this."""
    if request.if_match and not request.if_match.is_strong(digest) and not request.if_match.star_tag:
        raise ResumableRefused(412, ["The file has changed since the manifest: list it again."], _validators(digest))


def _pieces(file: IO[bytes], start: int, end: int) -> Iterator[bytes]:
    file.seek(start)
    while start < end and (piece := file.read(min(PIECE_BYTES, end - start))):
        start += len(piece)
        yield piece


def _listed(study: Study, file: Listed, access: int) -> ManifestFile:
    member = file.member
    return ManifestFile(
        name=member.name,
        path=member.path,
        url=url_for("data_api.contents", study_id=study.object_id, number=member.chunk_id, access=access),
        participant_id=member.patient_id,
        data_stream=member.stream,
        survey_id=member.survey,
        time_bin=f"{member.time_bin:%Y-%m-%dT%H:%M:%SZ}",
        size=member.size_bytes,
        hash_algorithm=file.algorithm,
        hash=file.hash,
        etag=f'"{file.hash}"' if file.hash else None,
    )


def _read(study: Study, found: DownloadedObject) -> tuple[IO[bytes], int, str]:
    try:
        return read_object(sealed_store(study), found)
    except (ObjectMissing, SealBroken) as error:
        log.error("integrity: %s is in the registry, a download misses it", found.path, exc_info=error)
        add_tallies_at_once(db.engine, {Counted.INTEGRITY_FAILURES: {Integrity.DOWNLOAD: 1}})
        if isinstance(error, ObjectMissing):
            raise ResumableRefused(
                410, ["The file is missing in the store; the server's operators were told."]
            ) from None
        raise ResumableRefused(500, ["The file is damaged in the store; the server's operators were told."]) from None


def _counted(pieces: Iterable[Any], file: IO[bytes], engine: sa.Engine, access: int) -> Iterator[bytes]:
    """The pieces; at the end, also where the client goes away, their bytes are added to the record.

    It runs on after the request's context has ended.
    """
    sent = 0
    try:
        for piece in pieces:
            sent += len(piece)
            yield piece
    finally:
        file.close()
        with Session(engine) as session:
            add_to_access(session, access, sent)
            session.commit()


def _without_contents(status: int, digest: str) -> Response:
    answer = Response(status=status, content_type=OCTETS, headers=_validators(digest))
    answer.headers["Accept-Ranges"] = "bytes"
    return answer


def _validators(digest: str) -> dict[str, str]:
    return {"ETag": f'"{digest}"', "Accept-Ranges": "bytes"}


def _program_and_study(study_id: str) -> tuple[Program, Study]:
    """The program that the headers name, and the study. Raises ResumableRefused: 400, 403, 404, 429."""
    try:
        if not STUDY_ID.fullmatch(study_id):
            raise ApiRefused(400, "study_id: 24 letters or digits are expected")
        program = program_of_headers(request.headers)
        _count_request(program)
        return program, study_for(program, {"study_id": study_id}, Capability.DATA_DOWNLOAD)
    except ApiRefused as refused:
        headers = {"Retry-After": "60"} if refused.status == 429 else {}
        raise ResumableRefused(refused.status, [_as_sentence(str(refused))], headers) from None


def _count_request(program: Program) -> None:
    """Raises ResumableRefused, 429, when this process answered the key too often within a minute (CLAR-73)."""
    allowed = RateLimitItemPerMinute(settings().data_api_requests_per_minute)
    if not _requests.hit(allowed, str(program.key.id)):
        sentence = f"This key may send {allowed.amount} requests a minute; wait before the next."
        raise ResumableRefused(429, [sentence], {"Retry-After": "5"})


def _asked(model: type[Any], arguments: "MultiDict[str, str]") -> Any:
    """The query string as this model. Raises ResumableRefused: 400 with a sentence for each fault, and known names."""
    values: dict[str, Any] = {}
    for name, texts in arguments.lists():
        is_list = name in model.model_fields and model.model_fields[name].annotation == list[str]
        if is_list:
            values[name] = texts
        elif len(texts) > 1 and name in model.model_fields:
            raise ResumableRefused(400, [f"{name}: it is given {len(texts)} times."])
        else:
            values[name] = texts[-1]
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ResumableRefused(400, [_fault(fault, model) for fault in error.errors(include_input=False)]) from None


def _fault(fault: Any, model: type[BaseModel]) -> str:
    name = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"{name}: there is no such parameter; known are {', '.join(model.model_fields)}."
    return f"{name}: {fault['msg']}."


def _as_sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= LONGEST_NUMBER


@data_api.errorhandler(StoreUnavailable)
def store_unavailable(error: StoreUnavailable) -> Response:
    log.error("a file could not be read", exc_info=error)
    return refused(ResumableRefused(503, ["The object store does not answer; try again."], {"Retry-After": "30"}))


@data_api.errorhandler(ResumableRefused)
def refused(error: ResumableRefused) -> Response:
    db.session.rollback()
    return Response(json.dumps({"errors": error.errors}), error.status, error.headers, content_type=JSON)
