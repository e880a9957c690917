"""What a million rules cost a worker: memory, look-ups, loading, refreshing, changes felt.

    python -m tests.benchmarks.rules [--rules 1000000] [--changes 200] [--databases sqlite]

SQLite lies in a file (`--folder` keeps it for the next run); PostgreSQL is a real one. Each
measurement is a process of its own; what is compared runs one after the other in one go.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.figures import Figure, at_most, machine, report, told
from tests.benchmarks.rules_cache import Measured
from tests.benchmarks.rules_filling import fill_postgresql, fill_sqlite
from tests.real.found import CHECKOUT
from tests.real.postgresql import start_postgresql

FEW = 10_000

BYTES = 400.0  # resident, a rule
LOOK_UP = 2.5  # among a million against among a thousand
P99 = 10e-6  # seconds
LOAD = 2.5  # against selecting and fetching the same rows
FELT = 1.0  # seconds
REFRESH = 2.0  # among a million against among ten thousand: it does not grow
HELD_UP = 0.05  # seconds


@contextmanager
def sqlite_urls(rules: int, kept: Path | None) -> Iterator[tuple[str, str]]:
    """Give a file with all rules and one with few; `kept` is a folder that may have them."""
    with tempfile.TemporaryDirectory() as folder:
        place = kept or Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        yield filled(place / f"{rules}.db", rules), filled(place / f"{FEW}.db", FEW)


def filled(file: Path, rules: int) -> str:
    """Return the URL of a file with so many rules, filled now or by a run before."""
    if not file.exists():
        unfinished = file.with_suffix(".unfinished")
        unfinished.unlink(missing_ok=True)
        fill_sqlite(unfinished, rules, progress("sqlite"))
        unfinished.rename(file)
    return f"sqlite:///{file}"


@contextmanager
def postgresql_urls(rules: int, _kept: Path | None) -> Iterator[tuple[str, str]]:
    """Give a database with all rules and one with few."""
    server = start_postgresql()
    try:
        yield (
            fill_postgresql(server.url(), rules, progress("postgresql")),
            fill_postgresql(server.url(), FEW, progress("postgresql")),
        )
    finally:
        server.end()


DATABASES = {"sqlite": sqlite_urls, "postgresql": postgresql_urls}


class progress:  # noqa: N801  reads as a function
    """Says how far it is, at most every few seconds."""

    def __init__(self, name: str) -> None:
        self.name, self.began, self.told = name, time.monotonic(), 0.0

    def __call__(self, said: str) -> None:
        now = time.monotonic()
        if now - self.told > 5:
            self.told = now
            print(f"{now - self.began:5.0f} s  {self.name}: {said}", flush=True)


def measure(*arguments: str) -> Measured:
    """Measure in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.rules_cache", *arguments]
    done = subprocess.run(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, check=True)
    measured: Measured = json.loads(done.stdout.splitlines()[-1])
    print(f"{arguments[0]}: {measured}", flush=True)
    return measured


def of_database(name: str, rules: int, changes: int, kept: Path | None) -> Iterator[Figure]:
    """Yield the figures of one database."""
    with DATABASES[name](rules, kept) as (many, few):
        bare, load, again = measure("bare", many), measure("load", many), measure("bare", many)
        fetch = (bare["seconds"] + again["seconds"]) / 2
        yield at_most(f"rules_{name}_bytes_per_rule", load["bytes_per_rule"], BYTES)
        yield told(f"rules_{name}_load_seconds", load["seconds"])
        yield told(f"rules_{name}_bare_seconds", fetch)
        yield at_most(f"rules_{name}_load_against_bare", load["seconds"] / fetch, LOAD)
        live = measure("live", many, few, "--changes", str(changes))
        yield told(f"rules_{name}_look_up_us", live["look_up"] * 1e6)
        ratio = live["look_up"] / live["look_up_few"]
        yield at_most(f"rules_{name}_look_up_many_against_few", ratio, LOOK_UP)
        yield at_most(f"rules_{name}_look_up_p99_us", live["look_up_p99"] * 1e6, P99 * 1e6)
        yield told(f"rules_{name}_unpack_us", live["wanted"] * 1e6)
        yield told(f"rules_{name}_refresh_ms", live["refresh_many"] * 1e3)
        ratio = live["refresh_many"] / live["refresh_few"]
        yield at_most(f"rules_{name}_refresh_many_against_few", ratio, REFRESH)
        yield told(f"rules_{name}_reread_slice_ms", live["slice"] * 1e3)
        yield at_most(f"rules_{name}_reread_holds_up_s", live["held_up"], HELD_UP)
        for notices in ("off", "on"):
            p99 = live[f"felt_notices_{notices}"]
            yield at_most(f"rules_{name}_felt_p99_s_notices_{notices}", p99, FELT)


def figures(rules: int, changes: int, databases: Sequence[str], kept: Path | None) -> list[Figure]:
    """Measure on these databases, one after another."""
    return [each for name in databases for each in of_database(name, rules, changes, kept)]


def main() -> int:
    """Measure, print a line for each figure, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rules", type=int, default=1_000_000)
    parser.add_argument("--changes", type=int, default=200)
    parser.add_argument("--databases", default=",".join(DATABASES))
    parser.add_argument("--folder", type=Path, help="keeps the SQLite files for the next run")
    given = parser.parse_args()
    print(f"{given.rules} rules; {machine()}", flush=True)
    databases = given.databases.split(",")
    return report(figures(given.rules, given.changes, databases, given.folder))


if __name__ == "__main__":
    sys.exit(main())
