"""How trajectories are cut where clocks change."""

import numpy as np

from core.forest.clock_changes import _cut


def test_a_flight_that_takes_no_time_stays_where_it_is():
    """FOREST-3: among flights that are cut in proportion at the borders of a day."""
    hour = 3_600
    flights = np.array(
        [
            # kind, from (place, time), to (place, time), whether it was observed
            [1, 0.0, 0.0, -hour, 10.0, 2.0, hour, 1],
            [1, 10.0, 2.0, hour, 30.0, 4.0, hour, 1],
            [1, 30.0, 4.0, hour, 40.0, 8.0, 5 * hour, 1],
        ]
    )
    assert _cut(flights, 0, 2 * hour).tolist() == [
        [1, 5.0, 1.0, 0, 10.0, 2.0, hour, 1],
        [1, 10.0, 2.0, hour, 30.0, 4.0, hour, 1],
        [1, 30.0, 4.0, hour, 32.5, 5.0, 2 * hour, 1],
    ]
