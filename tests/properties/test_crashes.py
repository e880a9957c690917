"""Whatever dies, waits, repeats or is redriven: exactly the planned mails, each once.

The worker's real parts (loop, planner, window, publications) and the real redrive run over a broker
in lists. Hypothesis draws what is published, what is broken and mended, and at which call of the
outside somebody waits or dies. Then all is mended, redriven and worked off.

Shown to fail on each of these planted bugs (400 examples):
 1. ids enter the window before their commit is known, and a failure restores nothing;
 2. a restarted worker does not restore its window;
 3. the window knows a redriven share by its event id;
 4. the window knows a redriven whole record by its letter alone;
 5. a redriven share is judged for all rules;
 6. a redriven share that cannot be read becomes a letter of the whole record;
 7. a redrive writes no marks;
 8. a redrive marks in a transaction after the one that puts back;
 9. a batch does not see its own earlier records;
10. offsets are marked before what they stand for is published;
11. a rule's mails are made in part before one of them fails;
12. what offsets stand for is published before they are marked.
"""

import json
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from consumer.evaluating import Evaluating
from consumer.letters.choosing import Choice
from consumer.letters.memory import MemoryDeadLetters, MemoryRedriver
from consumer.letters.redriving import Redriving
from consumer.loop import Loop
from consumer.memory import MemoryStream, MemoryTopics
from consumer.planning import Planner
from consumer.publications import Publisher
from consumer.redrives import REDRIVE_OF
from consumer.registry import PublishedSchemas
from consumer.repeats import Repeats
from rules_store.snapshot import Snapshot
from schemas.addresses import EmailAddress
from schemas.codec import Codec, encode_event
from schemas.errors import InvalidEvent, KafkaUnavailable, RegistryUnavailable, RenderFailed
from schemas.events import PaymentEvent, PaymentStatusUpdated, Routing
from schemas.framing import single_object_prefix
from schemas.mails import OutgoingMail, mail_id
from schemas.plans import Decision, Evaluation
from schemas.published import published
from schemas.records import Place, Record
from schemas.rules import ExternalRecipient, Recipient, TenantRules, WantedRule
from schemas.vocabulary import (
    DeadLetterReason,
    EventId,
    EventType,
    RuleId,
    TenantId,
)
from tests.beside import AtOnce, WhenAsked
from tests.builders import a_rule, a_status_update, a_tenant, a_user, rules_at
from tests.examples import examples
from tests.properties.test_planning import planner, render

UPDATED = str(EventType.PAYMENT_STATUS_UPDATED)
RULE_IDS = ("r-1", "r-2")
ADDRESSES = {"r-1": ("anna@m-1.example", "steuer@kanzlei.example"), "r-2": ("anna@m-1.example",)}
PARTITIONS = 2
ALL = Choice(groups=["group"])


class Died(BaseException):
    """The process is gone; nobody catches it."""


def the_rules() -> Snapshot:
    """Return two rules of one tenant that want every update; they share a recipient."""
    user = a_user(email="anna@m-1.example")
    outside = (ExternalRecipient(address="steuer@kanzlei.example"),)
    one = a_rule(tenant_id=TenantId("m-1"), rule_id=RuleId("r-1"), external_recipients=outside)
    two = replace(one, rule_id=RuleId("r-2"), description="Zwei", external_recipients=())
    tenant = a_tenant(tenant_id=TenantId("m-1"))
    return Snapshot.compile(
        rules_at(TenantRules(tenant=tenant, users={user.user_id: user}, rules=(one, two)))
    )


RULES = the_rules()


class Faults:
    """Fails at given calls of the outside, each once: waits for it, or dies."""

    def __init__(self) -> None:
        self.left: dict[int, bool] = {}  # number of the call → whether the process dies
        self._calls = 0

    def plan(self, faults: dict[int, bool]) -> None:
        self.left, self._calls = dict(faults), 0

    def at(self, step: str) -> None:
        self._calls += 1
        dies = self.left.pop(self._calls, None)
        if dies:
            raise Died
        if dies is False:
            raise RegistryUnavailable if step == "peek" else KafkaUnavailable


class Deploy:
    """What a version of push-services may get wrong until it is mended."""

    def __init__(self) -> None:
        self.spoilt_rules: set[str] = set()
        self.blind = False  # fails before anything is read
        self.illiterate = False  # fails at what a rule wants

    def mend(self) -> None:
        self.__init__()  # type: ignore[misc]  # as it was at first


class DeployedCodec(Codec):
    """The real codec, as good as its deploy."""

    def __init__(self, deploy: Deploy, faults: Faults) -> None:
        super().__init__(PublishedSchemas())
        self._deploy, self._faults = deploy, faults

    def peek(self, event_type: EventType, record: Record) -> Routing:
        self._faults.at("peek")
        if self._deploy.blind:
            raise ZeroDivisionError
        return super().peek(event_type, record)

    def decode(self, event_type: EventType, record: Record) -> PaymentEvent:
        if self._deploy.illiterate:
            raise InvalidEvent(DeadLetterReason.UNDECODABLE, "planted")
        return super().decode(event_type, record)


class World:
    """Everything that outlives a process, and the processes."""

    def __init__(self, most: int, collects: int, beside: Callable[[], Executor]) -> None:
        self.topics = MemoryTopics()
        self.faults, self.deploy = Faults(), Deploy()
        self.now = datetime(2026, 11, 25, tzinfo=UTC)
        self._most, self._collects, self._beside = most, collects, beside
        self._codec = DeployedCodec(self.deploy, self.faults)
        self._run = self._started_worker()

    def work_off(self) -> None:
        """Let the worker run until nothing waits; where it dies, let the next one go on."""
        while True:
            try:
                self._run()
                return
            except Died:
                self._run = self._started_worker()

    def restart(self) -> None:
        self._run = self._started_worker()

    def redrive(self) -> bool:
        """Redrive everything; False where it broke off."""
        try:
            self._redriving().run(ALL)
        except (Died, KafkaUnavailable):
            return False
        return True

    def waiting(self) -> list[Place]:
        """Return where the letters came from that a redrive would put back."""
        found = self._redriving().survey(ALL, lambda _: None)
        return [Place(each.origin.topic, each.origin.partition) for each in found.waiting()]

    def mails(self) -> Counter[str]:
        return Counter(
            (p.value or b"").decode() for p in self.topics.published if p.topic == "mails"
        )

    def _redriving(self) -> Redriving:
        return Redriving(
            topic=MemoryDeadLetters(self.topics, "dead"),
            redriver=MemoryRedriver(self.topics, "dead", fail=self.faults.at),
            group_id="group",
            home=frozenset({("group", UPDATED)}),
            tenant_of=lambda _: None,
            now=lambda: self.now,
            most=2,
        )

    def _started_worker(self) -> Callable[[], None]:
        repeats = Repeats(timedelta(days=7), 10_000)
        stream = MemoryStream(
            topics=self.topics,
            reads=[UPDATED],
            most=self._collects,
            repeats="repeats",
            copy=repeats,
            fail=self.faults.at,
        )
        work = Evaluating(
            rules=lambda: RULES,
            planner_for=lambda snapshot, decision: self._planner(snapshot, decision, repeats),
            publisher=Publisher(
                outgoing_mail="mails",
                dead_letter="dead",
                evaluation="evaluations",
                repeats="repeats",
                group_id="group",
                encode_evaluation=_range_of,
            ),
            now=lambda: self.now,
            count=lambda _, __: None,
            matched=lambda _: None,
            enter=repeats.enter,
        )

        def run() -> None:
            stop = threading.Event()
            Loop(
                stream=stream,
                work=work,
                most=self._most,
                stop=stop,
                beat=lambda: None,
                collected=lambda batch: None if batch.records else stop.set(),
                postponed=lambda _: None,
                schedule=[timedelta(0)],
                beside=self._beside,
            ).run()

        return run

    def _planner(self, snapshot: Snapshot, decision: Decision, repeats: Repeats) -> Planner:
        return replace(
            planner(rules=snapshot),
            render=self._render,
            codec=self._codec,
            encode=lambda mail: mail.mail_id.encode(),
            decision=decision,
            first_offset=repeats.first_offset,
        )

    def _render(
        self, event: PaymentEvent, wanted: WantedRule, to: Recipient, at: Decision
    ) -> OutgoingMail:
        # A spoilt rule fails at its last recipient, so that what it made before must not get out.
        if wanted.rule.rule_id in self.deploy.spoilt_rules and to == wanted.recipients[-1]:
            raise RenderFailed("planted")
        return render(event, wanted, to, at)


def _range_of(evaluation: Evaluation) -> bytes:
    first, last = evaluation.first_offset, evaluation.last_offset
    return json.dumps([evaluation.partition, first, last]).encode()


def value_of(event: PaymentStatusUpdated) -> bytes:
    return encode_event(event, single_object_prefix(published(UPDATED).fingerprint))


faults = st.dictionaries(st.integers(1, 12), st.booleans(), max_size=3)


class Crashes(RuleBasedStateMachine):
    """A day of bad luck."""

    @initialize(
        most=st.integers(1, 4),
        collects=st.integers(1, 8),
        beside=st.sampled_from([AtOnce, WhenAsked]),
    )
    def begin(self, most: int, collects: int, beside: Callable[[], Executor]) -> None:
        self.world = World(most, collects, beside)
        self.sound: list[tuple[int, PaymentStatusUpdated]] = []
        self.damaged = 0

    @rule(partition=st.integers(0, PARTITIONS - 1), wanted=st.booleans())
    def publish(self, partition: int, wanted: bool) -> None:
        number = len(self.sound)
        event = a_status_update(
            event_id=EventId(f"98ab19bc-ef72-47fe-a4b0-{number:012d}"),
            tenant_id=TenantId("m-1" if wanted else "m-nobody"),
        )
        self.sound.append((partition, event))
        self.world.topics.append(UPDATED, value_of(event), partition=partition)

    @rule(which=st.integers(0, 3))
    def publish_again(self, which: int) -> None:
        if self.sound:
            partition, event = self.sound[-1 - which % len(self.sound)]
            self.world.topics.append(UPDATED, value_of(event), partition=partition)

    @rule(partition=st.integers(0, PARTITIONS - 1))
    def publish_damaged(self, partition: int) -> None:
        self.damaged += 1
        event = a_status_update(tenant_id=TenantId("m-1"))
        self.world.topics.append(UPDATED, value_of(event)[:-3], partition=partition)

    @rule(spoilt=st.sets(st.sampled_from(RULE_IDS)), blind=st.booleans(), reads=st.booleans())
    def deploy(self, spoilt: set[str], blind: bool, reads: bool) -> None:
        """Deploy a version with faults of its own, or none."""
        self.world.deploy.spoilt_rules = spoilt
        self.world.deploy.blind = blind
        self.world.deploy.illiterate = not reads
        self.world.restart()

    @rule()
    def mend(self) -> None:
        self.world.deploy.mend()

    @rule(faults=faults)
    def work_off(self, faults: dict[int, bool]) -> None:
        self._with(faults, self.world.work_off)

    @rule()
    def restart(self) -> None:
        self.world.restart()

    @rule(faults=faults)
    def redrive(self, faults: dict[int, bool]) -> None:
        self._with(faults, self.world.redrive)

    @rule(spoilt=st.sets(st.sampled_from(RULE_IDS)), blind=st.booleans(), reads=st.booleans())
    def redrive_too_early(self, spoilt: set[str], blind: bool, reads: bool) -> None:
        """Redrive before the cause is mended, so that letters become letters once more."""
        self.deploy(spoilt, blind, reads)
        self.world.redrive()
        self.world.work_off()

    @rule(hours=st.integers(0, 5))
    def time_goes_by(self, hours: int) -> None:
        self.world.now += timedelta(hours=hours)

    def _with(self, faults: dict[int, bool], act: Callable[[], Any]) -> None:
        self.world.faults.plan(faults)
        act()
        self.world.faults.plan({})

    @invariant()
    def no_mail_is_published_twice(self) -> None:
        assert all(count == 1 for count in self.world.mails().values())

    @invariant()
    def no_letter_is_put_back_twice(self) -> None:
        logs = self.world.topics.records.values()
        back = [c for log in logs for r in log for n, c in r.headers if n == REDRIVE_OF]
        assert len(back) == len(set(back))

    @invariant()
    def every_settled_offset_is_in_exactly_one_range(self) -> None:
        told = [p.value or b"" for p in self.world.topics.published if p.topic == "evaluations"]
        ranges = [json.loads(value) for value in told]
        seen = sorted((part, at) for part, first, last in ranges for at in range(first, last + 1))
        settled = self.world.topics.settled.items()
        assert seen == sorted((place.partition, at) for place, end in settled for at in range(end))

    def teardown(self) -> None:
        """Mend everything and let it come to rest: exactly the planned mails are there."""
        self.world.deploy.mend()
        for _ in range(3):
            self.world.work_off()
            assert self.world.redrive()
        self.world.work_off()

        assert self.world.mails() == Counter(
            mail_id(event.event_id, RuleId(rule_id), EmailAddress(address))
            for _, event in self.sound
            if event.tenant_id == "m-1"
            for rule_id in RULE_IDS
            for address in ADDRESSES[rule_id]
        )
        assert len(self.world.waiting()) == self.damaged


TestCrashes = Crashes.TestCase
TestCrashes.settings = examples(0.6, stateful_step_count=25)
