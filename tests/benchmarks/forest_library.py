"""Calls the library on a plain folder, as its documentation has it: what our tasks are compared with.

`python -m tests.benchmarks.forest_library TREE PATIENT INPUT OUTPUT ZONE START END [SETTINGS]`; END is excluded.
"""

import sys
from datetime import date

from tests.benchmarks.measure import resident_peak_mb


def main(
    tree: str, patient: str, folder: str, output: str, zone: str, start: str, end: str, settings: str = ""
) -> None:
    """Runs one tree (FOREST-3), and prints the process's highest memory in MB. None of our code is imported."""
    from forest.constants import Frequency

    begin, after = ([day.year, day.month, day.day, 0, 0, 0] for day in map(date.fromisoformat, (start, end)))
    match tree:
        case "jasmine":
            from forest.jasmine.traj2stats import gps_stats_main

            of = {"time_start": begin, "time_end": after, "participant_ids": [patient]}
            gps_stats_main(folder, output, zone, Frequency.DAILY, save_traj=False, **of)
        case "oak":
            from forest.oak.base import run

            run(folder, output, zone, Frequency.DAILY, f"{start} 12_00_00", f"{start} 12_00_00", [patient])
        case "sycamore":
            from forest.sycamore.base import get_submits_for_tableau

            get_submits_for_tableau(folder, output, settings, zone, start, end, [patient])
        case "willow":
            from forest.willow.log_stats import log_stats_main

            log_stats_main(folder, output, zone, Frequency.DAILY, begin, after, [patient])
    print(resident_peak_mb())


if __name__ == "__main__":
    main(*sys.argv[1:])
