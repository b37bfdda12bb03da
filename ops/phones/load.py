"""Load tests: files are encrypted and requests built beforehand, so that only the server is measured."""

import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import zip_longest

from ops.phones.data import Recipe, records
from ops.phones.encryption import encrypted_bytes
from ops.phones.outbox import Pending
from ops.phones.phone import Phone
from ops.phones.report import percentiles
from ops.phones.transport import Answer, Transport

ROW_MS = 100
_KEY_LINE_BYTES = 345
_SHORTEST_LINE_BYTES = 90  # an accelerometer row of 32 to 47 bytes


@dataclass(frozen=True)
class Prepared:
    """An upload that only needs to be sent: the request's body and Content-Type, and the file that it carries."""

    phone: Phone
    pending: Pending
    body: bytes
    content_type: str


@dataclass
class LoadReport:
    """What a load run measured. Latencies in milliseconds, in the order in which answers came; sizes in bytes."""

    uploads: int = 0
    acknowledged: int = 0
    sent_bytes: int = 0
    seconds: float = 0.0
    statuses: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    latencies_ms: list[float] = field(default_factory=list)

    @property
    def uploads_per_second(self) -> float:
        """Acknowledged uploads per second of the whole run."""
        return self.acknowledged / self.seconds if self.seconds else 0.0

    def summary(self) -> dict[str, object]:
        """The report as JSON types, with percentiles instead of single latencies."""
        return {
            "uploads": self.uploads,
            "acknowledged": self.acknowledged,
            "sent_bytes": self.sent_bytes,
            "seconds": round(self.seconds, 3),
            "uploads_per_second": round(self.uploads_per_second, 2),
            "statuses": dict(self.statuses),
            "errors": dict(self.errors),
            "latency_ms": percentiles(self.latencies_ms),
        }


def rows_for(phone: Phone, start_ms: int, file_bytes: int) -> int:
    """How many accelerometer rows from a moment on make an encrypted file of about `file_bytes`; at least one."""
    most = max(1, (file_bytes - _KEY_LINE_BYTES) // _SHORTEST_LINE_BYTES)
    end_ms = start_ms + most * ROW_MS
    lines = records(Recipe(phone.seed, phone.platform, phone.zone, "accel", start_ms, end_ms, end_ms, most, ROW_MS))
    size = _KEY_LINE_BYTES
    for count, line in enumerate(lines):
        size += encrypted_bytes([len(line)]) - _KEY_LINE_BYTES
        if size > file_bytes:
            return max(1, count - 1)
    return most


def longest_ms(file_bytes: int) -> int:
    """The longest time in milliseconds that an accelerometer file of an encrypted size can cover."""
    return max(1, file_bytes // _SHORTEST_LINE_BYTES) * ROW_MS


def collect_accelerometer(phone: Phone, start_ms: int, file_bytes: int) -> Pending:
    """Puts one accelerometer file of about the given encrypted size into the phone's outbox, 10 rows a second."""
    rows = rows_for(phone, start_ms, file_bytes)
    return phone.collect("accel", start_ms, start_ms + rows * ROW_MS, rows * ROW_MS, rows, ROW_MS)


def prepare(phone: Phone, files: int, file_bytes: int, start_ms: int | None = None) -> list[Prepared]:
    """Encrypts accelerometer files and builds their requests; the files follow each other in time.

    They begin at `start_ms` (Unix milliseconds), by default as late as they can without reaching past now. The phone
    must be registered.
    """
    if start_ms is None:
        start_ms = time.time_ns() // 1_000_000 - files * longest_ms(file_bytes)
    prepared = []
    for i in range(files):
        pending = collect_accelerometer(phone, start_ms + i * longest_ms(file_bytes), file_bytes)
        body, content_type = phone.upload_body(pending.file_name, phone.outbox.read(pending.file_name))
        prepared.append(Prepared(phone, pending, body, content_type))
    return prepared


def send(transport: Transport, uploads: Sequence[Prepared], threads: int) -> LoadReport:
    """Sends prepared uploads from a number of threads over kept-alive connections, each once, as fast as it goes."""
    report = LoadReport(uploads=len(uploads), sent_bytes=sum(len(upload.body) for upload in uploads))

    def one(upload: Prepared) -> tuple[Prepared, Answer]:
        phone = upload.phone
        return upload, transport.post(phone.platform, "upload", upload.body, upload.content_type)

    begin = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        answers = list(pool.map(one, uploads))
    report.seconds = time.perf_counter() - begin
    for upload, answer in answers:
        report.statuses[str(answer.status or "none")] += 1
        if answer.error:
            report.errors[answer.error] += 1
        if answer.status is not None:
            report.latencies_ms.append(answer.latency_ms)
        report.acknowledged += upload.phone.settle(upload.pending, answer)
    return report


def run_load(server: str, phones: Sequence[Phone], files_per_phone: int, file_bytes: int, threads: int) -> LoadReport:
    """Uploads `files_per_phone` accelerometer files of about `file_bytes` encrypted bytes from every phone.

    Registers phones that are not yet; encrypting and building requests happens before the clock starts, and phones
    take turns. Raises RuntimeError when a phone cannot register.
    """
    for phone in phones:
        if not phone.is_registered and not (answer := phone.register(), phone.is_registered)[1]:
            raise RuntimeError(f"{phone.patient_id} cannot register: {answer.status or answer.error} {phone.problems}")
    by_phone = [prepare(phone, files_per_phone, file_bytes) for phone in phones]
    uploads = [upload for turn in zip_longest(*by_phone) for upload in turn if upload is not None]
    transport = Transport(server, connections=threads)
    try:
        return send(transport, uploads, threads)
    finally:
        transport.close()
