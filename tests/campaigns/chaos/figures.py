"""What a campaign's result amounts to, as figures with their bars."""

from collections.abc import Iterator

from tests.benchmarks.figures import Figure, at_least, at_most, told
from tests.campaigns.chaos.campaign import Result
from tests.campaigns.chaos.faults import Fault
from tests.campaigns.chaos.findings import Damage
from tests.campaigns.chaos.transactions import Hit

LOST = (Damage.LOST_MAIL, Damage.LOST_LETTER)
TWICE = (Damage.DOUBLED_MAIL, Damage.DOUBLED_LETTER)
FOREIGN = (Damage.FOREIGN_MAIL, Damage.FOREIGN_LETTER)
RANGES = (Damage.GAP, Damage.OVERLAP, Damage.FOREIGN_RANGE, Damage.WRONG_COUNTS)
REPEATS = (Damage.WRONG_FIRST, Damage.LOST_REPEAT, Damage.FOREIGN_REPEAT)


def of_worker(result: Result) -> Iterator[Figure]:
    """Yield what a campaign with the worker must have shown."""
    name, found = f"{result.plan.name}", result.audit.found
    yield at_least(f"{name}_events", result.sent, result.plan.events)
    yield at_least(f"{name}_faults", sum(result.faults.values()), result.plan.faults)
    yield told(f"{name}_records", result.audit.inputs.records)
    yield told(f"{name}_mails", result.audit.mails)
    yield told(
        f"{name}_repetitions",
        sum(len(partition.repeated) for partition in result.audit.inputs.partitions.values()),
    )
    yield at_most(f"{name}_lost", found.total(*LOST), 0)
    yield at_most(f"{name}_twice", found.total(*TWICE), 0)
    yield at_most(f"{name}_foreign", found.total(*FOREIGN), 0)
    yield at_most(f"{name}_offsets_not_in_one_range", found.total(*RANGES), 0)
    yield at_most(f"{name}_repetitions_not_named", found.total(*REPEATS), 0)
    yield at_most(f"{name}_crashes", len(result.crashes), 0)


def of_all(
    results: list[Result], *, kills_in_transactions: int, each_kind: int
) -> Iterator[Figure]:
    """Yield what all campaigns with the worker must have shown together."""
    for fault in Fault:
        done = sum(result.faults[fault] for result in results)
        yield at_least(f"chaos_{fault}", done, each_kind)
    hits = {hit: sum(result.hits[hit] for result in results) for hit in Hit}
    open_ = hits[Hit.MID_BATCH] + hits[Hit.MID_COMMIT]
    yield at_least("chaos_kills_in_open_transactions", open_, kills_in_transactions)
    for hit, count in hits.items():
        yield told(f"chaos_kills_hit_{hit}", count)


def of_control(result: Result) -> Iterator[Figure]:
    """Yield what the control must have shown: that the audit catches what is wrong."""
    name, found = result.plan.name, result.audit.found
    yield at_least(f"{name}_events", result.sent, result.plan.events)
    yield at_least(f"{name}_faults", sum(result.faults.values()), result.plan.faults)
    yield at_least(f"{name}_twice", found.total(*TWICE), 1)
