"""`make chaos`: the campaigns with both group protocols and the control, and what they came to."""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.figures import machine, report
from tests.campaigns.chaos import control, figures
from tests.campaigns.chaos.campaign import CLASSIC, CONSUMER, Campaign, Plan, Result, worker
from tests.campaigns.chaos.faults import Fault
from tests.campaigns.chaos.transactions import Hit
from tests.conftest import Spawn
from tests.real.kafka import start_kafka
from tests.real.postgresql import start_postgresql
from tests.real.push_services import PushServices, spawned


def options() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument(
        "--events", type=int, default=1_000_000, help="of all campaigns but control"
    )
    parser.add_argument("--faults", type=int, default=300, help="of all campaigns but the control")
    parser.add_argument("--protocol", choices=["both", CLASSIC, CONSUMER], default="both")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pace", type=float, default=4.0, help="seconds between two faults")
    parser.add_argument("--control-events", type=int, default=100_000)
    parser.add_argument("--control-faults", type=int, default=30)
    parser.add_argument("--open-kills", type=int, default=100, help="kills in open transactions")
    parser.add_argument("--each-kind", type=int, default=10, help="faults of each kind at least")
    return parser.parse_args()


def main(given: argparse.Namespace) -> int:
    """Run what was asked for; the exit code says whether all held."""
    tell(machine())
    kafka = start_kafka()
    postgresql = start_postgresql()
    try:
        with tempfile.TemporaryDirectory(prefix="push-chaos-") as folder, spawning(folder) as spawn:
            campaign = Campaign(
                kafka=kafka,
                postgresql=postgresql,
                folder=Path(folder),
                spawn=spawn,
                worker=worker,
                tell=tell,
            )
            results = [campaign.run(plan) for plan in plans(given)]
            for result in results:
                describe(result)
            campaign.worker = control.process
            caught = campaign.run(control_plan(given)) if given.control_faults else None
    finally:
        postgresql.end()
        kafka.end()
    every = [figure for result in results for figure in figures.of_worker(result)]
    every += figures.of_all(
        results, kills_in_transactions=given.open_kills, each_kind=given.each_kind
    )
    if caught is not None:
        describe(caught)
        every += figures.of_control(caught)
    return report(every)


def plans(given: argparse.Namespace) -> Iterator[Plan]:
    """Yield a campaign for each group protocol that was asked for."""
    protocols = [CLASSIC, CONSUMER] if given.protocol == "both" else [given.protocol]
    for number, protocol in enumerate(protocols):
        yield Plan(
            name=f"chaos_{protocol}",
            events=given.events // len(protocols),
            faults=given.faults // len(protocols),
            seed=given.seed + number,
            protocol=protocol,
            workers=given.workers,
            pace=given.pace,
        )


def control_plan(given: argparse.Namespace) -> Plan:
    """Return the campaign of the control."""
    return Plan(
        name="chaos_control",
        events=given.control_events,
        faults=given.control_faults,
        seed=given.seed + 100,
        workers=given.workers,
        pace=given.pace / 2,
        only_kills=True,
        again=0,  # without the worker's window these would be doubled without any kill
    )


def describe(result: Result) -> None:
    """Say what happened, for a person."""
    name, audit = result.plan.name, result.audit
    tell(
        f"{name}: {result.seconds:.0f} s, {audit.inputs.records} records, {audit.mails} mails, "
        f"{audit.letters} dead letters, {audit.ranges} ranges"
    )
    tell(f"{name}: faults {_counts(result.faults)}")
    aimed = sum(kill.aimed for kill in result.kills)
    tell(f"{name}: {len(result.kills)} kills, {aimed} aimed, hit {_counts(result.hits)}")
    tell(f"{name}: errors met {dict(result.errors)}")
    tell(f"{name}: ends nobody asked for {dict(result.exits)}")
    for line in [*audit.found.lines(), *result.crashes]:
        tell(f"{name}: FOUND {line}")


def _counts(counted: Counter[Fault] | Counter[Hit]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counted.items()))


def tell(line: str) -> None:
    """Say something about the course."""
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


@contextmanager
def spawning(folder: str) -> Iterator[Spawn]:
    """Start commands of `push-services` as real processes, ended with the block."""
    started: list[PushServices] = []

    def spawn(*arguments: str, settings: Mapping[str, str]) -> PushServices:
        place = Path(folder) / f"push-services-{len(started)}"
        started.append(spawned(*arguments, settings=settings, folder=place))
        return started[-1]

    try:
        yield spawn
    finally:
        for each in started:
            each.process.end()


if __name__ == "__main__":
    sys.exit(main(options()))
