"""Deletes all data of participants whose purge was requested half an hour ago or earlier (STORE-9, OPS-20)."""

from datetime import UTC, datetime

from prefect import State, flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.states import Completed
from prefect.tasks import exponential_backoff

from core.database import get_engine, open_session
from core.participants.purging import PurgeCertificate, WaitingPurge, purge_next, waiting_purges
from flows.hooks import HOOKS
from flows.infrastructure import get_store, is_infrastructure_error
from flows.progress import Progress

MOST_SECONDS = 6 * 3600  # for a participant with millions of objects; the next run continues where this one stopped
CERTIFICATE = "purge-certificate"


@task(
    name="purge participant",
    task_run_name="purge {number}",
    retries=3,
    retry_delay_seconds=exponential_backoff(backoff_factor=2),
    retry_condition_fn=is_infrastructure_error,
)
def purge_participant(number: int) -> PurgeCertificate | None:
    """Runs the purge that is due first. Returns None while another run purges or the participant is processed."""
    certificate = purge_next(get_engine(), get_store(), datetime.now(UTC))
    if certificate is not None:
        get_run_logger().info("purge %s: participant=%s is purged", number, certificate.patient_id)
    return certificate


@flow(
    name="purge-participants",
    flow_run_name=lambda: f"purge participants {datetime.now(UTC):%Y-%m-%d %H:%M:%S}",
    timeout_seconds=MOST_SECONDS,
    **HOOKS,
)
def purge_participants(dry_run: bool = False) -> State:
    """Purges the participants that are due, one by one, with a certificate for each. `dry_run` only lists them.

    A purge that fails does not stop the others; the run then ends as failed, and the next run tries again.
    """
    with open_session() as session:
        waiting = waiting_purges(session, datetime.now(UTC))
    if waiting:
        show(waiting)
    due = sum(w.is_due for w in waiting)
    if dry_run or not due:
        name = "DryRun" if dry_run else "NothingWaiting"
        return Completed(name=name, message=f"{due} purges are due, {len(waiting) - due} still wait.")
    done, defects = purge(due)
    if defects:
        raise defects[0]
    if not done:
        return Completed(name="AnotherPurges", message="Another run is purging, or uploads are being worked on.")
    return Completed(message=f"{done} of {due} participants were purged.")


def purge(due: int) -> tuple[int, list[Exception]]:
    """Runs all purges that are due. Returns the number completed, and the errors of the others."""
    progress, done, defects = Progress("purges", due), 0, []
    for number in range(1, due + 1):
        result = purge_participant(number, return_state=True).result(raise_on_failure=False)
        if result is None:
            break
        if isinstance(result, PurgeCertificate):
            certify(result)
            done += 1
        else:
            defects.append(result)
        progress.move(1, f"{number} of {due}")
    progress.end(f"{done} of {due} purged")
    return done, defects


def show(waiting: list[WaitingPurge]) -> None:
    """Writes an artifact with the waiting purges: participant, since when, and the last error."""
    create_table_artifact(
        key="waiting-purges",
        table=[
            {
                "participant": w.patient_id,
                "study": w.study_id,
                "is due": w.is_due,
                "asked at": w.asked_at.isoformat(timespec="seconds"),
                "last trouble": w.trouble or "",
            }
            for w in waiting
        ],
        description="Purges that were asked for and are not done; they begin half an hour later.",
    )


def certify(certificate: PurgeCertificate) -> None:
    """Writes the purge's certificate, which `prune-history` keeps: what was deleted, and when nothing was left."""
    places = [f"`{prefix}…`" for prefix in certificate.belongings.prefixes]
    places += [f"`{key}` with and without `.zst`" for key in certificate.belongings.keys]
    rows = sorted(certificate.rows_deleted.items())
    lines = [
        f"# Purge of participant {certificate.patient_id}",
        f"Study {certificate.study_id}. Asked for at {certificate.asked_at.isoformat(timespec='seconds')}, begun at "
        f"{certificate.started_at.isoformat(timespec='seconds')}.",
        f"**Verified empty at {certificate.confirmed_at.isoformat(timespec='seconds')}**: no object, no version and no "
        "row of the tables below is left.",
        f"{certificate.files_deleted:,} objects and {certificate.versions_deleted:,} older versions and marks of "
        "deletion were deleted from:\n",
        "\n".join(f"- {place}" for place in places),
        "| table | rows deleted |\n|---|---|\n" + "\n".join(f"| {table} | {count:,} |" for table, count in rows),
    ]
    create_markdown_artifact(
        "\n\n".join(lines),
        key=f"{CERTIFICATE}-{certificate.patient_id}",
        description=f"Everything of participant {certificate.patient_id} was deleted.",
    )
