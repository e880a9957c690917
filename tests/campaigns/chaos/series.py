"""A series of campaigns: one for each group protocol, then the control that must be caught."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.benchmarks.figures import Figure
from tests.campaigns.chaos import control, figures
from tests.campaigns.chaos.campaign import CLASSIC, CONSUMER, Campaign, Plan, Result
from tests.campaigns.chaos.faults import Fault
from tests.campaigns.chaos.hanging import BrokerAtFault
from tests.campaigns.chaos.transactions import Hit


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is done, and how much of it must have hit."""

    events: int  #: of all campaigns but the control
    faults: int  #: the same
    control_events: int
    control_faults: int
    open_kills: int  #: kills that must have fallen into open transactions
    each_kind: int  #: faults of each kind at least
    protocols: tuple[str, ...] = (CLASSIC, CONSUMER)
    workers: int = 3
    pace: float = 4.0  #: seconds between two faults, on the average
    seed: int = 1


FULL = Size(
    events=1_000_000,
    faults=300,
    control_events=100_000,
    control_faults=30,
    open_kills=100,
    each_kind=10,
)
SHORT = Size(
    events=12_000,
    faults=16,
    control_events=3_000,
    control_faults=8,
    open_kills=1,
    each_kind=1,
    workers=2,
    pace=1.5,
)


def run(campaign: Campaign, size: Size) -> list[Figure]:
    """Run the whole series and return what it came to."""
    results = [_described(_run(campaign, plan)) for plan in plans(size)]
    every = [figure for result in results for figure in figures.of_worker(result)]
    if results:
        every += figures.of_all(
            results, kills_in_transactions=size.open_kills, each_kind=size.each_kind
        )
    if size.control_faults:
        campaign.worker = control.process
        every += figures.of_control(_described(_run(campaign, control_plan(size))))
    return every


def _run(campaign: Campaign, plan: Plan) -> Result:
    """Run a plan, and once more with other dice where the broker itself has failed."""
    try:
        return campaign.run(plan)
    except BrokerAtFault as fault:
        tell(f"{plan.name}: {fault}; this shows nothing of workers: once more")
        return campaign.run(replace(plan, name=f"{plan.name}_again", seed=plan.seed + 50))


def plans(size: Size) -> Iterator[Plan]:
    """Yield a campaign for each group protocol."""
    for number, protocol in enumerate(size.protocols):
        yield Plan(
            name=f"chaos_{protocol}",
            events=size.events // len(size.protocols),
            faults=size.faults // len(size.protocols),
            seed=size.seed + number,
            protocol=protocol,
            workers=size.workers,
            pace=size.pace,
        )


def control_plan(size: Size) -> Plan:
    """Return the campaign of the control: kills, since those are what transactions are for."""
    return Plan(
        name="chaos_control",
        events=size.control_events,
        faults=size.control_faults,
        seed=size.seed + 100,
        workers=size.workers,
        pace=size.pace / 2,
        only_kills=True,
        repetitions=False,  # without the window they would be doubled without any kill
    )


def _described(result: Result) -> Result:
    """Say what happened, for a person who does not want to wait for the end, and pass it on."""
    name, audit = result.plan.name, result.audit
    aimed = sum(kill.aimed for kill in result.kills)
    lines = [
        f"{result.seconds:.0f} s, {audit.inputs.records} records, {audit.ranges} ranges",
        f"{audit.mails} mails, {audit.letters} dead letters",
        f"faults {_counts(result.faults)}",
        f"{len(result.kills)} kills, {aimed} aimed, hit {_counts(result.hits)}",
        f"seconds of false committed offsets after kills of the broker {sorted(result.forgetful)}",
        f"errors met {dict(result.errors)}",
        f"ends nobody asked for {dict(result.exits)}",
        *(f"FOUND {line}" for line in [*audit.found.lines(), *result.crashes]),
    ]
    for line in lines:
        tell(f"{name}: {line}")
    return result


def _counts(counted: Counter[Fault] | Counter[Hit]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counted.items()))


def tell(line: str) -> None:
    """Say something about the course."""
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)
