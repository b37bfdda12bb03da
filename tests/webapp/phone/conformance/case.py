"""One row of the table: a request in a situation, and the answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from werkzeug.test import TestResponse

from tests.webapp.phone.conformance.situations import GPS, Circumstance, Situation, as_always, registered

# The statuses of a refusal on the path of each platform (PHONE-20).
REFUSED = (403, 401)


@dataclass(frozen=True)
class Body:
    """The expected body of an answer: in words for the page, and as a check of the answer."""

    words: str
    holds: Callable[[TestResponse], bool]


@dataclass(frozen=True)
class Case:
    """`status` is that of the Android and of the iOS path, with and without a slash at the end.

    `fields` are those that differ from a good request's, None for a missing one; `{id}` is the participant's.
    `kept` says what an upload leaves: "in the store", "aside", both, or nothing. With `paths`, these alone are asked.
    """

    endpoint: str
    condition: str
    status: tuple[int, int]
    body: Body
    ids: tuple[str, ...]
    who: Situation = registered
    fields: Mapping[str, str | None] = field(default_factory=dict)
    file: bytes | None = GPS
    method: str = "POST"
    during: Circumstance = as_always
    kept: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Its name among the tests."""
        return f"{self.endpoint}: {self.condition}".replace("`", "").replace("[", "(").replace("]", ")")

    @property
    def changes_nothing(self) -> bool:
        """Whether the request is refused before it changes anything, so that the participant can be used again."""
        return self.status[0] in (403, 405, 413, 429)

    @property
    def spellings(self) -> list[tuple[str, int]]:
        """Every path that is asked, and its status."""
        android, ios = self.status
        if self.paths:
            return [(path, android) for path in self.paths]
        path = f"/{self.endpoint}"
        return [*((p, android) for p in (path, f"{path}/", f"/{path}")), (f"{path}/ios", ios), (f"{path}/ios/", ios)]
