"""What a tree's process is asked to do, and what it answers. Both travel as JSON files in the run's folder."""

import json
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from core.forest.trees import Tree

Row = dict[str, Any]  # `date` (ISO), and each of the tree's fields: a number, or None


@dataclass(frozen=True)
class Job:
    """One run of a tree: a participant, a range of days in the study's zone (inclusive), and folders.

    `input_dir` is laid out as FOREST-1; `folder` is the run's own, for all that it writes. `settings_file` and
    `interventions_file` are the study's exports, which sycamore reads; `state_file` is jasmine's state before `start`.
    `is_corrected`: what the library gets wrong about days of 23 and 25 hours and about the borders of a range is put
    right (docs/forest.md), as for all tasks; else the rows are the library's own. `has_later_data`: the participant has
    data after the range. Willow and jasmine leave the newest hour out, which may not be whole yet; without this they
    would take the last hour of the range for it.
    """

    tree: Tree
    patient_id: str
    zone: str
    start: date
    end: date
    input_dir: Path
    folder: Path
    memory_bytes: int
    settings_file: Path | None = None
    interventions_file: Path | None = None
    state_file: Path | None = None
    is_corrected: bool = False
    has_later_data: bool = False

    @property
    def after_end(self) -> date:
        """The day after the last one: trees take the end of a range as excluded (FOREST-3)."""
        return self.end + timedelta(days=1)

    @property
    def days(self) -> list[date]:
        """All days of the range, in order."""
        return [self.start + timedelta(days=i) for i in range((self.end - self.start).days + 1)]

    @property
    def output_dir(self) -> Path:
        """What the library writes, and what is offered for download."""
        return self.folder / "output"

    @property
    def clean_dir(self) -> Path:
        """The input without the chunks that cannot be read."""
        return self.folder / "clean"

    @property
    def saved_state(self) -> Path:
        """Jasmine's state after the run."""
        return self.folder / "state.npz"

    @property
    def answer_file(self) -> Path:
        return self.folder / "answer.json"

    def write(self) -> Path:
        """Writes the job into its folder and returns the file."""
        file = self.folder / "job.json"
        file.write_text(json.dumps(asdict(self), default=str))
        return file

    @classmethod
    def read(cls, file: Path) -> "Job":
        """The job of a file that `write` made."""
        given = json.loads(file.read_text())
        for name in ("input_dir", "folder", "settings_file", "interventions_file", "state_file"):
            given[name] = None if given[name] is None else Path(given[name])
        for name in ("start", "end"):
            given[name] = date.fromisoformat(given[name])
        return cls(**given | {"tree": Tree(given["tree"])})


@dataclass(frozen=True)
class LeftOut:
    """A chunk that the tree did not get, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Answer:
    """What a run computed: rows by day, the chunks left out, and its highest memory in bytes.

    `notes` are sentences for the report, such as that a state of another version was not used.
    """

    rows: list[Row]
    left_out: list[LeftOut] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    peak_memory_bytes: int = 0

    def write(self, file: Path) -> None:
        file.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, file: Path) -> "Answer":
        given = json.loads(file.read_text())
        return cls(**given | {"left_out": [LeftOut(**one) for one in given["left_out"]]})


class TreeFailed(Exception):
    """A run that gave no rows; the message is the plain reason. `trace` is the library's stack trace, if any.

    `is_of_the_machine`: the same run may succeed elsewhere or later (a full disk, a killed process).
    `peak_memory_bytes`: the highest memory of the tree's process, as far as it was seen.
    """

    def __init__(
        self,
        reason: str,
        trace: str | None = None,
        *,
        is_of_the_machine: bool = False,
        peak_memory_bytes: int | None = None,
    ) -> None:
        super().__init__(reason)
        self.trace = trace
        self.is_of_the_machine = is_of_the_machine
        self.peak_memory_bytes = peak_memory_bytes


class NoData(TreeFailed):
    """There is no chunk of the tree's streams in the range (FOREST-2)."""

    def __init__(self) -> None:
        super().__init__("There is no data of this participant for this tree in these days.")
