"""Sends requests to an application one after the other, and checks answer, rows and objects after each."""

import contextvars
import hashlib
import io
import json
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from string import ascii_lowercase
from typing import Any
from urllib.parse import unquote_to_bytes

import psycopg2
from flask import Flask
from werkzeug.test import run_wsgi_app

from core.crypto.passwords import hash_participant_password
from core.models import Participant
from core.storage import SealedStore
from core.streams import Platform
from tests.fuzz.expected import Expected, Person, expected_of
from tests.fuzz.plain_files import plaintexts_or_none
from tests.fuzz.requests import Request
from tests.support.factories import PASSWORD, Factory
from webapp.stores import object_store

FORGET_EVERY = 60  # requests, after which what is queued counts as processed and all have their first password again
NEW_ROWS = """
SELECT 'queue', id, path, participant_id FROM upload_queue WHERE id > %(queue)s
UNION ALL SELECT 'log', id, path, participant_id FROM upload_log WHERE id > %(log)s
UNION ALL SELECT 'problem', id, object_path, participant_id FROM upload_problems WHERE id > %(problem)s
"""
PEOPLE = """
SELECT p.patient_id, p.password_hash, p.purge_asked_at IS NOT NULL OR p.purged_at IS NOT NULL,
       p.retired_at IS NOT NULL, s.is_stopped_by_hand OR s.hidden_at IS NOT NULL OR s.end_on < '2025-01-01',
       p.has_easy_enrollment OR s.has_easy_enrollment
FROM participants p JOIN studies s ON s.id = p.study_id
"""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class WatchedStore:
    """The real store, with a list of what was created; that anything is replaced or deleted is an error."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.created: list[str] = []

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name in ("replace", "delete"):
            raise AssertionError(f"the store's {name} was called")
        if not name.startswith("create"):
            return method

        def create(key: str, *rest: Any, **more: Any) -> Any:
            made = method(key, *rest, **more)
            self.created.append(key)
            return made

        return create


@dataclass
class Watch:
    """One application with participants in every situation; `findings` are what should not have happened."""

    app: Flask
    database_url: str
    findings: list[str] = field(default_factory=list)
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    sent: int = 0

    def __post_init__(self) -> None:
        self.participants = people_in_every_situation()
        self.stores = {p.patient_id: Factory().store(p.study) for p in self.participants}
        self.folders = {p.patient_id: p.study.object_id for p in self.participants}
        self.numbers = {p.patient_id: p.id for p in self.participants}
        self.root = Path(object_store().root)  # type: ignore[attr-defined]
        self.before = dict(self._files())
        self.watched = WatchedStore(object_store())
        self.app.extensions["beiwe_store"] = self.watched
        self.app.testing = False
        self.connection = psycopg2.connect(self.database_url)
        self.connection.autocommit = True
        self.password_hash = hash_participant_password(PASSWORD)
        self.last = {"queue": 0, "log": 0, "problem": 0}
        self.digests: dict[str, bytes] = {}  # sealed bytes of every object that was created
        self.processed: set[str] = set()

    def send(self, request: Request) -> None:
        """One case; what goes wrong becomes a finding with the whole request in it."""
        self.sent += 1
        if self.sent % FORGET_EVERY == 0:
            self.processed |= {path for (path,) in self._rows("DELETE FROM upload_queue RETURNING path")}
            self._rows("UPDATE participants SET password_hash = %s RETURNING 1", (self.password_hash,))
        expected = expected_of(request, self._people())
        self.watched.created.clear()
        try:
            answer = contextvars.Context().run(answer_to, self.app, request)  # outside the fixture's context
            self.answers[request.endpoint or "nowhere", answer.status] += 1
            self._check_answer(request, expected, answer)
            self._check_rows_and_objects(request, expected, answer)
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            what = f"{type(error).__name__}: {error}"[:600]
            place = f"case {self.sent - 1}, {where.filename}:{where.lineno}"
            self.findings.append(f"{what}\n  {place}\n  {request!r:.3000}")

    def close(self) -> None:
        """Compares the whole store with what was created; every object still has its first bytes."""
        for path, digest in self._files():
            known = self.before.get(path) or self.digests.get(path)
            if known != digest:
                self.findings.append(f"{path} was {'written to again' if known else 'not created by the store'}")
        self.connection.close()

    # --- inside

    def _check_answer(self, request: Request, expected: Expected, answer: Answer) -> None:
        assert answer.status in expected.statuses | self._by_state(request, expected), (answer.status, expected)
        assert "Location" not in answer.headers and "Set-Cookie" not in answer.headers, answer.headers
        if request.method != "HEAD" and expected.text is not None and answer.status in expected.statuses:
            assert answer.body.decode() == expected.text, (answer.body, expected)
        if answer.status in (401, 403):
            assert answer.body == b""
        if answer.headers.get("Content-Type", "").startswith("application/json"):
            assert "charset=utf-8" in answer.headers["Content-Type"] and answer.body.isascii()
            assert request.method == "HEAD" or isinstance(json.loads(answer.body), list | dict)

    def _by_state(self, request: Request, expected: Expected) -> set[int]:
        """400 where other contents of that name wait (row 5), or a registration found no free second."""
        return {400} if expected.end == "stored" or request.endpoint == "register_user" else set()

    def _check_rows_and_objects(self, request: Request, expected: Expected, answer: Answer) -> None:
        new: dict[str, list[tuple[str, int]]] = {"queue": [], "log": [], "problem": []}
        for kind, number, path, owner in self._rows(NEW_ROWS, self.last):
            self.last[kind] = max(self.last[kind], number)
            new[kind].append((path, owner))
        assert new["queue"] == new["log"], new
        paths = {path + ".zst" for path, _ in new["queue"] + new["problem"]}
        for key in self.watched.created:
            self.digests[key] = hashlib.sha1((self.root / key).read_bytes()).digest()
        if answer.status < 500:
            assert set(self.watched.created) <= paths, (self.watched.created, paths)
        for kind, rows in new.items():
            for path, owner in rows:
                self._check_stored(kind, path, owner)
        if expected.form is not None and answer.status == 200:
            self._check_end(expected, new)
        elif expected.is_certain:
            assert not paths, (answer, paths)
        elif answer.body == b"upload successful." and all(file in request.body for file in request.files):
            self._check_one_of(request, [path for path, _ in new["queue"]])

    def _check_stored(self, kind: str, path: str, owner: int) -> None:
        """Checks that the object is in its owner's folder and that its row is right."""
        person = next(id for id, number in self.numbers.items() if number == owner)
        folder = f"{self.folders[person]}/{person}/"
        assert path.startswith(f"PROBLEM_UPLOADS/{folder}" if kind == "problem" else folder), (path, folder)
        assert ".." not in path.split("/") and path.isascii(), path
        rows = self._rows(
            "SELECT sha1, size_bytes, participant_id FROM stored_objects WHERE path = %s", (path + ".zst",)
        )
        contents = self._contents(person, path)
        digest = hashlib.sha1(contents).digest()
        assert [(bytes(sha1), *more) for sha1, *more in rows] == [(digest, len(contents), owner)], path

    def _check_end(self, expected: Expected, new: dict[str, list[tuple[str, int]]]) -> None:
        """Nothing that was acknowledged is lost (PHONE-63): it is stored, or kept aside as received, or was nothing."""
        assert expected.form is not None
        person = expected.form.fields["patient_id"].strip().lower()
        queued = [path for path, _ in new["queue"] if "identifiers_" not in path]
        aside = [self._contents(person, path) for path, _ in new["problem"]]
        self.ends[expected.end or "no upload"] += 1
        if expected.end == "stored":
            name = expected.form.fields["file_name"]
            path = f"{self.folders[person]}/{person}/{name[len(person) + 1 :].replace('_', '/')}"
            self._check_accepted(person, path, queued, expected)
        else:
            assert not queued, queued
        if expected.end in ("aside", "empty and aside"):
            assert aside == [expected.form.file], aside
        elif expected.has_dropped:
            assert aside in ([], [expected.form.file]), aside
        else:
            assert not aside, aside

    def _check_one_of(self, request: Request, queued: list[str]) -> None:
        """However the request was understood, what was stored is what one of its files holds."""
        held = [text for file in request.files for text, _ in plaintexts_or_none(file)]
        for path in queued:
            assert self._contents(path.split("/")[1], path) in held, path

    def _check_accepted(self, person: str, path: str, queued: list[str], expected: Expected) -> None:
        """Queued under its path, or under that with a mark of its own (PHONE-81), or known with these very contents."""
        if not queued:
            assert self._contents(person, path) in expected.plaintexts, path
            known = self._rows("SELECT path FROM upload_queue WHERE path = %s", (path,))
            assert known or path in self.processed, path
            self.ends["stored before"] += 1
            return
        assert len(queued) == 1, queued
        base, mark, rest = queued[0].partition("-duplicate-")
        assert base == path and (not mark or len(rest) == 10), queued
        self.ends["stored as a duplicate"] += bool(mark)
        assert self._contents(person, queued[0]) in expected.plaintexts, queued

    def _contents(self, person: str, path: str) -> bytes:
        store: SealedStore = self.stores[person]
        return store.read(path)[0]

    def _people(self) -> dict[str, Person]:
        return {row[0]: Person(*row) for row in self._rows(PEOPLE)}

    def _rows(self, statement: str, values: Any = None) -> list[tuple[Any, ...]]:
        with self.connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall()

    def _files(self) -> Iterator[tuple[str, bytes]]:
        for path in self.root.rglob("*"):
            if path.is_file() and path.relative_to(self.root).parts[0] != ".drafts":
                yield str(path.relative_to(self.root)), hashlib.sha1(path.read_bytes()).digest()


def people_in_every_situation() -> list[Participant]:
    """Some are simply registered; each other situation is there once. Their ids are the same at every run."""
    make, now, ids = Factory(), datetime.now(UTC), (f"fuzzed{letter}" for letter in ascii_lowercase)
    study, easy, stopped, hidden, ended = (make.study() for _ in range(5))
    easy.has_easy_enrollment = stopped.is_stopped_by_hand = True
    hidden.hidden_at, ended.end_on = now, date(2024, 6, 1)
    make.survey(study, name="Überblick", content='[{"question_id": "q", "question_type": "info_text_box"}]')
    return [
        *(make.participant(study, next(ids), platform) for platform in (*Platform, *Platform, *Platform)),
        make.participant(study, next(ids), None),
        make.participant(study, next(ids), is_watched_closely=True),
        make.participant(study, next(ids), has_easy_enrollment=True),
        make.participant(easy, next(ids)),
        make.participant(study, next(ids), retired_at=now - timedelta(hours=1)),
        make.participant(study, next(ids), purge_asked_at=now),
        make.participant(study, next(ids), purged_at=now),
        *(make.participant(other, next(ids)) for other in (stopped, hidden, ended)),
    ]


def answer_to(app: Flask, request: Request) -> Answer:
    """What the application answers to exactly these bytes; an exception is the 500 that a phone would get."""
    path, _, query = request.path.partition("?")
    environ = {
        "REQUEST_METHOD": request.method,
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "SCRIPT_NAME": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_TYPE": request.content_type,
        "CONTENT_LENGTH": request.content_length,
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in request.headers},
    }
    pieces, status, headers = run_wsgi_app(app.wsgi_app, environ, buffered=True)
    return Answer(int(status.split()[0]), dict(headers), b"".join(pieces))
