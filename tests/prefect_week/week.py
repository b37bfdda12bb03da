"""Seven days: when flows run, what goes wrong meanwhile, and in which order it is played."""

import heapq
import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from types import ModuleType, SimpleNamespace
from typing import Any

from prefect.client.schemas.objects import StateType
from prefect.flows import Flow

from flows import (
    audit_data,
    audit_store,
    process_participants,
    process_uploads,
    progress,
    prune_history,
    purge_participants,
    reprocess_study,
)
from tests.prefect_week.history import Run, Step
from tests.prefect_week.phones import PATIENTS, STUDIES, Phones
from tests.prefect_week.stage import Promise, Stage
from tests.prefect_week.upkeep import OBJECTS, Upkeep

DAYS = 7
DISPATCHER, PROCESSING = "process-uploads", "process-participants"
FLOWS: dict[str, Flow[..., Any]] = {
    flow.name: flow
    for flow in (
        process_uploads.process_uploads,
        process_participants.process_participants,
        audit_data.audit_data,
        audit_store.audit_store,
        prune_history.prune_history,
        purge_participants.purge_participants,
        reprocess_study.reprocess_study,
    )
}
KILLED = (
    "Process exited with status code: -9. Process exited due to a SIGKILL signal. Typically caused by the operating "
    "system terminating the process for exceeding memory limits, or by manual cancellation."
)


@dataclass(frozen=True)
class Incidents:
    """What goes wrong in the week that ends at `until` (UTC), and what is asked for by hand."""

    until: datetime

    def at(self, days_ago: int, hour: int, minute: int = 0) -> datetime:
        midnight = self.until.replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight - timedelta(days=days_ago) + timedelta(hours=hour, minutes=minute)

    @property
    def store_is_away(self) -> tuple[datetime, datetime]:
        return self.at(1, 14, 5), self.at(1, 14, 58)

    @property
    def bucket_is_wrong(self) -> tuple[datetime, datetime]:
        return self.at(5, 9, 20), self.at(5, 9, 20) + timedelta(seconds=8)

    @property
    def power_is_off(self) -> tuple[datetime, datetime]:
        return self.at(4, 17, 40) + timedelta(seconds=10), self.at(4, 17, 54)

    @property
    def memory_is_full(self) -> datetime:
        return self.until - timedelta(hours=7)

    @property
    def useless_file(self) -> datetime:
        return self.at(3, 11, 13)

    @property
    def purges(self) -> dict[str, datetime]:
        return {PATIENTS[12]: self.at(3, 10, 5), PATIENTS[17]: self.at(3, 10, 7)}

    @property
    def asked_for(self) -> list[tuple[datetime, str, dict[str, Any]]]:
        return [
            (self.at(5, 9, 40), "audit-store", {}),
            (self.at(1, 12), "reprocess-study", {"study_id": STUDIES[1], "dry_run": True}),
            (self.power_is_off[1], DISPATCHER, {}),  # a worker's first deed when it is back (ops.worker)
        ]


@dataclass
class Week:
    """Plays it all in the order of time. The same end and seed give the same runs."""

    until: datetime
    seed: int
    days: int = DAYS
    runs: list[Run] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.start = self.until - timedelta(days=self.days)
        self.incidents = Incidents(self.until)
        self.stage = Stage(Random(self.seed))
        self.phones = Phones(Random(self.seed + 1), self.incidents.store_is_away, self.incidents.bucket_is_wrong)
        self.upkeep = Upkeep(self.stage, dict(self.incidents.purges))
        self.watched_until = self.start
        self.processing: list[tuple[datetime, datetime, datetime]] = []  # asked for, begun, gone
        self._due: list[tuple[datetime, int, Run]] = []
        self._numbers = itertools.count()
        self._outcome: Any = None
        self._is_killed = False

    def play(self, schedules: Mapping[str, Sequence[datetime]], parameters: Mapping[str, dict[str, Any]]) -> list[Run]:
        """All runs, by deployment's times and given parameters, in the order in which they were expected."""
        self._set_out()
        for name, times in schedules.items():
            for at in times:
                self._expect(Run(flow=name, expected=at, parameters=dict(parameters[name])))
        for at, name, given in self.incidents.asked_for:
            self._ask(name, at, parameters[name] | given)
        with self.stage.open(self._scenes()):
            while self._due and self._due[0][0] < self.until:
                self._play(heapq.heappop(self._due)[2])
        return self.runs

    def _set_out(self) -> None:
        """What phones upload, and what they had just uploaded when something went wrong."""
        incidents = self.incidents
        self.phones.live(self.start, self.until)
        for at, participant, files in (
            (incidents.bucket_is_wrong[0], 6, 14),
            (incidents.store_is_away[0], 11, 9),
            (incidents.power_is_off[0] - timedelta(minutes=1), 2, 110),
        ):
            if at >= self.start:
                self.phones.upload(at, participant, files)
        if incidents.useless_file >= self.start:
            self.phones.add_useless(incidents.useless_file)

    def _expect(self, run: Run) -> None:
        if run.expected >= self.start:
            heapq.heappush(self._due, (run.expected, next(self._numbers), run))

    def _ask(self, name: str, at: datetime, parameters: dict[str, Any]) -> None:
        self._expect(Run(flow=name, expected=at, is_scheduled=False, parameters=parameters))

    def _play(self, run: Run) -> None:
        off, on = self.incidents.power_is_off
        wait = timedelta()
        if off <= run.expected < on:
            if run.flow == DISPATCHER:
                return  # dropped when the worker is back
            wait = on - run.expected
        self.stage.play(FLOWS[run.flow], run, wait)
        begun, gone = run.began or run.last.at, run.last.at
        if run.expected < off <= gone:
            self._cut_off(run, gone := off)
        elif run.flow == PROCESSING and run.expected >= self.incidents.memory_is_full and not self._is_killed:
            self._kill(run)
            gone = run.last.at
        if run.flow == DISPATCHER and run.last.name != "AnotherLooks":
            self.watched_until = run.last.at
        if run.flow == PROCESSING:
            self.processing = [*self.processing[-5:], (run.expected, begun, gone)]
        self.runs.append(run)

    def _cut_off(self, run: Run, at: datetime) -> None:
        run.cut_off(at)
        if run.flow == PROCESSING:
            self.phones.forget(at)

    def _kill(self, run: Run) -> None:
        """While its first task works."""
        self._is_killed = True
        first = run.tasks[0]
        at = first.steps[1].at + (first.last.at - first.steps[1].at) / 2
        self._cut_off(run, at)
        run.steps.append(Step(at + timedelta(seconds=1.2), StateType.CRASHED, "Crashed", KILLED))

    def _scenes(self) -> dict[ModuleType, dict[str, Any]]:
        stage, upkeep = self.stage, self.upkeep
        return {
            process_uploads: {
                "sole_dispatcher": self._sole_dispatcher,
                "count_waiting": lambda _: self.phones.waiting(stage.now),
                "runs_present": lambda _: self._present(),
                "runs_on_their_way": self._on_their_way,
                "run_deployment": lambda name, **_: self._ask(name.split("/")[0], stage.now, {}),
                "mark_run": lambda _: None,
                "start_what_was_asked": lambda: None,
                "look_for_missing": lambda _: None,
            },
            process_participants: {
                "process_batches": SimpleNamespace(submit=self._submit),
                "process_for": self._process_for,
                "as_completed": stage.first_to_end,
                "anything_waits": lambda: self.phones.waiting(stage.now) > 0,
                "tasks_at_once": lambda: 2,
                "tell_of_integrity": lambda _: None,
            },
            purge_participants: {
                "waiting_purges": upkeep.waiting_purges,
                "purge_participant": stage.stand_in(purge_participants.purge_participant, upkeep.purge),
            },
            prune_history: {
                "count_runs": upkeep.count_runs,
                "prune_page": stage.stand_in(prune_history.prune_page, upkeep.prune_page),
                "prune_histories": stage.stand_in(prune_history.prune_histories, lambda: (0.05, {})),
            },
            audit_data: {
                "scope_of": lambda _: (None, len(PATIENTS)),
                "audit_queue": lambda *_: [],
                "audit_range": stage.stand_in(audit_data.audit_range, upkeep.audit_participants),
            },
            audit_store: {
                "folder_of": lambda _: "",
                "expected_objects": lambda _: OBJECTS,
                "audit_range": stage.stand_in(audit_store.audit_range, upkeep.audit_keys),
            },
            reprocess_study: {
                "open_job": upkeep.job,
                "participants_left": upkeep.participants_left,
                "end_job": lambda *_: True,
                "totals": upkeep.totals,
                "findings": lambda *_: [],
                "reprocess": stage.stand_in(reprocess_study.reprocess, upkeep.reprocess),
            },
            progress: {},
        }

    @contextmanager
    def _sole_dispatcher(self, _: Any) -> Iterator[bool]:
        yield self.stage.now >= self.watched_until

    def _present(self) -> int:
        now = self.stage.now
        return sum(begun <= now < gone for _, begun, gone in self.processing)

    def _on_their_way(self) -> int:
        now = self.stage.now
        return sum(asked <= now < begun for asked, begun, _ in self.processing)

    def _submit(self, number: int) -> Promise:
        """A task of batches: its own code, given what the phones left in the queue."""
        task = BATCHES

        def work(at: datetime) -> tuple[float, Any]:
            seconds, outcome = self.phones.work(at)

            def body() -> Any:
                self._outcome = outcome
                return task.fn(number)

            return seconds, body

        return self.stage.submit(task, {"number": number}, work)

    def _process_for(self, *_: Any) -> Any:
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


BATCHES = process_participants.process_batches
"""As it is before the simulation begins."""
