"""Answers of push services, written to a file as they arrive, before they are settled (NOTIF-45).

The ledger is settled in groups. A process that is killed between an answer and its group would send these messages a
second time; the file outlives the process, and the next look on this machine settles from it. A line holds the row's
number and nonce, and the outcome: no token, and nothing of participants.
"""

import json
import logging
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.config import get_settings
from core.models import PushMessage, PushService, PushToken
from core.notifications.due import Recipient
from core.notifications.ledger import Settled, settle
from core.notifications.outcomes import Fate, Outcome
from core.streams import Platform

FOLDER = "push_answers"
log = logging.getLogger(__name__)


class AnswerLog:
    """A file of answers. Each is written at once, so that a kill of the process loses none.

    A disk that takes nothing does not stop the sending: that is logged once, and answers are then settled in groups
    only. `file` is a descriptor, or None where there is no file.
    """

    def __init__(self, file: int | None) -> None:
        self._file = file

    def note(self, number: int, nonce: str, outcome: Outcome) -> None:
        """Writes the answer to one row of the ledger; outcomes that are unknown are none."""
        if self._file is None or outcome.is_unknown:
            return
        line = {"number": number, "nonce": nonce, "fate": outcome.fate.value, "reason": outcome.reason}
        try:
            os.write(self._file, f"{json.dumps(line)}\n".encode())
        except OSError as error:
            log.error("answers of push services are not written to a file: %s", error.strerror)
            self._file = None


@contextmanager
def answer_log() -> Iterator[AnswerLog]:
    """A file for the answers of a run of the sole sender. It is deleted at the end of the block, when all are settled.

    After an exception it stays.
    """
    path = _folder() / f"{uuid.uuid4().hex}.jsonl"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_EXCL, 0o600)
    except OSError as error:
        log.error("answers of push services are not written to a file: %s", error.strerror)
        yield AnswerLog(None)
        return
    try:
        yield AnswerLog(file)
    finally:
        os.close(file)
    path.unlink(missing_ok=True)


def settle_left_answers(session: Session, now: datetime) -> int:
    """Settles what processes that died had written, and deletes their files; returns how many. Commits.

    To be called by the sole sender before it sends.
    """
    count = 0
    for path in sorted(_folder().glob("*.jsonl")):
        settled = _settled(session, _lines(path))
        settle(session, settled, now)
        session.commit()
        path.unlink(missing_ok=True)
        count += len(settled)
    return count


def _folder() -> Path:
    return get_settings().var_dir / FOLDER


def _lines(path: Path) -> dict[int, tuple[str, Outcome]]:
    """Nonce and outcome by number; a line that cannot be read, as one that a kill cut off, is left out."""
    found: dict[int, tuple[str, Outcome]] = {}
    for text in path.read_text(errors="replace").splitlines():
        try:
            line = json.loads(text)
            found[int(line["number"])] = str(line["nonce"]), Outcome(Fate(line["fate"]), str(line["reason"]))
        except (ValueError, TypeError, KeyError):
            log.error("a line of answers of push services cannot be read: %s", path.name)
    return found


def _settled(session: Session, lines: dict[int, tuple[str, Outcome]]) -> list[Settled]:
    """Answers to rows of the ledger. The nonce tells rows of another database apart."""
    rows = session.execute(
        sa.select(PushMessage, sa.func.coalesce(PushToken.failures, 0))
        .outerjoin(PushToken, PushToken.id == PushMessage.token_id)
        .where(PushMessage.id.in_(list(lines)))
    )
    return [
        Settled(row.id, _recipient(row, failures), lines[row.id][1])
        for row, failures in rows
        if lines[row.id][0] == row.nonce
    ]


def _recipient(row: PushMessage, failures: int) -> Recipient:
    """As much of a recipient as settling needs: the token's number and failures."""
    service, platform = PushService(row.service), Platform(row.platform)
    return Recipient(row.participant_id, "", platform, row.app_version, service, row.token_id or 0, "", failures)
