"""What there is: every chosen letter in short, which were redriven, which cannot be.

The topic may be larger than the memory, so of each letter only what a list shows is kept.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from consumer.letters.choosing import Choice, TenantOf
from consumer.letters.reading import Letter, Mark, Position, read
from schemas.records import Record
from schemas.vocabulary import RuleId


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a list says of a letter; nothing in it is personal."""

    at: Position
    failed_at: datetime
    reason: str
    detail: str
    origin: Position
    tenant: str | None  #: None where the record cannot be read so far
    rule_id: RuleId | None
    obstacle: str | None  #: why it cannot be redriven


@dataclass(slots=True)
class Survey:
    """The letters that were chosen, in the order they failed, and the places of all redriven."""

    letters: list[Summary] = field(default_factory=list)
    redriven: set[Position] = field(default_factory=set)
    read: int = 0  #: records of the topic

    def waiting(self) -> list[Summary]:
        """Return the letters that a redrive would put back."""
        return [s for s in self.letters if s.at not in self.redriven and s.obstacle is None]

    def stuck(self) -> list[Summary]:
        """Return the letters that it cannot put back."""
        return [s for s in self.letters if s.at not in self.redriven and s.obstacle is not None]


def survey(
    records: Iterable[Record],
    choice: Choice,
    tenant_of: TenantOf,
    home: Collection[tuple[str, str]],
    progress: Callable[[int], None] = lambda _: None,
) -> Survey:
    """Read the topic once. `home` are (group, topic) that a letter may be put back to."""
    found = Survey()
    for record in records:
        found.read += 1
        progress(found.read)
        match read(record):
            case Mark(letter=place):
                found.redriven.add(place)
            case Letter() as letter if choice.takes(letter, tenant_of):
                found.letters.append(_summary(letter, tenant_of(letter), home))
    found.letters.sort(key=lambda summary: (summary.failed_at, summary.at))
    return found


def _summary(letter: Letter, tenant: str | None, home: Collection[tuple[str, str]]) -> Summary:
    return Summary(
        at=letter.at,
        failed_at=letter.failed_at,
        reason=letter.reason,
        detail=letter.detail,
        origin=letter.origin,
        tenant=tenant,
        rule_id=letter.rule_id,
        obstacle=obstacle(letter, home),
    )


def obstacle(letter: Letter, home: Collection[tuple[str, str]]) -> str | None:
    """Say why a letter cannot be redriven; None where it can."""
    if letter.left_out is not None:
        return f"its value of {letter.left_out} bytes was left out for its size"
    if (letter.group, letter.origin.topic) not in home:
        return f"{letter.origin.topic} is no topic that {letter.group} reads"
    return None
