"""What `push-services rules import` costs a rule, and that a million of them cost no more each.

Files are written first; what is measured is the command's own work, from opening the file to the
commit, with its checks, its notes and the history's triggers. SQLite lies in a file; PostgreSQL is
a real one. The command runs in a process of its own, so its memory is the import's.

    python -m tests.benchmarks.rules_import [--rules 1000000] [--databases sqlite,postgresql]
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from rules_store.migrating import upgrade
from schemas.vocabulary import TICKABLE
from tests.benchmarks.figures import Figure, at_most, machine, report, told
from tests.real.found import LeftOut
from tests.real.postgresql import start_postgresql
from tests.real.push_services import clean_environment, installed_command

FEW = 10_000
RULES_OF_A_TENANT = 10
BAR = 2.0  # time per rule at many against at few
RUNS = 3  # of few: their median counts

Urls = Callable[[], str]  # each call is a new empty database

HEAD = """\
- id: m-{tenant:06}
  name: Mandant {tenant} GmbH
  language: de
  time_zone: Europe/Berlin
  users:
  - {{id: u-anna, name: Anna Beispiel, email: anna@firma-{tenant}.example, language: de}}
  - {{id: u-ben, name: Ben Beispiel, email: ben@firma-{tenant}.example}}
  bank_accounts:
  - {{id: acc-1, iban: DE89370400440532013000, description: Hauptkonto}}
  - {{id: acc-2, iban: DE02120300000000202051}}
  rules:
"""
RULE = """\
  - id: r-{rule}
    description: Benachrichtigung {rule}
    event: payment-status-updated
    statuses: [{one}, {other}]
    bank_accounts: [acc-1]
    detail: {{internal: standard, external: minimal}}
    enabled: true
    subject: '{{{{ status }}}}: {{{{ tenant }}}}'
    internal_recipients: [u-anna]
    external_recipients: [{{email: steuer@kanzlei-{tenant}.example, language: de}}]
"""


def write_rules_file(out: TextIO, rules: int) -> None:
    """Write a rules file of tenants with ten rules each, no two alike within a tenant."""
    out.write("version: 1\ntenants:\n")
    for tenant in range(rules // RULES_OF_A_TENANT):
        out.write(HEAD.format(tenant=tenant))
        for rule in range(RULES_OF_A_TENANT):
            one, other = TICKABLE[rule], TICKABLE[(rule + 1) % len(TICKABLE)]
            out.write(RULE.format(tenant=tenant, rule=rule, one=one.value, other=other.value))


@dataclass(frozen=True, slots=True)
class Cost:
    """What one import took: seconds by the clock and of its process, and its greatest memory.

    PostgreSQL's own processor time is not the import's process's, and not in it.
    """

    seconds: float
    processor_seconds: float
    memory: int  #: bytes


def import_cost(file: Path, url: str) -> Cost:
    """Run the import in an empty database."""
    upgrade(url)
    environment = clean_environment() | {"PUSH_DATABASE_URL": url}
    command = [*installed_command(), "rules", "import", str(file)]
    start = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as running:
        _, status, used = os.wait4(running.pid, 0)
        seconds = time.perf_counter() - start
        running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode:
        raise SystemExit(f"the import ended with exit code {running.returncode}")
    return Cost(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)


def measured(name: str, urls: Urls, files: dict[int, Path]) -> Iterator[Figure]:
    """Return the figures of one database; few are measured before and after many."""
    few, many = min(files), max(files)
    of_few = [import_cost(files[few], urls()) for _ in range(RUNS - 1)]
    of_many = import_cost(files[many], urls())
    of_few.append(import_cost(files[few], urls()))
    at_few = statistics.median(cost.seconds for cost in of_few) / few
    at_few_processor = statistics.median(cost.processor_seconds for cost in of_few) / few
    at_many, at_many_processor = of_many.seconds / many, of_many.processor_seconds / many
    yield told(f"rules_import_{name}_us_per_rule_at_{few}", at_few * 1e6)
    yield told(f"rules_import_{name}_us_per_rule_at_{many}", at_many * 1e6)
    yield told(f"rules_import_{name}_processor_us_per_rule_at_{few}", at_few_processor * 1e6)
    yield told(f"rules_import_{name}_processor_us_per_rule_at_{many}", at_many_processor * 1e6)
    yield told(f"rules_import_{name}_processor_ratio", at_many_processor / at_few_processor)
    yield told(f"rules_import_{name}_seconds_for_{many}", of_many.seconds)
    yield told(f"rules_import_{name}_memory_mib_for_{many}", of_many.memory / 2**20)
    yield at_most(f"rules_import_{name}_many_against_few", at_many / at_few, BAR)


@contextmanager
def sqlite_urls() -> Iterator[Urls]:
    """Give SQLite files, each in place of the one before: a million rules take their space."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "database"

        def url() -> str:
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            return f"sqlite:///{place / 'push.db'}"

        yield url


@contextmanager
def postgresql_urls() -> Iterator[Urls]:
    """Give databases of a real PostgreSQL."""
    server = start_postgresql()
    try:
        yield server.url
    finally:
        server.end()


DATABASES = {"sqlite": sqlite_urls, "postgresql": postgresql_urls}


def figures(rules: int, databases: Sequence[str]) -> Iterator[Figure]:
    """Measure on these databases, one after another."""
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        files = {number: folder / f"{number}.yaml" for number in (FEW, rules)}
        for number, file in files.items():
            with file.open("w", encoding="utf-8") as out:
                write_rules_file(out, number)
        for name in databases:
            with DATABASES[name]() as urls:
                yield from measured(name, urls, files)


def main() -> int:
    """Measure, print a line for each figure, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rules", type=int, default=1_000_000)
    parser.add_argument("--databases", default=",".join(DATABASES))
    given = parser.parse_args()
    print(f"rules import: {machine()}", flush=True)
    try:
        return report(figures(given.rules, given.databases.split(",")))
    except LeftOut as reason:
        print(f"LEFT OUT: {reason}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
