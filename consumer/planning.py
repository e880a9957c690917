"""Records in, everything they ask of the world out: no I/O, no clock, no log.

The worker, the demo's terminal, `explain`, `simulate` and `preview` call the same `Planner`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

from consumer.faults import Fault, fault
from consumer.redrives import redrive_of, settled_as
from consumer.repeats import FirstOffset, none_known
from rules_store.snapshot import Snapshot
from schemas.codec import Codec
from schemas.errors import RenderFailed
from schemas.events import PaymentEvent, Routing
from schemas.mails import LARGEST_MAIL, OutgoingMail
from schemas.plans import DeadLetter, Decision, Evaluation, Plan, Repeat, Share
from schemas.records import Batch, Lost, Place, Record
from schemas.repeats import SettledId, key_of
from schemas.rules import Recipient, WantedRule
from schemas.vocabulary import EventType, Outcome, RuleId

Render: TypeAlias = Callable[[PaymentEvent, WantedRule, Recipient, Decision], OutgoingMail]
Earlier: TypeAlias = dict[tuple[Place, bytes], int]  # (partition, key) → where it came first
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
    first_offset: FirstOffset = none_known  # of ids that were settled before the batch

    def plan(self, batch: Batch, under_way: Sequence[SettledId] = ()) -> Plan:
        """Return everything the batch asks for; asked twice, the answer is the same.

        `under_way` are ids that will have been settled before the batch is, and count as known.
        Raise `RegistryUnavailable` where a writer schema could not be asked for.
        """
        earlier: Earlier = {(place, key): offset for place, key, offset, _ in under_way}
        not_ours = len(earlier)
        shares = [self.share(record, earlier) for record in batch.records]
        return Plan(
            shares=tuple(zip(batch.records, shares, strict=True)),
            evaluations=(*map(self._lost, batch.lost), *self._evaluations(batch, shares)),
            settled=self._settled(islice(earlier.items(), not_ours, None)),
        )

    def share(self, record: Record, earlier: Earlier | None = None) -> Share:
        """Return what one record asks for; a redriven share asks for its rule's mails alone.

        `earlier` is what the batch's records before it settle; what this one settles is added.
        """
        is_wanted = False
        try:
            routing, answer = self.match(record)
            if isinstance(answer, Outcome):  # most records end here
                return _WITHOUT_MAIL[answer]
            is_wanted, wanting = True, answer
            redrive = redrive_of(record, self.group_id)  # headers are read where a rule wants it
            if redrive is not None and redrive.rule_id is not None:
                wanting = tuple(w for w in wanting if w.rule.rule_id == redrive.rule_id)
                if not wanting:  # other rules had it before
                    return _WITHOUT_MAIL[Outcome.NO_MATCH]
            event = self.codec.decode(routing.event_type, record)
        except Exception as error:  # noqa: BLE001  one record must not block its partition
            return self._unreadable(record, fault(error), is_wanted=is_wanted)
        keys = [
            key_of(record.topic, routing.tenant_id, one)
            for one in settled_as(redrive, routing.event_id)
        ]
        earlier = {} if earlier is None else earlier
        first = self._first_offset(record, keys, earlier)
        if first is not None:
            return Share(Outcome.REPEATED, first_offset=first)
        own = tuple(wanted for wanted in wanting if is_of(routing.tenant_id, wanted))
        share = self._mailed(record, event, own, foreign_rules=len(wanting) - len(own))
        if share.mails or share.dead_letters:
            place = Place(record.topic, record.partition)
            earlier.update({(place, key): record.offset for key in keys})
        return share

    def _first_offset(
        self, record: Record, keys: Sequence[bytes], earlier: Mapping[tuple[Place, bytes], int]
    ) -> int | None:
        """Return where a record came first, in this batch or in what was settled before."""
        place, now = Place(record.topic, record.partition), self.decision.milliseconds
        for key in keys:
            first = earlier.get((place, key))
            if first is None:
                first = self.first_offset(place, key, now)
            if first is not None:
                return first
        return None

    def _settled(self, ours: Iterable[tuple[tuple[Place, bytes], int]]) -> tuple[SettledId, ...]:
        now = self.decision.milliseconds
        return tuple([SettledId(place, key, offset, now) for (place, key), offset in ours])

    def match(self, record: Record) -> tuple[Routing, tuple[WantedRule, ...] | Outcome]:
        """Return a record's routing fields and what the rules say, or raise `InvalidEvent`."""
        routing = self.codec.peek(self.event_types[record.topic], record)
        return routing, self.rules.answer(routing)

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

    def _evaluations(self, batch: Batch, shares: Sequence[Share]) -> Iterator[Evaluation]:
        ranges: dict[Place, _Range] = {}
        for place, begin, end in batch.runs:
            first, last = batch.records[begin].offset, batch.records[end - 1].offset
            counted = ranges.get(place)
            if counted is None:
                counted = ranges[place] = _Range(first, last, {}, [])
            counted.last = last
            counted.add(batch.records[begin:end], shares[begin:end])
        for place, counted in ranges.items():
            yield self._evaluation(place, counted)

    def _lost(self, gap: Lost) -> Evaluation:
        """Evaluate what nobody has read and nobody can any more."""
        count = gap.last_offset - gap.first_offset + 1
        lost = _Range(gap.first_offset, gap.last_offset, {Outcome.LOST: count}, [])
        return self._evaluation(Place(gap.topic, gap.partition), lost)

    def _evaluation(self, place: Place, counted: "_Range") -> Evaluation:
        return Evaluation(
            topic=place.topic,
            partition=place.partition,
            first_offset=counted.first,
            last_offset=counted.last,
            rules_generation=self.decision.generation,
            engine_version=self.engine_version,
            decided_at=self.decision.at,
            outcomes=counted.outcomes,
            repeats=tuple(counted.repeats),
        )


@dataclass(slots=True)
class _Range:
    first: int
    last: int
    outcomes: dict[Outcome, int]
    repeats: list[Repeat]

    def add(self, records: Sequence[Record], shares: Sequence[Share]) -> None:
        """Count records that lie side by side by what became of them."""
        kinds = {id(share): share for share in shares}  # of those without a mail, one for all
        for kind, count in Counter(map(id, shares)).items():
            share = kinds[kind]
            self.outcomes[share.outcome] = self.outcomes.get(share.outcome, 0) + count
        if Outcome.REPEATED in self.outcomes:
            pairs = zip(records, shares, strict=True)
            self.repeats += [
                Repeat(record.offset, share.first_offset)
                for record, share in pairs
                if share.first_offset is not None
            ]


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
