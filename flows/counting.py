"""Counts flow runs by flow and by how they ended, for `/metrics` (OPS-32)."""

from typing import Any

from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import Flow

from core.database import open_session
from core.tallies import Counted, add_tallies


def count_run(flow: Flow[..., Any], _run: FlowRun, state: State[Any]) -> None:
    """Adds the run to its flow's; Prefect logs what this raises, and the run's own state stays as it is."""
    with open_session() as session:
        add_tallies(session, Counted.FLOW_RUNS, {f"{flow.name}/{state.type.value.lower()}": 1})
        session.commit()


COUNTED = [count_run]
"""For all four of a flow's hooks."""
