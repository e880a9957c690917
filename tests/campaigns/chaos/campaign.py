"""A campaign: load, faults, calm, and the audit of everything that was written."""

import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException

from tests.campaigns import generated
from tests.campaigns.chaos import faults as fault_kinds
from tests.campaigns.chaos.aiming import Aim
from tests.campaigns.chaos.audit import Audit
from tests.campaigns.chaos.faults import Fault
from tests.campaigns.chaos.hanging import refuse_if_hanging
from tests.campaigns.chaos.inputs import Inputs, by_id
from tests.campaigns.chaos.slots import Slot
from tests.campaigns.chaos.stage import SESSION, Kill, Stage
from tests.campaigns.chaos.transactions import Hit, histories, hit_by
from tests.campaigns.house import INPUTS, House
from tests.campaigns.reading import whole
from tests.conftest import Spawn
from tests.real.kafka import Kafka
from tests.real.postgresql import PostgreSQL
from tests.real.processes import Process
from tests.real.push_services import clean_environment, installed_command

PARTITIONS = 4  # of each input topic, as the house makes them
PATIENCE = 600.0  # seconds until all is settled after the last fault
MORE_WITHIN = 60.0  # seconds; a pause of the broker and a worker's way back take less
#: Less than the default: a transaction of 5000 would take a slow machine longer than it has between
#: two faults.
BATCH = 500
CLASSIC, CONSUMER = "classic", "consumer"  # group protocols
#: Seconds that a rebalance takes at most. A broker that comes back on a starved machine was seen to
#: miss the end of its former members' sessions; it then waits for them until this is over.
REJOIN = 30.0
#: What a member that is no worker needs beside: workers have it of themselves.
ASSIGNMENT = {CLASSIC: {"partition.assignment.strategy": "cooperative-sticky"}, CONSUMER: {}}
#: The timeouts of a group whose members have none of their own (KIP-848).
AT_THE_BROKER = {
    "consumer_session_timeout_ms": str(int(SESSION * 1000)),
    "consumer_heartbeat_interval_ms": "500",
}

Worker = Callable[[House, Path, dict[str, str]], Process]
Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How large a campaign is."""

    name: str
    events: int
    faults: int
    seed: int
    protocol: str = CLASSIC
    workers: int = 3
    pace: float = 4.0  #: seconds between two faults, on the average
    only_kills: bool = False
    repetitions: bool = True  #: two of a hundred events are published again


@dataclass(kw_only=True)
class Result:
    """What a campaign did and found."""

    plan: Plan
    audit: Audit
    faults: Counter[Fault]
    kills: list[Kill]
    hits: Counter[Hit]
    errors: Counter[str]
    exits: Counter[int]
    forgetful: list[float] = field(default_factory=list)  #: seconds, for each kill of the broker
    crashes: list[str] = field(default_factory=list)
    sent: int = 0
    seconds: float = 0.0


@dataclass(kw_only=True)
class Campaign:
    """Runs a plan on real parts. `worker` makes the processes that are to be tried."""

    kafka: Kafka
    postgresql: PostgreSQL
    folder: Path
    spawn: Spawn
    worker: Worker
    tell: Tell

    def run(self, plan: Plan) -> Result:
        """Do everything the plan says and audit what came of it."""
        began = time.monotonic()
        stage = self._stage(plan)
        try:
            self._harm(plan, stage)
            sent = self._calm(plan, stage)
        finally:
            self._end(stage)
        self.tell(f"{plan.name}: auditing")
        audit = self.audited(plan, stage.house)
        told = histories(self.kafka.server)
        hits = Counter(hit_by(told.get(k.transactional_id, ()), k.at) for k in stage.kills)
        return Result(
            plan=plan,
            audit=audit,
            faults=stage.done,
            kills=stage.kills,
            hits=hits,
            errors=sum((slot.errors for slot in stage.slots), Counter()),
            forgetful=stage.forgetful,
            exits=sum((slot.exits for slot in stage.slots), Counter()),
            crashes=[crash for slot in stage.slots for crash in slot.crashes],
            sent=sent,
            seconds=time.monotonic() - began,
        )

    # --- before ----------------------------------------------------------------------------------

    def _stage(self, plan: Plan) -> Stage:
        folder = self.folder / plan.name
        folder.mkdir(parents=True)
        prefix = self.kafka.fresh_name(plan.name)
        house = House(self.kafka, folder, self.spawn, prefix, self.postgresql.url())
        house.prepare(rules(plan))
        group = timeouts(plan.protocol)
        if plan.protocol == CONSUMER:
            self.kafka.set_group_config(prefix, **AT_THE_BROKER)
        settings = {f"PUSH_KAFKA_{n.upper().replace('.', '_')}": v for n, v in group.items()}
        names = [f"{prefix}-{number}" for number in range(plan.workers)]

        def made(name: str, place: Path) -> Process:
            own = {"PUSH_TRANSACTIONAL_ID": name, "PUSH_BATCH_SIZE": str(BATCH)}
            environment = house.environment | settings | own
            return self.worker(house, place, environment)

        def successor(slot: Slot) -> Process:
            place = folder / f"{slot.name}-after-{len(list(folder.iterdir()))}"
            return made(slot.name, place)

        return Stage(
            house=house,
            kafka=self.kafka,
            postgresql=self.postgresql,
            slots=[Slot(name, made(name, folder / name)) for name in names],
            load=_load(house, plan),
            aim=Aim(
                self.kafka.bootstrap,
                house.topic(""),
                house.topic("outgoing-mail"),
                house.topic("evaluation"),
            ),
            chance=random.Random(plan.seed),
            successor=successor,
            member={
                "bootstrap.servers": self.kafka.bootstrap,
                "group.id": prefix,
                "enable.auto.commit": "false",
                "log_level": 0,
                **ASSIGNMENT[plan.protocol],
                **group,
            },
        )

    # --- meanwhile -------------------------------------------------------------------------------

    def _harm(self, plan: Plan, stage: Stage) -> None:
        for slot in stage.slots:
            slot.start()
        stage.load.start()
        self._wait_for_work(stage)
        left = _deck(plan, stage.chance)
        progress = _Progress(plan, stage, self.tell)
        while left or sent(stage.load) < plan.events:
            progress.tell()
            if not left and sent(stage.load) < plan.events:
                left = _deck(plan, stage.chance)[:5]  # load without faults would show little
            possible = [fault for fault in left if stage.possible(fault)]
            settled = stage.settled()
            if possible and stage.do(possible[0]):
                left.remove(possible[0])
            stage.wait(stage.chance.uniform(0.2, 1.8) * plan.pace)
            self._wait_for_more(stage, settled)

    def _wait_for_work(self, stage: Stage) -> None:
        """Wait until every worker has settled something: faults are for workers that work."""
        end = time.monotonic() + PATIENCE
        while idle := [slot for slot in stage.slots if not slot.said["batch_settled"]]:
            refusing = any(slot.exits.total() > 3 for slot in idle)
            if refusing or time.monotonic() > end:
                told = "\n".join(f"{slot.name}: {slot.process.tail()}" for slot in idle)
                raise TimeoutError(f"workers do not begin: {told}")
            stage.wait(0.2)

    def _wait_for_more(self, stage: Stage, settled: int) -> None:
        """Wait until something was settled since: on a slow machine faults must not outrun work."""
        end = time.monotonic() + MORE_WITHIN
        while stage.settled() == settled and time.monotonic() < end:
            stage.wait(0.1)
        if stage.settled() == settled:
            self._refuse_a_broken_broker(stage)

    def _refuse_a_broken_broker(self, stage: Stage) -> None:
        house = stage.house
        inputs = [house.topic(name) for name in INPUTS]
        refuse_if_hanging(self.kafka, house.prefix, inputs, house.outputs, stage.wait)

    def _calm(self, plan: Plan, stage: Stage) -> int:
        """End the faults and the load, wait until all is settled, and stop the workers in order."""
        self.tell(f"{plan.name}: faults are over, waiting until all is settled")
        stage.calm_down()
        assert stage.load.stop() == 0, stage.load.tail()
        end, look = time.monotonic() + PATIENCE, time.monotonic() + MORE_WITHIN
        while (behind := self._behind(stage.house)) != 0:
            if time.monotonic() > look:
                self._refuse_a_broken_broker(stage)
                look = end
            if time.monotonic() > end:
                raise TimeoutError(
                    f"{behind} records are not settled: {stage.slots[0].process.tail()}"
                )
            stage.wait(1.0)
        for slot in stage.slots:
            slot.wanted = False
            code = slot.process.stop()
            assert code == 0, f"{slot.name} ended with {code}: {slot.process.tail()}"
        return sent(stage.load)

    def _behind(self, house: House) -> int:
        """Return how many input records are not settled; -1 while the broker gives no answer."""
        try:
            return sum(
                end - self.kafka.committed(house.prefix, house.topic(name)).get(place, 0)
                for name in INPUTS
                for place, end in self.kafka.ends(house.topic(name)).items()
            )
        except KafkaException:
            return -1

    def _end(self, stage: Stage) -> None:
        stage.aim.close()
        stage.load.end()
        for members in stage.passing:
            members.kill()  # they have left long ago, but for those of the last seconds
            members.wait()
        for slot in stage.slots:
            slot.process.end()

    # --- afterwards ------------------------------------------------------------------------------

    def audited(self, plan: Plan, house: House) -> Audit:
        """Read back all topics and return what was found."""

        inputs = Inputs(
            tenants=by_id(rules(plan)["tenants"]),
            names={house.topic(name): name for name in INPUTS},
        )
        for name in INPUTS:
            for record in whole(self.kafka.bootstrap, house.topic(name)):
                inputs.take(record)
        audit = Audit(inputs)
        audit.take_mails(whole(self.kafka.bootstrap, house.topic("outgoing-mail")))
        audit.take_letters(whole(self.kafka.bootstrap, house.topic("dead-letter")))
        audit.take_evaluations(whole(self.kafka.bootstrap, house.topic("evaluation")))
        if plan.repetitions:
            audit.take_repeats(whole(self.kafka.bootstrap, house.topic("repeats")))
        audit.findings()
        return audit


class _Progress:
    """Says every ten seconds how far it is."""

    def __init__(self, plan: Plan, stage: Stage, tell: Tell) -> None:
        self._plan, self._stage, self._tell = plan, stage, tell
        self._began = self._told = time.monotonic()

    def tell(self) -> None:
        now = time.monotonic()
        if now - self._told < 10:
            return
        self._told = now
        done, plan = sum(self._stage.done.values()), self._plan
        self._tell(
            f"{plan.name}: {now - self._began:.0f} s, {sent(self._stage.load)} of {plan.events} "
            f"events, {done} of {plan.faults} faults, {len(self._stage.kills)} kills"
        )


def rules(plan: Plan) -> dict[str, Any]:
    """Return the rules file of a campaign."""
    return generated.rules_file(plan.seed)


def sent(load: Process) -> int:
    """Return how many events the load has sent, by its own word."""
    with load.output_file.open("rb") as file:
        file.seek(max(0, load.output_file.stat().st_size - 40))
        whole_lines = file.read().rpartition(b"\n")[0].split()
    return int(whole_lines[-1]) if whole_lines else 0


def _deck(plan: Plan, chance: random.Random) -> list[Fault]:
    return (fault_kinds.kills if plan.only_kills else fault_kinds.deck)(plan.faults, chance)


def timeouts(protocol: str) -> dict[str, str]:
    """Return the properties of a member of the group, of a worker too."""
    if protocol == CONSUMER:
        return {"group.protocol": "consumer"}
    return {
        "session.timeout.ms": str(int(SESSION * 1000)),
        "heartbeat.interval.ms": "500",
        "max.poll.interval.ms": str(int(REJOIN * 1000)),
    }


def _load(house: House, plan: Plan) -> Process:
    """Return the load: half of it steady, half in a burst before each fault that is aimed."""
    rate = plan.events / 2 / (plan.faults * plan.pace)
    burst = plan.events // 2 // plan.faults
    folder = house.folder / "load"
    folder.mkdir()
    return Process(
        command=[
            *(sys.executable, "-m", "tests.campaigns.chaos.load"),
            *("--bootstrap", house.kafka.bootstrap, "--prefix", house.topic("")),
            *("--rate", str(rate), "--burst", str(burst), "--seed", str(plan.seed)),
            *("--partitions", str(PARTITIONS)),
            *("--again", "0.02" if plan.repetitions else "0"),
        ],
        folder=folder,
        environment=clean_environment(),
        stop_within=120.0,
    )


def worker(_: House, place: Path, environment: dict[str, str]) -> Process:
    """Return `push-services run` as a process, not yet started."""
    place.mkdir(parents=True)
    return Process(
        command=[*installed_command(), "run"],
        folder=place,
        environment=clean_environment() | environment,
        stop_within=60.0,
    )
