"""Answers of push services, written to a file as they arrive, before they are settled (NOTIF-45).

The ledger is settled in groups. A process that is killed between an answer and its group would send these messages a
second time; the file outlives the process, and the next look on this machine settles from it. A line holds the row's
number and nonce, and the outcome: no token, and nothing of participants.
"""

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.config import get_settings
from core.models import MessageState, PushMessage, PushService, PushToken
from core.notifications.due import Recipient
from core.notifications.ledger import Settled, settle
from core.notifications.outcomes import Fate, Outcome
from core.streams import Platform

FOLDER = "push_answers"


class AnswerLog:
    """A file of answers. Each is written at once, so that a kill of the process loses none."""

    def __init__(self, file: int) -> None:
        self._file = file

    def note(self, number: int, nonce: str, outcome: Outcome) -> None:
        """Writes the answer to one row of the ledger; outcomes that are unknown are none."""
        if not outcome.is_unknown:
            line = {"number": number, "nonce": nonce, "fate": outcome.fate.value, "reason": outcome.reason}
            os.write(self._file, f"{json.dumps(line)}\n".encode())


@contextmanager
def answer_log() -> Iterator[AnswerLog]:
    """A file for the answers of a run of the sole sender. It is deleted at the end of the block, when all are settled.

    After an exception it stays. Raises OSError.
    """
    folder = _folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{uuid.uuid4().hex}.jsonl"
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_EXCL, 0o600)
    try:
        yield AnswerLog(file)
    finally:
        os.close(file)
    path.unlink(missing_ok=True)


def settle_left_answers(session: Session, now: datetime) -> int:
    """Settles what processes that died had written, and deletes their files; returns how many. Commits.

    To be called by the sole sender before it sends. Rows that are no longer pending stay as they are.
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


def _lines(path: Path) -> dict[int, dict[str, Any]]:
    """The answers by number; a line that the kill cut off is left out."""
    found: dict[int, dict[str, Any]] = {}
    for text in path.read_text(errors="replace").splitlines():
        try:
            line = json.loads(text)
            found[int(line["number"])] = line
        except (ValueError, TypeError, KeyError):
            continue
    return found


def _settled(session: Session, lines: dict[int, dict[str, Any]]) -> list[Settled]:
    """Answers to rows that are still pending. The nonce tells rows of another database apart."""
    rows = session.execute(
        sa.select(PushMessage, sa.func.coalesce(PushToken.failures, 0))
        .outerjoin(PushToken, PushToken.id == PushMessage.token_id)
        .where(PushMessage.id.in_(list(lines)), PushMessage.state == MessageState.PENDING.value)
    )
    return [
        Settled(row.id, _recipient(row, failures), Outcome(Fate(lines[row.id]["fate"]), lines[row.id]["reason"]))
        for row, failures in rows
        if lines[row.id]["nonce"] == row.nonce
    ]


def _recipient(row: PushMessage, failures: int) -> Recipient:
    """As much of a recipient as settling needs: the token's number and failures."""
    service, platform = PushService(row.service), Platform(row.platform)
    return Recipient(row.participant_id, "", platform, row.app_version, service, row.token_id or 0, "", failures)
