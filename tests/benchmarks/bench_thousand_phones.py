"""A thousand phones that register and upload: `python -m tests.benchmarks.bench_thousand_phones`.

Prints one JSON line: how long it took to create the participants, to register all phones and to send three files from
each; answers by status, errors, and the resident memory of the largest worker before and after.
"""

import time
from concurrent.futures import ThreadPoolExecutor

from core.phones.upload_outcomes import UploadOutcome
from ops.phones import Ledger, Phone, Platform, Transport
from ops.phones.load import prepare, send
from ops.phones.report import percentiles
from tests.benchmarks.measure import report
from tests.benchmarks.serving import resident_mb, serving, study_with_participants
from webapp.phone.upload_answers import ANSWERS

STORED_TEXT = ANSWERS[UploadOutcome.STORED].text
PHONES = 1_000
AT_ONCE = 64
FILES, FILE_BYTES = 3, 20_000


def main() -> None:
    """Raises where a phone cannot register, or an upload is not stored."""
    with serving() as server:
        transport, ledger = Transport(server.address, connections=AT_ONCE), Ledger()
        begin = time.perf_counter()
        _, participants = study_with_participants(PHONES)
        created = time.perf_counter()
        phones = [
            Phone(p.patient_id, p.password, tuple(Platform)[number % 2], transport, seed=number, ledger=ledger)
            for number, p in enumerate(participants)
        ]
        before = resident_mb(server.workers)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            answers = list(pool.map(Phone.register, phones))
        registered = time.perf_counter()
        if failed := [phone.problems for phone in phones if not phone.is_registered]:
            raise RuntimeError(f"{len(failed)} phones cannot register: {failed[:3]}")
        uploads = [upload for phone in phones for upload in prepare(phone, FILES, FILE_BYTES)]
        load = send(transport, uploads, AT_ONCE)
        if load.errors or ledger.answers[STORED_TEXT] != len(uploads):
            raise RuntimeError(f"not all uploads were stored: {load.summary()} {dict(ledger.answers)}")
        latency = percentiles([answer.latency_ms for answer in answers])
        report(
            f"{PHONES} phones",
            seconds_to_create=created - begin,
            seconds_to_register=registered - created,
            registrations_per_s=PHONES / (registered - created),
            registration_p95_ms=latency["p95"],
            seconds_to_upload=load.seconds,
            uploads_per_s=load.uploads_per_second,
            refused_registrations=sum(answer.status != 200 for answer in answers),
            worker_resident_before_mb=before,
            worker_resident_after_mb=resident_mb(server.workers),
        )
        transport.close()


if __name__ == "__main__":
    main()
