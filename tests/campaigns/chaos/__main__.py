"""`make chaos` and `make chaos-short`: campaigns with both group protocols, and the control.

Starts Apache Kafka and PostgreSQL, runs two or three workers under load, does them every harm, and
accounts for each record. The last lines are the figures, one in JSON each.
"""

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from tests.benchmarks.figures import machine, report
from tests.campaigns.chaos.campaign import CLASSIC, CONSUMER, Campaign, worker
from tests.campaigns.chaos.series import FULL, SHORT, Size, run, tell
from tests.conftest import spawning
from tests.real.kafka import start_kafka
from tests.real.postgresql import start_postgresql


def main() -> int:
    """Run what the command line asks for; the exit code says whether all held."""
    tell(machine())
    kafka = start_kafka()
    postgresql = start_postgresql()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="push-chaos-") as place,
            spawning(Path(place)) as spawn,
        ):
            campaign = Campaign(
                kafka=kafka,
                postgresql=postgresql,
                folder=Path(place),
                spawn=spawn,
                worker=worker,
                tell=tell,
            )
            return report(run(campaign, size()))
    finally:
        postgresql.end()
        kafka.end()


PROTOCOLS = {CLASSIC: (CLASSIC,), CONSUMER: (CONSUMER,), "none": ()}


def size() -> Size:
    """Return what the command line says, what it leaves out as `make chaos` has it."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--short", action="store_true", help="a few minutes: make chaos-short")
    parser.add_argument("--events", type=int, help="of all campaigns but the control")
    parser.add_argument("--faults", type=int, help="of all campaigns but the control")
    parser.add_argument("--protocol", choices=[CLASSIC, CONSUMER, "none"], help="one alone")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--pace", type=float, help="seconds between two faults, on the average")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--control-events", type=int)
    parser.add_argument("--control-faults", type=int, help="0: no control")
    parser.add_argument("--open-kills", type=int, help="kills in open transactions at least")
    parser.add_argument("--each-kind", type=int, help="faults of each kind at least")
    given = {name: value for name, value in vars(parser.parse_args()).items() if value is not None}
    chosen = SHORT if given.pop("short") else FULL
    protocol = given.pop("protocol", None)
    return replace(chosen, **given, protocols=PROTOCOLS.get(protocol, chosen.protocols))


if __name__ == "__main__":
    sys.exit(main())
