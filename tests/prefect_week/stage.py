"""Runs the flows' own code in simulated time, with simulated clock, database, store and server.

The names that a flow's module imports are replaced while `Stage.open` is active, so that nothing reaches a real system.
"""

import inspect
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from types import ModuleType
from typing import Any
from unittest.mock import patch

from prefect import State
from prefect.client.schemas.objects import StateType
from prefect.flows import Flow
from prefect.states import Completed, Failed
from prefect.tasks import Task

from flows.infrastructure import INFRASTRUCTURE_ERRORS
from tests.prefect_week.history import Line, Run, Shown, Step, TaskRun

SCHEDULED_AHEAD = timedelta(minutes=100)
WORKER = "ProcessWorker 7d0c1c2e-5b0f-4b5e-9a51-0a4f5f3a8f10"

Work = Callable[[], Any]
"""What a task's body comes to when it ends: gives its result, or raises."""


@dataclass
class Promise:
    """A submitted task's future: when it will have ended, and with what."""

    ends: datetime
    value: Any

    def result(self, raise_on_failure: bool = True) -> Any:
        if raise_on_failure and isinstance(self.value, Exception):
            raise self.value
        return self.value


class Stage:
    """A simulation that runs one flow at a time. `now` is the simulated time, which only the simulated work moves.

    It stands for the modules `time` and `prefect.runtime.flow_run` too, as far as flows use them.
    """

    def __init__(self, dice: Random) -> None:
        self.now = datetime.min.replace(tzinfo=UTC)
        self.parameters: dict[str, Any] = {}
        self._dice = dice
        self._run = Run()
        self._lines: list[Line] = []
        self._logger = logging.Logger("stage")
        self._logger.addHandler(_Pen(self._write))

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def monotonic(self) -> float:
        return self.now.timestamp()

    def __call__(self) -> "Stage":
        """For `flow_run` where it is asked anew."""
        return self

    @contextmanager
    def open(self, scenes: Mapping[ModuleType, Mapping[str, Any]]) -> Iterator[None]:
        """Replaces in each module what it uses of the world, and the names given for it. Raises AttributeError where a
        module has no such name any more."""
        world = self._world()
        with ExitStack() as stack:
            for module, own in scenes.items():
                used = {name: value for name, value in world.items() if hasattr(module, name)}
                for name, value in (used | dict(own)).items():
                    stack.enter_context(patch.object(module, name, value))
            yield

    def play(self, flow: Flow[..., Any], run: Run, wait: timedelta = timedelta()) -> Run:
        """Fills in what comes of the run, which has its flow, expected time and parameters; `wait` is for a worker."""
        self._run, self._lines = run, run.lines
        self._submit(flow, run, wait)
        signature = inspect.signature(flow.fn).parameters
        self.parameters = {name: parameter.default for name, parameter in signature.items()} | run.parameters
        run.name = flow.flow_run_name() if callable(flow.flow_run_name) else str(flow.flow_run_name)
        self.now = max(self.now + timedelta(seconds=2), run.expected) + timedelta(seconds=self._dice.uniform(0.05, 0.6))
        self._come_to(run, StateType.RUNNING, "Running")
        self._logger.info("Beginning flow run %r for flow %r", run.name, flow.name)
        state = self._outcome(flow, run)
        self.sleep(0.04)
        self._come_to(run, state.type, state.name or "", state.message)
        hooks = {StateType.COMPLETED: flow.on_completion_hooks, StateType.FAILED: flow.on_failure_hooks}
        for hook in hooks[state.type]:
            self._logger.info("Running hook %r in response to entering state %r", hook.__name__, state.name)
            self._logger.info("Hook %r finished running successfully", hook.__name__)
        self._logger.log(logging.ERROR if state.is_failed() else logging.INFO, "Finished in state %s", state)
        return run

    def submit(
        self, task: Task[..., Any], arguments: dict[str, Any], work: Callable[[datetime], tuple[float, Work]]
    ) -> Promise:
        """Begins a task run now, beside others. `work` tells of a try at a time: seconds it takes, and what comes."""
        done = TaskRun(name=str(task.task_run_name).format(**arguments), key=task.task_key)
        self._run.tasks.append(done)
        begun = self.now
        pauses = self._pauses(task)
        self._come_to(done, StateType.PENDING, "Pending")
        self.sleep(0.006)
        self._come_to(done, StateType.RUNNING, "Running")
        while True:
            value = self._try(task, done, work)
            retries = len(done.steps) // 2
            if not (isinstance(value, INFRASTRUCTURE_ERRORS) and retries <= len(pauses)):
                break
            self._retry(done, value, retries, pauses)
        self._finish(done, value)
        ends, self.now = self.now, begun
        return Promise(ends, value)

    def stand_in(self, task: Task[..., Any], work: Callable[..., tuple[float, Any]]) -> Callable[..., Any]:
        """Takes the place of a task that is called: `work` gives its seconds and result for the same arguments."""

        def call(*args: Any, return_state: bool = False, **kwargs: Any) -> Any:
            arguments = inspect.signature(task.fn).bind(*args, **kwargs).arguments
            seconds, result = work(**arguments)
            promise = self.submit(task, arguments, lambda _: (seconds, result if callable(result) else lambda: result))
            self.now = promise.ends
            return promise if return_state else promise.result()

        return call

    def first_to_end(self, running: Iterable[Promise]) -> Iterator[Promise]:
        """As `prefect.futures.as_completed`, for who takes one of them."""
        first = min(running, key=lambda promise: promise.ends)
        self.now = max(self.now, first.ends)
        yield first

    def _submit(self, flow: Flow[..., Any], run: Run, wait: timedelta) -> None:
        """From the schedule or a request to a process that has read the flow: the flow's name is made there."""
        if run.is_scheduled:
            run.steps.append(
                Step(run.expected - SCHEDULED_AHEAD, StateType.SCHEDULED, "Scheduled", "Flow run scheduled")
            )
            self.now = run.expected - timedelta(seconds=self._dice.uniform(8, 9.5)) + wait
        else:
            run.steps.append(Step(run.expected, StateType.SCHEDULED, "Scheduled"))
            self.now = run.expected + timedelta(seconds=self._dice.uniform(0.2, 2)) + wait
        self._come_to(run, StateType.PENDING, "Pending")
        self._logger.info("Worker %r submitting flow run", WORKER)
        self.sleep(0.3)
        self._come_to(run, StateType.PENDING, "Submitting")
        self._logger.info("Flow run submitted to infrastructure")
        self.sleep(1.5)
        for line in (
            "Running 1 deployment pull step(s)",
            "Executing deployment step: set_working_directory",
            "Deployment step 'set_working_directory' completed successfully",
            "All deployment steps completed successfully",
        ):
            self._logger.info(line)
        self.sleep(self._dice.uniform(2, 4))

    def _outcome(self, flow: Flow[..., Any], run: Run) -> State[Any]:
        try:
            returned = flow.fn(**run.parameters)
        except Exception as error:
            self._logger.error("Encountered exception during execution: %r", error)
            return Failed(message=f"Flow run encountered an exception: {type(error).__name__}: {error}")
        return returned if isinstance(returned, State) else Completed()

    def _try(self, task: Task[..., Any], done: TaskRun, work: Callable[[datetime], tuple[float, Work]]) -> Any:
        with self._writing_to(done.lines):
            seconds, body = work(self.now)
            self.sleep(seconds)
            try:
                return body()
            except Exception as error:
                return error

    def _retry(self, done: TaskRun, error: Exception, number: int, pauses: list[float]) -> None:
        pause = pauses[number - 1]
        with self._writing_to(done.lines):
            self._logger.info(
                "Task run failed with exception: %r - Retry %s/%s will start %s second(s) from now",
                error,
                number,
                len(pauses),
                pause,
            )
        self._come_to(done, StateType.SCHEDULED, "AwaitingRetry")
        self.sleep(pause)
        self._come_to(done, StateType.RUNNING, "Retrying")

    def _finish(self, done: TaskRun, value: Any) -> None:
        with self._writing_to(done.lines):
            if isinstance(value, Exception):
                state: State[Any] = Failed(message=f"Task run encountered an exception {type(value).__name__}: {value}")
                self._logger.error("Task run failed with exception: %r - Retries are exhausted", value)
                self._logger.error("Finished in state %s", state)
            else:
                state = Completed()
                self._logger.info("Finished in state %s", state)
        self._come_to(done, state.type, state.name or "", state.message)

    def _come_to(self, run: Run | TaskRun, type_: StateType, name: str, message: str | None = None) -> None:
        run.steps.append(Step(self.now, type_, name, message))
        self.sleep(0.001)  # two states of a run are never of one moment

    def _pauses(self, task: Task[..., Any]) -> list[float]:
        seconds = task.retry_delay_seconds
        return (
            [float(pause) for pause in seconds] if isinstance(seconds, list) else [float(seconds or 0)] * task.retries
        )

    def _write(self, level: int, text: str) -> None:
        self._lines.append(Line(self.now, text, level))

    @contextmanager
    def _writing_to(self, lines: list[Line]) -> Iterator[None]:
        before, self._lines = self._lines, lines
        yield
        self._lines = before

    def _show(self, kind: str, key: str, data: Any, description: str | None) -> Shown:
        self.sleep(0.03)
        self._run.artifacts.append(shown := Shown(self.now, key, kind, data, description))
        return shown

    def _move(self, shown: Shown, progress: float, description: str) -> None:
        shown.data, shown.description = progress, description

    def _rename(self, name: str) -> None:
        self._run.new_name = name

    def _world(self) -> dict[str, Any]:
        """What any flow may use, by the name under which its module has it."""
        show = self._show
        return {
            "datetime": clock_of(self),
            "time": self,
            "flow_run": self,
            "get_run_logger": lambda: self._logger,
            "get_engine": lambda: None,
            "get_store": lambda: None,
            "open_session": nullcontext,
            "create_table_artifact": lambda table, key, description=None: show(
                "table", key, json.dumps(table), description
            ),
            "create_markdown_artifact": lambda markdown, key, description=None: show(
                "markdown", key, markdown, description
            ),
            "create_progress_artifact": lambda progress, key, description=None: show(
                "progress", key, progress, description
            ),
            "update_progress_artifact": self._move,
            "counted_run": nullcontext,
            "rename_run": self._rename,
            "get_client": _refuse,
        }


def _refuse(*_: Any, **__: Any) -> None:
    raise AssertionError("a flow on stage asks a Prefect server: its module's function needs a stand-in")


class _Pen(logging.Handler):
    def __init__(self, write: Callable[[int, str], None]) -> None:
        super().__init__()
        self.write = write

    def emit(self, record: logging.LogRecord) -> None:
        self.write(record.levelno, record.getMessage())


def clock_of(stage: Stage) -> type[datetime]:
    """In place of `datetime` in a module: its `now` is the stage's."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return stage.now.astimezone(tz)

    return Clock
