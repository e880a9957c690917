"""`make fault-matrix`: every phase with every fault at 1:100, and what became of the mails."""

import argparse
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from tests.benchmarks.figures import Figure, at_least, at_most, report, told
from tests.campaigns.faults.rows import Row, extra_rows, matrix
from tests.campaigns.faults.running import Ending, run_row


def options() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(prog="make fault-matrix", description=__doc__)
    parser.add_argument("--scale", type=float, default=100.0, help="so much faster than in service")
    parser.add_argument("--only", default="", help="rows whose name holds this")
    parser.add_argument("--side_by_side", type=int, default=6)
    return parser.parse_args()


def ended(folder: Path, scale: float, numbered: tuple[int, Row]) -> Ending:
    """Run a row, and say how it ended."""
    number, row = numbered
    ending = run_row(row, folder / str(number), scale)
    print(f"{time.strftime('%H:%M:%S')} {ending.told} ({ending.seconds:.1f} s)", flush=True)
    return ending


def figures(endings: list[Ending]) -> list[Figure]:
    """Return what was promised, and how it stands."""
    wrong = [one for one in endings if one.wrong]
    mad = [one for one in endings if "refuses everything" in one.row]
    return [
        told("fault_matrix_rows", len(endings)),
        at_most("fault_matrix_rows_wrong", len(wrong), 0),
        *(at_least("fault_matrix_held", _held(one), 20) for one in mad),
        *(at_most("fault_matrix_suppressed_by_mad_relay", one.suppressed, 0) for one in mad),
    ]


def _held(ending: Ending) -> int:
    return sum(state.value == "held" for state in ending.states.values())


def main(given: argparse.Namespace) -> int:
    """Run the rows that were asked for; the exit code says whether all held."""
    rows = [row for row in (*matrix(), *extra_rows()) if given.only in row.name]
    with (
        tempfile.TemporaryDirectory(prefix="push-faults-") as folder,
        ProcessPoolExecutor(given.side_by_side) as pool,
    ):
        run = partial(ended, Path(folder), given.scale)
        return report(figures(list(pool.map(run, enumerate(rows)))))


if __name__ == "__main__":
    sys.exit(main(options()))
