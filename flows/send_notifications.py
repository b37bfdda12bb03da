"""Sends push notifications of due surveys, and shows what was sent (NOTIF-20, OPS-20, OPS-22).

A standing process sends (`python -m ops.sender`). A run of this deployment looks beside it for ten minutes, so that
pushes go out also where only Prefect's workers run, and shows all that was sent meanwhile, by whichever process.
"""

from datetime import UTC, datetime, timedelta

from prefect import State, flow, get_run_logger
from prefect.artifacts import create_table_artifact
from prefect.states import Completed

from core.config import get_settings
from core.database import get_engine, open_session
from core.notifications.delivering import opener
from core.notifications.recent_passes import Recent, recent_passes
from core.notifications.standing import Stand
from flows.hooks import HOOKS
from flows.run_names import rename_run

STANDS_FOR = timedelta(minutes=10) - timedelta(seconds=20)  # a run takes some seconds to start


@flow(
    name="send-notifications",
    flow_run_name=lambda: f"send notifications {datetime.now(UTC):%Y-%m-%d %H:%M:%S}",
    timeout_seconds=900,
    **HOOKS,
)
def send_notifications(minutes: float | None = None) -> State:
    """Looks every few seconds for ten minutes, or for so many; then shows what was sent in that time."""
    settings = get_settings()
    began_at = datetime.now(UTC)
    until = began_at + (STANDS_FOR if minutes is None else timedelta(minutes=minutes))
    looks: list[int] = []
    stand = Stand(
        get_engine(),
        opener(settings.fcm_url, settings.apns_url),
        settings.push_attempt_count,
        on_look=lambda look: looks.append(look.messages),
    )
    stand.run(until)
    with open_session() as session:
        recent = recent_passes(session, began_at, datetime.now(UTC))
    show(recent)
    if not recent.due:
        return Completed(name="NothingDue", message=f"Nothing was due; this run looked {len(looks)} times.")
    text = f"{recent.due:,} due, {recent.accepted:,} accepted, {recent.waiting:,} waiting"
    get_run_logger().info(text)
    rename_run(f"send notifications: {text}")
    return Completed(message=f"{text}.")


def show(recent: Recent) -> None:
    """Writes an artifact: what was due, what was sent by service, platform and outcome, what waits and why."""
    create_table_artifact(
        key="sent-notifications",
        table=[{"what": what, "count": count} for what, count in recent.rows()],
        description=f"Push notifications from {recent.since:%H:%M} to {recent.until:%H:%M} UTC, of all senders.",
    )
