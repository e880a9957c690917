"""The parts of a campaign and what is done to them: faults, their ends on an agenda, the kills.

One thread does it all: faults are quick, and whatever has to happen later stands on the agenda,
which `wait` works off while it looks after the workers.
"""

import heapq
import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from confluent_kafka import KafkaException

from tests.campaigns.chaos.aiming import Aim
from tests.campaigns.chaos.faults import Fault
from tests.campaigns.chaos.hanging import Offsets, refuse_if_forgotten, stable_offsets
from tests.campaigns.chaos.slots import Slot
from tests.campaigns.house import INPUTS, House
from tests.real.kafka import Kafka
from tests.real.postgresql import PostgreSQL
from tests.real.processes import Process

SESSION = 3.0  # seconds until the broker gives a silent member's partitions away


Look = Callable[[Callable[[], None], Callable[[], None]], tuple[str, int] | None]

PASSING_MEMBERS = (sys.executable, "-m", "tests.campaigns.chaos.passing_members")
PATIENCE = 4  # times a part's own patience
FIRST_ANSWER = 30.0  # seconds until the group's coordinator has loaded what it knows


class Kill(NamedTuple):
    """A SIGKILL of a worker."""

    transactional_id: str
    at: int  # ms since 1970
    fault: Fault
    aimed: bool  # at a transaction that was seen at work


@dataclass(kw_only=True)
class Stage:
    """What is running, and what is still to happen to it."""

    house: House
    kafka: Kafka
    postgresql: PostgreSQL
    slots: list[Slot]
    load: Process
    aim: Aim
    chance: random.Random
    successor: Callable[[Slot], Process]  #: a second worker with a slot's own name
    member: dict[str, str | int]  #: properties of a passing member of the workers' group
    kills: list[Kill] = field(default_factory=list)
    done: Counter[Fault] = field(default_factory=Counter)
    forgetful: list[float] = field(default_factory=list)  #: seconds, for each kill of the broker
    passing: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    _agenda: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _order: "count[int]" = field(default_factory=count)

    def do(self, fault: Fault) -> bool:
        """Do a fault, its end on the agenda; False if there was nobody left to do it to."""
        doing: dict[Fault, Callable[[], bool]] = {
            Fault.KILL_MID_BATCH: lambda: self._kill(fault, self.aim.at_mails),
            Fault.KILL_MID_COMMIT: lambda: self._kill(fault, self.aim.at_evaluations),
            Fault.ZOMBIE: self._zombie,
            Fault.REBALANCE_STORM: self._storm,
            Fault.BROKER_KILL: self._broker_kill,
            Fault.BROKER_PAUSE: self._broker_pause,
            Fault.DATABASE_AWAY: self._database_away,
        }
        happened = doing[fault]()
        self.done[fault] += happened
        return happened

    def possible(self, fault: Fault) -> bool:
        """Say whether the fault's parts are there for it now."""
        if fault is Fault.DATABASE_AWAY:
            return self.postgresql.server.is_running and not self.postgresql.server.is_paused
        if self.kafka.server.is_paused or not self.kafka.server.is_running:
            return False
        idle = [slot for slot in self.slots if not slot.busy]
        return len(idle) >= (2 if fault is Fault.ZOMBIE else 1)

    def settled(self) -> int:
        """Return how many batches with mails were settled so far, by the workers' own word."""
        return sum(slot.said["batch_settled"] for slot in self.slots)

    def wait(self, seconds: float) -> None:
        """Let time pass: work off the agenda and look after the workers."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.look_after()
            time.sleep(0.02)

    def look_after(self) -> None:
        """Do what is due and start what has ended."""
        while self._agenda and self._agenda[0][0] <= time.monotonic():
            heapq.heappop(self._agenda)[2]()
        for slot in self.slots:
            slot.look_after()

    def calm_down(self) -> None:
        """Let every fault come to its end."""
        while self._agenda:
            self.wait(0.1)
        self.kafka.heal()
        self.postgresql.heal()

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (time.monotonic() + seconds, next(self._order), act))

    # --- workers ---------------------------------------------------------------------------------

    def _target(self, look: Look) -> tuple[Slot | None, bool]:
        """Return the worker whose transaction is seen at work, else any that is free."""
        seen = look(self._ask_for_load, self.look_after)
        free = [slot for slot in self.slots if not slot.busy and slot.process.is_running]
        owners = [slot for slot in free if seen in slot.owned]
        return (self.chance.choice(owners or free) if free else None), bool(owners)

    def _ask_for_load(self) -> None:
        self.load.send(signal.SIGUSR1)

    def _kill(self, fault: Fault, look: Look) -> bool:
        slot, aimed = self._target(look)
        if slot is None:
            return False
        at = time.time_ns() // 1_000_000
        slot.kill()
        self.kills.append(Kill(slot.name, at, fault, aimed))
        slot.busy = True
        absent = self.chance.choice([0.0, 0.0, 0.2, 0.5, self.chance.uniform(2, 8)])
        self._later(absent, lambda: self._back(slot))
        return True

    def _back(self, slot: Slot) -> None:
        slot.start()
        slot.busy = False

    def _zombie(self) -> bool:
        slot, _ = self._target(self.aim.at_mails)
        if slot is None:
            return False
        slot.process.pause()
        slot.busy, slot.wanted = True, False
        asleep = SESSION + self.chance.uniform(1, 4)
        if self.chance.random() < 0.3:  # a successor takes its place, with its name
            self._later(1.0, lambda: self._succeed(slot, asleep - 1.0))
        else:
            self._later(asleep, lambda: self._wake(slot))
        return True

    def _wake(self, slot: Slot) -> None:
        slot.process.resume()
        slot.busy, slot.wanted = False, True

    def _succeed(self, slot: Slot, until_it_wakes: float) -> None:
        zombie, slot.process = slot.process, self.successor(slot)
        slot.start()
        self._later(until_it_wakes, zombie.resume)
        self._later(until_it_wakes + 4.0, zombie.kill)
        self._later(until_it_wakes + 4.0, lambda: setattr(slot, "busy", False))

    def _storm(self) -> bool:
        stays = [self.chance.uniform(0.2, 2.0) for _ in range(self.chance.randint(2, 4))]
        topics = [self.house.topic(name) for name in INPUTS]
        told = {"member": self.member, "topics": topics, "stays": stays}
        self.passing.append(subprocess.Popen([*PASSING_MEMBERS, json.dumps(told)]))
        free = [slot for slot in self.slots if not slot.busy and slot.process.is_running]
        if free:
            slot = self.chance.choice(free)
            slot.wanted, slot.busy = False, True
            slot.process.send(signal.SIGTERM)
            self._later(self.chance.uniform(0.5, 3.0), lambda: self._replace(slot))
        return True

    def _replace(self, slot: Slot) -> None:
        """Start a worker anew once the former one has ended in order."""
        if slot.process.is_running:
            self._later(0.2, lambda: self._replace(slot))
        else:
            self._back(slot)

    # --- broker and database ---------------------------------------------------------------------

    def _broker_kill(self) -> bool:
        before = self._stable_offsets()
        self.kafka.kill()
        self.wait(self.chance.uniform(0.2, 3.0))
        self.kafka.server.start()
        _wait_patiently(self.kafka.wait_until_ready)
        self.forgetful.append(refuse_if_forgotten(before, self._stable_offsets, self.wait))
        return True

    def _stable_offsets(self) -> Offsets:
        """Return the first answer that the broker gives, or nothing where it gives none."""
        topics = [self.house.topic(name) for name in INPUTS]
        end = time.monotonic() + FIRST_ANSWER
        while time.monotonic() < end:
            with suppress(KafkaException):
                return stable_offsets(self.kafka, self.house.prefix, topics)
        return {}

    def _broker_pause(self) -> bool:
        self.kafka.pause()
        self._later(self.chance.uniform(1, 9), self.kafka.resume)
        return True

    def _database_away(self) -> bool:
        away = self.chance.uniform(1, 6)
        if self.chance.random() < 0.5:
            self.postgresql.pause()
            self._later(away, self.postgresql.resume)
        else:
            self.postgresql.stop()
            self._later(away, lambda: _wait_patiently(self.postgresql.heal))
        return True


def _wait_patiently(wait: Callable[[], None]) -> None:
    """Wait, and again: a part that comes back under load has no fault in being slow."""
    for _ in range(PATIENCE):
        with suppress(TimeoutError):
            return wait()
    return wait()
