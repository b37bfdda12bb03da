"""Random choices of one case, derived from its number only, so that each case can be repeated alone."""

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Dice(random.Random):
    """Random choices in words. Hypothesis would take twice as long to choose a request as the server to answer it,
    and could not shrink one, since each is sent to a server that remembers those before.
    """

    def one_in(self, times: int) -> bool:
        return self.randrange(times) == 0

    def pick(self, *kinds: Sequence[T]) -> T:
        """One of one of the kinds, each kind as likely as the others."""
        return self.choice(self.choice(kinds))

    def some_bytes(self, most: int) -> bytes:
        return self.randbytes(self.randint(0, most))

    def text(self, most: int) -> str:
        """Letters of all sorts: ASCII, other scripts, pictures, controls; never half a surrogate."""
        ranges = ((32, 126), (32, 126), (0, 31), (0xA0, 0x24F), (0x600, 0x6FF), (0x2000, 0x206F), (0x1F300, 0x1F6FF))
        return "".join(chr(self.randint(*self.choice(ranges))) for _ in range(self.randint(0, most)))
