"""`make fuzz`: a million spoilt records through the real codec, peek, planner and renderer."""

import argparse
import sys
import time
from collections import Counter

from consumer.registry import MOST_UNKNOWN
from tests.benchmarks.figures import Figure, at_most, machine, report, told
from tests.campaigns.fuzz.judging import EXAMPLES, Judged, a_planner, grown, judge
from tests.campaigns.fuzz.records import Fuzzer

GROWTH = 0.05  # of the resident memory of the second tenth, until the last
#: The same of the pieces of memory that Python holds: one kept for each 400 records of a million.
#: It sees leaks that the allocator has room for: when the registry's unknown ids had no bound, it
#: was 0.035 after 100,000 records, while the resident memory said -0.01.
BLOCKS_GROWTH = 0.01
HUGE_FIRST = 1_000  # records
SLOWEST = 1.0  # seconds of processor time for one record of at most 1 MiB


def options() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def main() -> int:
    """Run it, tell what came of each kind of mutation, and print the figures."""
    given = options()
    print(f"{given.records} records, seed {given.seed}; {machine()}", flush=True)
    began = time.monotonic()

    def progress(judged: Judged) -> None:
        if judged.records % 50_000 == 0:
            seconds = time.monotonic() - began
            found = len(judged.findings)
            print(f"{judged.records} records, {found} findings, {seconds:.0f} s", flush=True)

    fuzzer, planner = Fuzzer(given.seed), a_planner()
    # Full from the start, what is bounded does not pass for growth: schemas that nobody knows, and
    # the room that the allocator keeps once the largest records have needed it.
    judge(fuzzer.of_unknown_schemas(MOST_UNKNOWN), planner, sample=1_000)
    judge(fuzzer.huge(HUGE_FIRST), planner, sample=1_000)
    judged = judge(
        fuzzer.records(given.records),
        planner,
        sample=max(1, given.records // 1_000),
        told=progress,
    )
    tell(judged)
    return report(figures(judged, time.monotonic() - began))


def tell(judged: Judged) -> None:
    """Print what became of the records by what was done to them, and the first findings."""
    for mutation, counts in sorted(judged.by_mutation.items()):
        print(f"{mutation:12} {_spelt(counts)}")
    for finding in judged.findings[:EXAMPLES]:
        print(f"FOUND at {finding}")


def figures(judged: Judged, seconds: float) -> list[Figure]:
    """Return the figures; a finding is an exception, or a dead letter that says `internal`."""
    return [
        told("fuzz_records", judged.records),
        told("fuzz_dead_letters", judged.dead_letters),
        told("fuzz_mails", judged.mails),
        told("fuzz_records_per_second", judged.records / seconds),
        told("fuzz_resident_after_warm_up_mib", judged.warm / 2**20),
        at_most("fuzz_findings", len(judged.findings), 0),
        at_most("fuzz_memory_growth", grown(judged.resident), GROWTH),
        at_most("fuzz_blocks_growth", grown(judged.blocks), BLOCKS_GROWTH),
        at_most("fuzz_slowest_record_seconds", judged.slowest, SLOWEST),
    ]


def _spelt(counts: Counter[str]) -> str:
    return ", ".join(f"{word} {count}" for word, count in counts.most_common())


if __name__ == "__main__":
    sys.exit(main())
