"""Stop before a fault that may be ours turns a topic into dead letters.

Two steps of the work are watched, each by the records that took it: *reading* (every record whose
schema is known) and *making* (every record that a rule wants: decoded in full, then rendered). A
record that did not take a step says nothing about it: where one event in twenty is wanted, broken
templates would otherwise hide behind the nineteen. Bytes that are nobody's event are not our fault;
they count only when nothing else comes at all. A redriven record was a dead letter before, so its
failure is no news: it must not stop a worker for good.

Pure: what was seen, a plan and an instant in; what was seen then out, or the reason to stop.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import NamedTuple

from consumer.redrives import is_redriven
from schemas.errors import TooManyFaults
from schemas.plans import Plan, Share
from schemas.records import Record
from schemas.vocabulary import DeadLetterReason, Outcome

#: What a fault of ours looks like; all other reasons are the record's own.
OURS = frozenset(
    {DeadLetterReason.RENDER_FAILED, DeadLetterReason.UNDECODABLE, DeadLetterReason.INTERNAL}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much may fail; a number of records that is 0 means: never stop for this."""

    in_a_row: int = 100  #: faults that may be ours, one after another
    after_start: int = 10  #: the same, until after a start one record has ended otherwise
    percent: int = 50  #: more faults than this share of …
    at_least: int = 1_000  #: … at least so many records …
    within: timedelta = timedelta(seconds=60)  #: … that were tried in so long
    unreadable: int = 1_000  #: records one after another that are nobody's event


class Says(Enum):
    """What a record says about a step of the work."""

    WELL = "well"
    FAULT = "fault"
    NOTHING = "nothing"  #: it did not take the step


class Said(NamedTuple):
    """What a record says about both steps, and whether it could be read at all."""

    reading: Says
    making: Says
    unreadable: Says


_UNWANTED = Said(Says.WELL, Says.NOTHING, Says.WELL)
_MAILED = Said(Says.WELL, Says.WELL, Says.WELL)
_FAILED = Said(Says.WELL, Says.FAULT, Says.WELL)
_NO_NEWS = Said(Says.NOTHING, Says.NOTHING, Says.NOTHING)


class Tried(NamedTuple):
    """How many records took a step from an instant on, and how many of them failed."""

    at: datetime
    records: int
    faults: int


@dataclass(frozen=True, slots=True)
class Trial:
    """How one step has gone: since the start, in a row, and lately."""

    went_well: bool = False  # at least once since the start
    in_a_row: int = 0
    lately: tuple[Tried, ...] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """What a worker has seen of its records; a process starts with none of it."""

    reading: Trial = Trial()
    making: Trial = Trial()
    unreadable: int = 0  # in a row, on whatever partition


@dataclass(frozen=True, slots=True)
class Breaker:
    """Says when to stop."""

    limits: Limits

    def after(self, seen: Seen, plan: Plan, at: datetime) -> Seen:
        """Return what is seen once this plan is settled, or raise `TooManyFaults`.

        `at` is aware UTC. Nothing is remembered here: a plan that is not settled was not seen.
        """
        if _is_well(plan):
            return self._after_good_batch(seen, plan, at)
        said = [what_it_says(record, share) for record, share in plan.shares]
        return Seen(
            self._tried(seen.reading, [one.reading for one in said], at, plan, "be read"),
            self._tried(seen.making, [one.making for one in said], at, plan, "be made into mails"),
            self._unreadable(seen.unreadable, [one.unreadable for one in said], plan),
        )

    def _after_good_batch(self, seen: Seen, plan: Plan, at: datetime) -> Seen:
        """Return the same from the evaluations' counts alone: most batches are without a fault."""
        if not plan.shares:
            return seen
        mailed = sum(e.outcomes.get(Outcome.MAILED, 0) for e in plan.evaluations)
        reading = Trial(True, 0, self._lately(seen.reading, Tried(at, len(plan.shares), 0)))
        making = seen.making
        if mailed:
            making = Trial(True, 0, self._lately(making, Tried(at, mailed, 0)))
        return Seen(reading, making, 0)

    def _tried(
        self, trial: Trial, said: Sequence[Says], at: datetime, plan: Plan, what: str
    ) -> Trial:
        went_well, in_a_row = trial.went_well, trial.in_a_row
        for says in said:
            if says is Says.WELL:
                went_well, in_a_row = True, 0
            elif says is Says.FAULT:
                in_a_row += 1
                if self._is_too_long(in_a_row, went_well=went_well):
                    since = "" if went_well else " since the start"
                    raise _stop(f"{in_a_row} records in a row{since} could not {what}", plan)
        lately = self._lately(trial, _counted(said, at))
        records, faults = (sum(numbers) for numbers in zip(*(t[1:] for t in lately), strict=True))
        if self._are_too_many(faults, records):
            seconds = self.limits.within.total_seconds()
            raise _stop(f"{faults} of {records} records in {seconds:g} s could not {what}", plan)
        return Trial(went_well, in_a_row, lately)

    def _is_too_long(self, in_a_row: int, *, went_well: bool) -> bool:
        limits = self.limits
        limit = limits.in_a_row if went_well or not limits.after_start else limits.after_start
        return 0 < limit <= in_a_row

    def _are_too_many(self, faults: int, records: int) -> bool:
        limits = self.limits
        return 0 < limits.at_least <= records and faults * 100 > limits.percent * records

    def _unreadable(self, in_a_row: int, said: Sequence[Says], plan: Plan) -> int:
        for says in said:
            if says is Says.WELL:
                in_a_row = 0
            elif says is Says.FAULT:
                in_a_row += 1
                if 0 < self.limits.unreadable <= in_a_row:
                    raise _stop(f"{in_a_row} records in a row were no payment events", plan)
        return in_a_row

    def _lately(self, trial: Trial, tried: Tried) -> tuple[Tried, ...]:
        """Add up to some sixty sums: hundreds of batches a second must cost nothing."""
        within = self.limits.within
        if trial.lately and tried.at - trial.lately[-1].at < within / 60:
            *former, last = trial.lately
            sums = last.records + tried.records, last.faults + tried.faults
            return (*former, Tried(last.at, *sums))
        return (*(t for t in trial.lately if t.at > tried.at - within), tried)


def what_it_says(record: Record, share: Share) -> Said:
    """Return what a record says about the steps of the work (`Outcome`, `DeadLetterReason`)."""
    if share.outcome is Outcome.MAILED:
        return _MAILED
    if not share.dead_letters:
        return _UNWANTED
    if is_redriven(record):
        return _NO_NEWS
    if share.outcome is Outcome.FAILED:
        return _FAILED
    letter = share.dead_letters[0]
    fault = Says.FAULT if letter.reason in OURS else Says.NOTHING
    if letter.is_wanted:
        return Said(Says.WELL, fault, Says.WELL)
    return Said(fault, Says.NOTHING, Says.FAULT)


def _is_well(plan: Plan) -> bool:
    return not any(
        evaluation.outcomes.get(Outcome.FAILED) or evaluation.outcomes.get(Outcome.UNREADABLE)
        for evaluation in plan.evaluations
    )


def _counted(said: Sequence[Says], at: datetime) -> Tried:
    faults = said.count(Says.FAULT)
    return Tried(at, faults + said.count(Says.WELL), faults)


def _stop(why: str, plan: Plan) -> TooManyFaults:
    letters = [letter for _, share in plan.shares for letter in share.dead_letters]
    reasons = Counter(str(letter.reason) for letter in letters).most_common()
    last = letters[-1]
    place = f"{last.record.topic}/{last.record.partition}/{last.record.offset}"
    return TooManyFaults(
        f"{why}, so the fault may be ours; their batch was not settled. In it: "
        f"{', '.join(f'{count} {reason}' for reason, count in reasons)}; the last at {place}: "
        f"{last.detail}. Mend the cause and start again, or make dead letters of them with "
        "PUSH_BREAKER=false"
    )
