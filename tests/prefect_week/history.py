"""What a flow run leaves behind: states, task runs, lines of its log, artifacts."""

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from prefect.client.schemas.objects import StateType

FINAL = frozenset((StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED))


@dataclass(frozen=True)
class Step:
    """A state that a run came to."""

    at: datetime
    type: StateType
    name: str
    message: str | None = None


@dataclass(frozen=True)
class Line:
    """A line of a log; `level` is logging's number."""

    at: datetime
    message: str
    level: int = logging.INFO


@dataclass
class Shown:
    """An artifact: a table as JSON text, Markdown, or a percentage."""

    at: datetime
    key: str
    type: str
    data: Any
    description: str | None = None


@dataclass
class Steps:
    """States in the order of time, and what follows from them."""

    steps: list[Step] = field(default_factory=list)

    @property
    def last(self) -> Step:
        return self.steps[-1]

    @property
    def began(self) -> datetime | None:
        return next((step.at for step in self.steps if step.type is StateType.RUNNING), None)

    @property
    def ended(self) -> datetime | None:
        return self.last.at if self.last.type in FINAL else None

    @property
    def ran_for(self) -> timedelta:
        """How long it was in states of type running, that it has left."""
        pairs = zip(self.steps, self.steps[1:], strict=False)
        return sum((b.at - a.at for a, b in pairs if a.type is StateType.RUNNING), timedelta())

    @property
    def attempts(self) -> int:
        return sum(step.type is StateType.RUNNING for step in self.steps)

    def cut(self, at: datetime) -> None:
        """Nothing is known of what came later."""
        self.steps = [step for step in self.steps if step.at <= at]


@dataclass
class TaskRun(Steps):
    """A task run: its own name, and Prefect's key of the task."""

    name: str = ""
    key: str = ""
    lines: list[Line] = field(default_factory=list)


@dataclass
class Run(Steps):
    """A flow run. `expected` is when it was to begin; `is_scheduled` tells runs of a schedule from those asked for.

    `name` is what it began with, `new_name` what it gave itself at its end.
    """

    flow: str = ""
    name: str = ""
    new_name: str | None = None
    expected: datetime = datetime.min
    is_scheduled: bool = True
    parameters: dict[str, Any] = field(default_factory=dict)
    tasks: list[TaskRun] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    artifacts: list[Shown] = field(default_factory=list)

    def cut_off(self, at: datetime) -> None:
        """Its process ended at that moment, by no doing of its own."""
        self.cut(at)
        self.new_name = None
        self.lines = [line for line in self.lines if line.at <= at]
        self.artifacts = [shown for shown in self.artifacts if shown.at <= at]
        self.tasks = [task for task in self.tasks if task.steps[0].at <= at]
        for task in self.tasks:
            task.cut(at)
            task.lines = [line for line in task.lines if line.at <= at]
