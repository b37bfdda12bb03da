"""Takes a gigabyte."""

from misbehaving import run_in_place_of_oak


def fill(job: object) -> None:
    import numpy as np

    np.ones(1 << 27)


run_in_place_of_oak(fill)
