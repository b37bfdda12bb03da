"""Pushes heartbeats to silent phones, each five minutes (NOTIF-60, OPS-20)."""

from datetime import UTC, datetime

from prefect import State, flow
from prefect.artifacts import create_table_artifact
from prefect.states import Completed

from core.config import get_settings
from core.database import get_engine
from core.notifications.delivering import opener
from core.notifications.heartbeats import send_heartbeats as push_heartbeats
from core.notifications.sending import sole_sender
from flows.hooks import HOOKS
from flows.run_names import rename_run


@flow(
    name="send-heartbeats",
    flow_run_name=lambda: f"send heartbeats {datetime.now(UTC):%Y-%m-%d %H:%M:%S}",
    timeout_seconds=900,
    **HOOKS,
)
def send_heartbeats() -> State:
    """Pushes what is due now. The standing sender does so too: then this finds nobody."""
    with sole_sender(get_engine()) as is_sole:
        if not is_sole:
            return Completed(name="AnotherSends", message="Another process is sending; it pushes heartbeats too.")
        settings = get_settings()
        done = push_heartbeats(get_engine(), opener(settings.fcm_url, settings.apns_url))
    if not done.silent:
        return Completed(name="NobodySilent", message="No phone is silent.")
    table = [{"outcome": outcome, "count": count} for outcome, count in done.outcomes.items()]
    create_table_artifact(key="sent-heartbeats", table=table, description=f"Heartbeats to {done.silent:,} phones.")
    text = f"{done.silent:,} phones silent, {done.accepted:,} accepted"
    rename_run(f"send heartbeats: {text}")
    return Completed(message=f"{text}.")
