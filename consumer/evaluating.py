"""The work of `run`: the current rules, a plan, its publications."""

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from time import perf_counter

from consumer.breaker import Breaker, Seen
from consumer.planning import Planner
from consumer.publications import Publisher
from rules_store.snapshot import Snapshot
from schemas.plans import Decision, Plan
from schemas.records import Batch, Publication, Record
from schemas.repeats import SettledId

logger = logging.getLogger(__name__)

PlannerFor = Callable[[Snapshot, Decision], Planner]


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A batch's plan, and what is so once it is settled."""

    plan: Plan
    publications: Sequence[Publication]
    seen: Seen  #: by the breaker, this batch included


@dataclass(slots=True, kw_only=True)
class Evaluating:
    """Plans each batch by the rules of one generation; the rules change between batches only."""

    rules: Callable[[], Snapshot]
    planner_for: PlannerFor
    publisher: Publisher
    now: Callable[[], datetime]  # aware UTC
    count: Callable[[Plan, float], None]  # told of each settled plan and its seconds
    matched: Callable[[float], None]  # told how long one record of each batch took to match
    enter: Callable[[Iterable[SettledId]], None] = lambda _: None  # told of ids that are committed
    breaker: Breaker | None = None  # None: however much fails becomes dead letters
    _seen: Seen = field(default_factory=Seen)  # of what is settled

    def prepare(self, batch: Batch, under_way: Evaluated | None = None) -> Evaluated:
        """Decide what the batch asks for; see `Work`.

        Raise `TooManyFaults` where so much fails that none of it should become a dead letter.
        """
        snapshot, at = self.rules(), whole_milliseconds(self.now())
        planner = self.planner_for(snapshot, Decision(at, snapshot.generation))
        plan = planner.plan(batch, under_way.plan.settled if under_way else ())
        seen = under_way.seen if under_way else self._seen
        if self.breaker is not None:
            seen = self.breaker.after(seen, plan, at)
        if batch.records:
            self.matched(_seconds_to_match(planner, batch.records[-1]))
        return Evaluated(plan, self.publisher.publications(plan, failed_at=at), seen)

    def settled(self, prepared: Evaluated, seconds: float) -> None:
        """Count and log what was settled; see `Work`."""
        plan = prepared.plan
        self.enter(plan.settled)  # not before: the commit is known to have succeeded
        self._seen = prepared.seen
        self.count(plan, seconds)
        _log(plan, seconds)


def _seconds_to_match(planner: Planner, record: Record) -> float:
    """Match once more with a clock beside it: a clock in the planner would cost each record."""
    began = perf_counter()
    with suppress(Exception):  # the plan has told it, whatever it is
        planner.match(record)
    return perf_counter() - began


def whole_milliseconds(at: datetime) -> datetime:
    """Cut an instant to what an Avro timestamp-millis can hold, so that it reads back the same."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _log(plan: Plan, seconds: float) -> None:
    mails = sum(len(share.mails) for share in plan.asking)
    level = logging.INFO if mails else logging.DEBUG
    if logger.isEnabledFor(level):
        fields = {
            "records": len(plan.shares),
            "mails": mails,
            "outcomes": {str(outcome): count for outcome, count in plan.outcomes().items()},
            "seconds": round(seconds, 4),
        }
        logger.log(level, "batch_settled", extra=fields)
    for share in plan.asking:
        if share.foreign_rules:
            logger.error("foreign_rule_refused", extra={"count": share.foreign_rules})
        for letter in share.dead_letters:
            record = letter.record
            fields = {
                "topic": record.topic,
                "partition": record.partition,
                "offset": record.offset,
                "reason": str(letter.reason),
                "detail": letter.detail,
                "rule_id": letter.rule_id,
            }
            logger.warning("record_dead_lettered", extra=fields)
