"""The workers of a campaign: each slot has a transactional id for good, whoever runs in it."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.real.processes import Process

Place = tuple[str, int]  # topic and partition


@dataclass
class Slot:
    """A worker's place: its process now, and what it has said so far."""

    name: str  #: the transactional id
    process: Process
    wanted: bool = True  #: to be started again if it ends
    busy: bool = False  #: under a fault that is not over
    owned: set[Place] = field(default_factory=set)  #: by its own word
    exits: Counter[int] = field(default_factory=Counter)  #: codes of ends nobody asked for
    said: Counter[str] = field(default_factory=Counter)  #: log actions
    errors: Counter[str] = field(default_factory=Counter)  #: why batches were postponed
    crashes: list[str] = field(default_factory=list)
    _read: dict[Path, int] = field(default_factory=dict)

    def start(self) -> None:
        """Start a worker in this slot."""
        self.owned.clear()
        self.wanted = True
        self.process.start()

    def kill(self) -> None:
        """Kill the worker, and leave the slot empty until it is started."""
        self.wanted = False
        self.process.kill()
        self.owned.clear()

    def look_after(self) -> None:
        """Read what the worker said, and start it again if it has ended by itself."""
        for line in self._lines():
            self._hear(line)
        if self.wanted and not self.process.is_running:
            self.exits[self.process.wait()] += 1
            self.start()

    def _lines(self) -> Iterator[Mapping[str, Any]]:
        """Yield the whole lines that were added since last asked."""
        file = self.process.output_file
        with file.open("rb") as opened:
            opened.seek(self._read.get(file, 0))
            added = opened.read()
        whole, _, _ = added.rpartition(b"\n")
        self._read[file] = self._read.get(file, 0) + (len(whole) + 1 if whole else 0)
        for line in whole.splitlines():
            if line.startswith(b"{"):  # a line cut off by a kill does not, or is no JSON
                try:
                    yield json.loads(line)
                except ValueError:
                    continue

    def _hear(self, line: Mapping[str, Any]) -> None:
        action = line.get("action", "")
        self.said[action] += 1
        match action:
            case "partitions_assigned":
                self.owned |= set(map(_place, line["partitions"]))
            case "partitions_revoked":
                self.owned -= set(map(_place, line["partitions"]))
            case "batch_postponed":
                self.errors[line["detail"]] += 1
            case "abort_failed":
                self.errors[f"abort failed: {line['kafka_error']}"] += 1
            case "crashed":
                self.crashes.append(json.dumps(line)[:2000])


def _place(text: str) -> Place:
    topic, _, partition = text.rpartition("/")
    return topic, int(partition)
