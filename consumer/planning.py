"""Records in, everything they ask of the world out: no I/O, no clock, no log.

The worker, the demo's terminal, `explain`, `simulate` and `preview` call the same `Planner`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from consumer.faults import Fault, fault
from consumer.redrives import redrive_of
from rules_store.snapshot import Snapshot
from schemas.codec import Codec
from schemas.errors import RenderFailed
from schemas.events import PaymentEvent, Routing
from schemas.mails import LARGEST_MAIL, OutgoingMail
from schemas.plans import DeadLetter, Decision, Evaluation, Plan, Share
from schemas.records import Batch, Place, Record
from schemas.rules import Recipient, WantedRule
from schemas.vocabulary import EventType, Outcome, RuleId

Render: TypeAlias = Callable[[PaymentEvent, WantedRule, Recipient, Decision], OutgoingMail]
EncodedMails: TypeAlias = tuple[tuple[OutgoingMail, bytes], ...]

_WITHOUT_MAIL = {outcome: Share(outcome) for outcome in Outcome}  # one for all: most records


@dataclass(frozen=True, slots=True, kw_only=True)
class Planner:
    """Decides and touches nothing: all it may look at is a field, the time included."""

    rules: Snapshot
    codec: Codec
    render: Render
    encode: Callable[[OutgoingMail], bytes]
    event_types: Mapping[str, EventType]  # by input topic
    group_id: str  # whose redriven records are meant for it
    engine_version: str
    decision: Decision

    def plan(self, batch: Batch) -> Plan:
        """Return everything the batch asks for; asked twice, the answer is the same.

        Raise `RegistryUnavailable` where a writer schema could not be asked for.
        """
        shares = tuple((record, self.share(record)) for record in batch.records)
        return Plan(shares=shares, evaluations=self._evaluations(shares))

    def share(self, record: Record) -> Share:
        """Return what one record asks for; a redriven share asks for its rule's mails alone."""
        is_wanted = False
        try:
            routing, wanting = self.match(record)
            if not wanting:
                return _WITHOUT_MAIL[self.rules.unwanted(routing)]
            is_wanted = True
            redrive = redrive_of(record, self.group_id)  # headers are read where a rule wants it
            if redrive is not None and redrive.rule_id is not None:
                wanting = tuple(w for w in wanting if w.rule.rule_id == redrive.rule_id)
                if not wanting:  # other rules had it before
                    return _WITHOUT_MAIL[Outcome.NO_MATCH]
            event = self.codec.decode(routing.event_type, record)
        except Exception as error:  # noqa: BLE001  one record must not block its partition
            return self._unreadable(record, fault(error), is_wanted=is_wanted)
        own = tuple(wanted for wanted in wanting if is_of(routing.tenant_id, wanted))
        return self._mailed(record, event, own, foreign_rules=len(wanting) - len(own))

    def match(self, record: Record) -> tuple[Routing, tuple[WantedRule, ...]]:
        """Return a record's routing fields and the rules that want it, or raise `InvalidEvent`."""
        routing = self.codec.peek(self.event_types[record.topic], record)
        return routing, self.rules.wanting(routing)

    def _unreadable(self, record: Record, why: Fault, *, is_wanted: bool) -> Share:
        """Return a dead letter; a rule's share stays that rule's, whatever fails of it."""
        redrive = redrive_of(record, self.group_id)
        letter = DeadLetter(
            record=record,
            reason=why.reason,
            detail=why.detail,
            rule_id=None if redrive is None else redrive.rule_id,
            is_wanted=is_wanted,
        )
        return Share(Outcome.UNREADABLE, dead_letters=(letter,))

    def _mailed(
        self,
        record: Record,
        event: PaymentEvent,
        wanting: tuple[WantedRule, ...],
        foreign_rules: int,
    ) -> Share:
        mails: list[tuple[OutgoingMail, bytes]] = []
        dead: list[DeadLetter] = []
        for wanted in wanting:
            try:
                mails += self._mails_of_rule(event, wanted)
            except Exception as error:  # noqa: BLE001  its mails all or none; the others go on
                dead.append(_dead_share(record, wanted.rule.rule_id, fault(error)))
        outcome = _outcome(mails=len(mails), dead=len(dead), rules=len(wanting))
        return Share(outcome, tuple(mails), tuple(dead), foreign_rules)

    def _mails_of_rule(self, event: PaymentEvent, wanted: WantedRule) -> EncodedMails:
        return tuple(
            self._encoded(self.render(event, wanted, recipient, self.decision))
            for recipient in wanted.recipients
        )

    def _encoded(self, mail: OutgoingMail) -> tuple[OutgoingMail, bytes]:
        value = self.encode(mail)
        if len(value) > LARGEST_MAIL:
            raise RenderFailed(f"the record has {len(value)} bytes, {LARGEST_MAIL} are the limit")
        return mail, value

    def _evaluations(self, shares: tuple[tuple[Record, Share], ...]) -> tuple[Evaluation, ...]:
        ranges: dict[Place, _Range] = {}
        for record, share in shares:
            place = Place(record.topic, record.partition)
            counted = ranges.get(place)
            if counted is None:
                counted = ranges[place] = _Range(record.offset, record.offset, {})
            counted.last = record.offset
            counted.outcomes[share.outcome] = counted.outcomes.get(share.outcome, 0) + 1
        return tuple(
            Evaluation(
                topic=place.topic,
                partition=place.partition,
                first_offset=counted.first,
                last_offset=counted.last,
                rules_generation=self.decision.generation,
                engine_version=self.engine_version,
                decided_at=self.decision.at,
                outcomes=counted.outcomes,
            )
            for place, counted in ranges.items()
        )


@dataclass(slots=True)
class _Range:
    first: int
    last: int
    outcomes: dict[Outcome, int]


def is_of(tenant_id: str, wanted: WantedRule) -> bool:
    """Say whether a rule and its tenant are the event's own: the last gate before a mail (R1)."""
    return wanted.rule.tenant_id == tenant_id and wanted.tenant.tenant_id == tenant_id


def _dead_share(record: Record, rule_id: RuleId, why: Fault) -> DeadLetter:
    return DeadLetter(
        record=record, reason=why.reason, detail=why.detail, rule_id=rule_id, is_wanted=True
    )


def _outcome(*, mails: int, dead: int, rules: int) -> Outcome:
    if rules == 0:  # all that wanted it were another tenant's
        return Outcome.NO_MATCH
    if dead:
        return Outcome.FAILED
    return Outcome.MAILED if mails else Outcome.NO_RECIPIENT
