"""`make chaos-delivery`: two daemons on one PostgreSQL, killed under load, and what came of it."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.figures import Figure, at_least, at_most, machine, report, told
from tests.campaigns.delivering.campaign import Campaign, Plan, Result
from tests.conftest import spawning
from tests.real.kafka import start_kafka
from tests.real.postgresql import start_postgresql


def options() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(prog="make chaos-delivery", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--connections", type=int, default=4, help="of each daemon")
    return parser.parse_args()


def figures(result: Result) -> list[Figure]:
    """Return what was promised, and how it stands."""
    found = result.findings
    return [
        told("chaos_delivery_mails", result.mails),
        at_least("chaos_delivery_kills", result.kills, result.plan.kills),
        at_most("chaos_delivery_lost", len(found.lost) + len(found.claimed_sent), 0),
        at_most("chaos_delivery_copies_beyond_doubt", len(found.too_often), 0),
        at_most("chaos_delivery_copies_unlike", len(found.unlike) + len(found.unknown), 0),
        at_most("chaos_delivery_in_doubt", found.doubts, result.kills * result.plan.connections),
        at_least("chaos_delivery_in_doubt_at_all", found.doubts, 1),
        told("chaos_delivery_copies", found.copies),
    ]


def tell(line: str) -> None:
    """Say something about the course."""
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def main(given: argparse.Namespace) -> int:
    """Run it; the exit code says whether all held."""
    tell(machine())
    plan = Plan(kills=given.kills, seed=given.seed, connections=given.connections)
    kafka, postgresql = start_kafka(), start_postgresql()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="push-delivering-") as folder,
            spawning(Path(folder)) as spawn,
        ):
            campaign = Campaign(
                kafka=kafka, postgresql=postgresql, folder=Path(folder), spawn=spawn, tell=tell
            )
            result = campaign.run(plan)
    finally:
        postgresql.end()
        kafka.end()
    for line in result.findings.lines():
        tell(f"FOUND {line}")
    return report(figures(result))


if __name__ == "__main__":
    sys.exit(main(options()))
