"""Streams as Parquet: `python -m tests.benchmarks.bench_exports`.

Prints one JSON line: MB of CSV a second, and a second of processor time, that become a sealed export, through store and
database, for participants' days of accelerometer and GPS; the size of the file beside that of the CSV; and by how many
MB memory grows meanwhile, for one participant and for ten. Raises if memory grows with the number of participants.
"""

import time

import sqlalchemy as sa

from core.audit import SERVER
from core.database import db
from core.exports.asking import ask_for_export
from core.exports.building import build_next
from core.exports.choice import ExportChoice
from core.exports.standing import sole_builder
from core.models import Chunk, Export, ExportKind, Study
from tests.benchmarks.bench_get_data import store_chunks
from tests.benchmarks.measure import growth_mb, report
from tests.benchmarks.serving import serving, study_with_participants
from webapp.stores import object_store, settings

PEOPLE, MOST_GROWTH_MB = 10, 300


def main() -> None:
    """Runs the benchmark."""
    with serving():
        study, people = study_with_participants(PEOPLE)
        ids = [person.patient_id for person in people]
        for patient_id in ids:
            store_chunks(study, patient_id, 1)
        csv_mb = float(db.session.scalars(sa.select(sa.func.sum(Chunk.size_bytes))).one()) / 1e6
        build(study, ids[:1])  # the first time, libraries are loaded
        one = growth_mb(lambda: build(study, ids[:1]))
        began, spent = time.perf_counter(), time.process_time()
        many = growth_mb(lambda: build(study, ids))
        seconds, spent = time.perf_counter() - began, time.process_time() - spent
        size = db.session.scalars(sa.select(Export.size_bytes).order_by(Export.id.desc()).limit(1)).one()
        report(
            "exports_parquet",
            csv_mb=csv_mb,
            csv_mb_per_s=csv_mb / seconds,
            csv_mb_per_cpu_s=csv_mb / spent,
            file_mb=(size or 0) / 1e6,
            memory_one_mb=one,
            memory_ten_mb=many,
        )
        assert many < MOST_GROWTH_MB, many


def build(study: Study, ids: list[str]) -> None:
    """Builds one export of these participants."""
    choice = ExportChoice(patient_ids=tuple(ids))
    ask_for_export(db.session(), study, ExportKind.STREAMS, "parquet", choice, file_name="x.zip", actor=SERVER)
    db.session.commit()
    with sole_builder(db.engine):
        built = build_next(db.engine, object_store(), settings())
    assert built is not None and built.size_bytes, built


if __name__ == "__main__":
    main()
