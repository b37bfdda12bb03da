"""Many uploads over connections that break at random, and a comparison of what was answered with what is stored.

`UPLOADS`, `UPLOAD_SEED`: how many, and the seed of the choices.
"""

import random
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from core.database import db
from core.models import Participant, ParticipantActivity, QueuedUpload
from ops.phones import bodies
from ops.phones.encryption import encrypt_text, read_public_key
from ops.phones.platforms import Platform
from tests.support.broken_requests import BREAKING, RawRequest, Way, send, status_of
from tests.support.factories import Factory, phone_fields
from tests.support.paths import DEVICE_FILES

SIZES = (0, 1, 30, 400, 3_000, 30_000)  # rows of about 50 bytes
AT_ONCE = 12
STORED = b"upload successful."


@dataclass(frozen=True)
class Attempt:
    """One upload: through which port, the request, how and where it breaks, and what must be stored if it is whole."""

    port: int
    name: str
    request: RawRequest
    way: Way
    at: int
    plaintext: bytes


def attempts_of(participant: Participant, ports: Sequence[int], count: int, seed: int) -> list[Attempt]:
    """Uploads with names of their own, of both platforms and all sizes, a third of them whole."""
    dice = random.Random(seed)
    pem = (DEVICE_FILES / "test_client_public_key.txt").read_text().strip()
    key = read_public_key(pem)
    made = []
    for number in range(count):
        platform = dice.choice(tuple(Platform))
        rows = [f"{1717236000000 + n},unknown,{dice.random()},{n},0.5" for n in range(dice.choice(SIZES))]
        records = ["timestamp,accuracy,x,y,z", *rows]
        encrypted = encrypt_text(records, key, platform)
        name = f"{participant.patient_id}_accel_{1_600_000_000_000 + number}.csv"
        request = upload_request(participant, platform, name, encrypted)
        way = dice.choice((Way.WHOLE, Way.PIECES, *(w for w in Way if w not in (Way.WHOLE, Way.PIECES))))
        at = dice.randrange(len(request.body))
        made.append(Attempt(dice.choice(ports), name, request, way, at, "\n".join(records).encode()))
    return made


def upload_request(participant: Participant, platform: Platform, name: str, encrypted: bytes) -> RawRequest:
    """An upload as the platform's app sends it."""
    fields = list(phone_fields(participant, file_name=name).items())
    if platform is Platform.ANDROID:
        return RawRequest("/upload", bodies.android_upload(fields, encrypted))
    body = bodies.ios_upload(fields, name, encrypted, "Boundary")
    return RawRequest("/upload/ios/", body, bodies.multipart_content_type("Boundary"))


def run(attempts: Sequence[Attempt]) -> list[bytes]:
    """The answers, in the order of the attempts."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(lambda a: send(a.port, a.request, a.way, a.at), attempts))


def compared(
    factory: Factory, participant: Participant, attempts: Sequence[Attempt], answers: Sequence[bytes]
) -> Counter[str]:
    """Compares each attempt with the store. Counts those acknowledged, stored though no answer arrived, and refused.

    Fails where a 200 was given for a file that is not stored whole, or where a part of a file is stored.
    """
    db.session.commit()
    queued = set(db.session.scalars(db.select(QueuedUpload.path)))
    store, figures = factory.store(participant.study), Counter[str]()
    for attempt, answer in zip(attempts, answers, strict=True):
        path = f"{participant.study.object_id}/{attempt.name.replace('_', '/')}"
        is_acknowledged = status_of(answer) == 200
        assert is_acknowledged or attempt.way in BREAKING, f"{attempt.name}, which {attempt.way}: {answer!r}"
        assert status_of(answer) in (None, 200, 400), answer
        if is_acknowledged:
            assert STORED in answer, answer
            assert path in queued, f"200 for {attempt.name}, which {attempt.way}, and it is not stored"
        if path in queued:
            assert store.read(path)[0] == attempt.plaintext, f"a part of {attempt.name}, which {attempt.way}, is stored"
        figures["acknowledged" if is_acknowledged else "stored, not heard" if path in queued else "not stored"] += 1
        figures[f"{attempt.way}: {status_of(answer)}"] += 1
    return figures


def activity_of(participant: Participant) -> ParticipantActivity:
    """What is noted of the phone's requests, read anew."""
    db.session.commit()
    activity = db.session.get(ParticipantActivity, participant.id, populate_existing=True)
    assert activity is not None
    return activity
