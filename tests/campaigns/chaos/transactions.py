"""The broker's own word on what a kill hit: its transaction log, decoded by Kafka's own tool.

A kill fell inside an open transaction if the log's last word before it is `Ongoing` and the next is
no commit: what the dead worker left was resolved by the broker, for a successor or after a timeout.
"""

import json
import os
import subprocess
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile

from tests.real import found
from tests.real.containers import Container
from tests.real.kafka import jars, tools
from tests.real.parts import Runs
from tests.real.processes import Process

OFFSETS = "__consumer_offsets"
TOOL = "org/apache/kafka/tools/DumpLogSegments"
OLDER = "kafka/tools/DumpLogSegments"  # where Apache Kafka 4.1 has it
#: The states by the numbers that the log holds, which the tool of Apache Kafka 4.1 prints.
STATES = ("Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort")


class Step(NamedTuple):
    """A line of a transactional id's history."""

    at: int  # ms since 1970, when the broker wrote it
    status: str  # Ongoing, PrepareCommit, CompleteCommit, PrepareAbort, CompleteAbort, Empty
    topics: frozenset[str]  # that the transaction has written to, the group's offsets included


class Hit(StrEnum):
    """What a kill fell into."""

    MID_BATCH = "mid_batch"  #: open, and nothing said about offsets yet
    MID_COMMIT = "mid_commit"  #: open, offsets on their way
    DECIDED = "decided"  #: the commit had reached the broker, or still did after the kill
    BETWEEN = "between"  #: no transaction was open


Histories = Mapping[str, Sequence[Step]]  # by transactional id, in the order of the log


def hit_by(history: Sequence[Step], at: int) -> Hit:
    """Say what a kill at this instant (ms) hit."""
    count = bisect_right(history, at, key=lambda step: step.at)
    last = history[count - 1] if count else None
    if last is None or last.status not in {"Ongoing", "PrepareCommit"}:
        return Hit.BETWEEN
    end = next((step for step in history[count:] if step.status != "Ongoing"), None)
    if last.status == "PrepareCommit" or (end and end.status.endswith("Commit")):
        return Hit.DECIDED
    return Hit.MID_COMMIT if OFFSETS in last.topics else Hit.MID_BATCH


def histories(broker: Runs) -> Histories:
    """Read the transaction log of a broker, which may be running."""
    dumped = _dumped_inside(broker) if isinstance(broker, Container) else _dumped_here(broker)
    return steps(dumped.splitlines())


def _dumped_here(broker: Runs) -> str:
    assert isinstance(broker, Process)
    logs = (broker.belongings or Path()) / "logs"
    segments = sorted(logs.glob("__transaction_state-*/*.log"))
    return subprocess.run(
        [
            *(found.java() or "java", "-Xmx256m", _tool(), "--transaction-log-decoder"),
            *("--files", ",".join(map(str, segments))),
        ],
        env=os.environ | {"CLASSPATH": f"{jars()}/*:{tools()}/*"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    ).stdout


def _tool() -> str:
    """Return the tool's class, by the name that this version has for it."""
    (jar,) = tools().glob("kafka-tools-*.jar")
    has_it = f"{TOOL}.class" in ZipFile(jar).namelist()
    return (TOOL if has_it else OLDER).replace("/", ".")


def _dumped_inside(container: Container) -> str:
    """Run the same tool where the image has it, over the logs where the image keeps them."""
    segments = "$(ls /tmp/kraft-combined-logs/__transaction_state-*/*.log | paste -sd,)"
    tool = "/opt/kafka/bin/kafka-dump-log.sh --transaction-log-decoder"
    return container.run(f"{tool} --files {segments}")


def steps(lines: Iterable[str]) -> Histories:
    """Return the histories that the tool's lines tell."""
    told: dict[str, list[Step]] = {}
    for name, step in _told(lines):
        told.setdefault(name, []).append(step)
    return told


def _told(lines: Iterable[str]) -> Iterator[tuple[str, Step]]:
    for line in lines:
        head, _, rest = line.partition(" key: ")
        key, _, payload = rest.partition(" payload: ")
        if not key.startswith("{") or not payload.startswith("{"):
            continue  # about a batch, or the end of an id
        value = json.loads(payload)["data"]
        topics = frozenset(each["topic"] for each in value["transactionPartitions"] or ())
        status = value["transactionStatus"]
        at = int(head.partition("CreateTime: ")[2].partition(" ")[0])
        yield (
            json.loads(key)["data"]["transactionalId"],
            Step(at, status if isinstance(status, str) else STATES[status], topics),
        )
