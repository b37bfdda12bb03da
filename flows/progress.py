"""A progress artifact of a long run, shown in the Prefect UI."""

from dataclasses import dataclass, field
from typing import cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact


@dataclass
class Progress:
    """`key` names the artifact. `expected` is an estimate of the total; until `end`, at most 99 % is shown."""

    key: str
    expected: int
    done: int = 0
    _id: UUID = field(init=False)

    def __post_init__(self) -> None:
        self._id = cast(UUID, create_progress_artifact(0.0, key=self.key, description="just begun"))

    def move(self, by: int, where: str) -> None:
        """Adds to what is done. `where` describes the position in a few words, with ids only."""
        self.done += by
        percent = min(99.0, 100 * self.done / max(self.expected, 1))
        update_progress_artifact(self._id, percent, description=where)

    def end(self, where: str) -> None:
        """Shows 100 %."""
        update_progress_artifact(self._id, 100.0, description=where)
