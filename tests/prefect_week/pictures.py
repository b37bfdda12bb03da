"""Pictures of the Prefect UI's pages as an operator opens them, taken with Chromium."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa
from playwright.sync_api import Browser, Playwright, sync_playwright
from prefect.client.schemas.objects import StateType
from prefect.server.database import orm_models as tables
from sqlalchemy.orm import Session

from ops.chromium import NAMES
from tests.prefect_week.fill import drop_overdue

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
SIZE = {"width": 1440, "height": 1300}
DRAWN_MS = 2500  # until graphs and charts have their data and have moved into place
WEEK = "range=past-7-days&limit=10"  # of the list: each run in it is a request of its own
NOT_EMPTY = "state=Completed,Failed,Crashed,Cancelled,Running"


def take_pictures(address: str, engine: sa.Engine, folder: Path) -> list[Path]:
    """PNG files, numbered in the order in which an operator would look. Raises Playwright's Error without Chromium."""
    folder.mkdir(parents=True, exist_ok=True)
    taken = []
    with sync_playwright() as playwright, open_chromium(playwright) as chromium:
        context = chromium.new_context(viewport=SIZE, timezone_id="UTC", locale="en-GB")  # type: ignore[arg-type]
        context.route(lambda url: not url.startswith(address), lambda route: route.abort())  # it asks amplitude.com
        page = context.new_page()
        for number, (name, path) in enumerate(pages(engine), 1):
            drop_overdue(engine)
            page.goto(f"{address}/v2/{path}")
            page.wait_for_timeout(DRAWN_MS)
            taken.append(folder / f"{number:02}-{name}.png")
            page.screenshot(path=taken[-1])
            print(taken[-1], flush=True)
    return taken


def open_chromium(playwright: Playwright) -> Browser:
    """The machine's, else Playwright's own."""
    installed = next(filter(None, map(shutil.which, NAMES)), None)
    return playwright.chromium.launch(executable_path=installed, args=ARGUMENTS)


def pages(engine: sa.Engine) -> Iterator[tuple[str, str]]:
    """Name of a picture, and the page's address below the UI's."""
    with Session(engine) as session:
        flows = dict(session.execute(sa.select(tables.Flow.name, tables.Flow.id)).tuples().all())
        deployments = dict(session.execute(sa.select(tables.Deployment.name, tables.Deployment.id)).tuples().all())
        processing = flows["process-participants"]
        good = _run(session, processing, StateType.COMPLETED, tasks=14)
        failed, crashed = (_run(session, processing, type_) for type_ in (StateType.FAILED, StateType.CRASHED))
        lost = _run(session, flows["process-uploads"], StateType.RUNNING)
        audit = _run(session, flows["audit-store"], StateType.COMPLETED)
        table = session.scalar(sa.select(tables.Artifact.id).where(tables.Artifact.flow_run_id == good))
    yield "dashboard-day", "dashboard"
    yield "dashboard-week", "dashboard?rangeType=span&seconds=-604800"
    yield "runs-all", f"runs?{WEEK}"
    yield "runs-that-did-something", f"runs?{WEEK}&{NOT_EMPTY}"
    yield "runs-that-failed", f"runs?{WEEK}&state=Failed,Crashed"
    yield "runs-of-processing", f"runs?{WEEK}&flows={processing}"
    yield "processing-run", f"runs/flow-run/{good}"
    yield "processing-run-artifacts", f"runs/flow-run/{good}?tab=Artifacts"
    yield "processing-run-table", f"artifacts/artifact/{table}"
    yield "failed-run-log", f"runs/flow-run/{failed}"
    yield "failed-run-details", f"runs/flow-run/{failed}?tab=Details"
    yield "crashed-run-details", f"runs/flow-run/{crashed}?tab=Details"
    yield "lost-run-details", f"runs/flow-run/{lost}?tab=Details"
    yield "audit-store-run", f"runs/flow-run/{audit}?tab=Artifacts"
    yield "deployments", "deployments"
    yield "deployment-of-the-dispatcher", f"deployments/deployment/{deployments['process-uploads']}"
    yield "work-pool", "work-pools/work-pool/beiwe"
    yield "work-pool-queues", "work-pools/work-pool/beiwe?tab=Work+Queues"
    yield "artifacts", "artifacts"
    yield "artifacts-of-processing", "artifacts/key/processed-uploads"
    yield "artifacts-of-failed-files", "artifacts/key/failed-uploads"


def _run(session: Session, flow: UUID, type_: StateType, tasks: int = 0) -> UUID:
    """The newest run of that flow that ended so, with at least so many task runs."""
    run, task = tables.FlowRun, tables.TaskRun
    number = sa.select(sa.func.count()).where(task.flow_run_id == run.id).scalar_subquery()
    query = sa.select(run.id).where(run.flow_id == flow, run.state_type == type_, number >= tasks)
    return session.scalars(query.order_by(run.start_time.desc()).limit(1)).one()
