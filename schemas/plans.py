"""What a batch asks of the outside, decided before anything is done."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

from schemas.instants import milliseconds
from schemas.mails import OutgoingMail
from schemas.records import Record
from schemas.repeats import SettledId
from schemas.vocabulary import DeadLetterReason, Generation, Outcome, RuleId


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A record, or one rule's part of it, that no retry helps. `detail` holds no field's value."""

    record: Record
    reason: DeadLetterReason
    detail: str
    rule_id: RuleId | None = None
    is_wanted: bool = False  #: its routing fields could be read, and a rule wants it


@dataclass(frozen=True)
class Decision:
    """When and by which rules something was decided. `at` is aware UTC, whole milliseconds."""

    at: datetime
    generation: Generation

    @cached_property
    def milliseconds(self) -> int:
        """Return `at` in milliseconds since 1970: asked for every event that a rule wants."""
        return milliseconds(self.at)


@dataclass(frozen=True, slots=True)
class Share:
    """A record's part of a plan; mails with their encoded values, by rule and recipient."""

    outcome: Outcome
    mails: tuple[tuple[OutgoingMail, bytes], ...] = ()
    dead_letters: tuple[DeadLetter, ...] = ()
    foreign_rules: int = 0  #: rules of another tenant that were handed over and refused (R1)
    first_offset: int | None = None  #: where a repeated record came first


class Repeat(NamedTuple):
    """A record whose event id was settled before, and the offset where it came first."""

    offset: int
    first_offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What became of a range of offsets of one partition, first and last included."""

    topic: str
    partition: int
    first_offset: int
    last_offset: int
    rules_generation: Generation
    engine_version: str
    decided_at: datetime
    outcomes: Mapping[Outcome, int]
    repeats: tuple[Repeat, ...] = ()  #: each record with the outcome `repeated`, in order


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything a batch asks for: shares in the batch's order, evaluations by partition.

    `settled` are the ids that are known from then on, once it is known that the plan is settled.
    """

    shares: tuple[tuple[Record, Share], ...]
    evaluations: tuple[Evaluation, ...]
    settled: tuple[SettledId, ...] = ()

    @cached_property
    def asking(self) -> tuple[Share, ...]:
        """Return the shares that ask for anything: few, and all that is done goes by them."""
        return tuple([s for _, s in self.shares if s.mails or s.dead_letters or s.foreign_rules])

    def outcomes(self) -> Counter[Outcome]:
        """Count the plan's records by what became of them."""
        return sum((Counter(each.outcomes) for each in self.evaluations), Counter())
