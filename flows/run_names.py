"""Names runs by their result, because lists in the Prefect UI show and search names (OPS-21)."""

from uuid import UUID

import httpx
from prefect import get_client, get_run_logger
from prefect.runtime import flow_run


def rename_run(name: str) -> None:
    """Renames the current run; the name holds counts and ids only. Never raises, because the work itself is done."""
    try:
        with get_client(sync_client=True) as client:
            client.update_flow_run(UUID(flow_run.id), name=name)
    except httpx.HTTPError as error:
        get_run_logger().warning("the run keeps its name: %s", type(error).__name__)
