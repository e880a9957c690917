"""What an audit can find wrong, counted, with the first few of each kind as examples."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

EXAMPLES = 5  # of each kind


class Damage(StrEnum):
    """A kind of disagreement between what went in and what came out."""

    LOST_MAIL = "lost_mail"  #: asked for, and not there
    DOUBLED_MAIL = "doubled_mail"  #: there more often than asked for
    FOREIGN_MAIL = "foreign_mail"  #: asked for by nobody, or not what its id says
    LOST_LETTER = "lost_letter"
    DOUBLED_LETTER = "doubled_letter"
    FOREIGN_LETTER = "foreign_letter"  #: of a record that can be read, or not its bytes
    GAP = "gap"  #: a record that lies in no evaluation's range
    OVERLAP = "overlap"  #: a record that lies in more than one
    FOREIGN_RANGE = "foreign_range"  #: a range over what was never written
    WRONG_COUNTS = "wrong_counts"  #: a range whose outcomes are not those of its records
    WRONG_FIRST = "wrong_first"  #: a repetition not named, or with another first offset
    LOST_REPEAT = "lost_repeat"  #: a settled event that the repeats topic does not know
    FOREIGN_REPEAT = "foreign_repeat"  #: an entry of no settled event, or with another offset


@dataclass(slots=True)
class Findings:
    """The damage found; none is what all the rest is for."""

    counts: Counter[Damage] = field(default_factory=Counter)
    examples: dict[Damage, list[str]] = field(default_factory=dict)

    def note(self, damage: Damage, where: str, times: int = 1) -> None:
        """Count it, and keep the place if it is one of the first."""
        self.counts[damage] += times
        known = self.examples.setdefault(damage, [])
        if len(known) < EXAMPLES:
            known.append(where)

    def total(self, *damages: Damage) -> int:
        """Return how often any of these was found; of all kinds where none is named."""
        return sum(self.counts[damage] for damage in damages or Damage)

    def lines(self) -> list[str]:
        """Return a line for each kind that was found."""
        return [
            f"{damage}: {self.counts[damage]}, first {'; '.join(places)}"
            for damage, places in self.examples.items()
        ]
