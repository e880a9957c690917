"""Whether exactly the right mails came: what the scenes ask for against what the inbox got."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from consumer.demo.events import Scene
from consumer.inbox.mailbox import ReceivedMail, Refusal

Mails = Counter[tuple[str, str]]  # event id, address → how many


@dataclass(frozen=True, slots=True)
class Score:
    """Expected and arrived, counted by event and address; refusals by address."""

    expected: Mails = field(default_factory=Counter)
    arrived: Mails = field(default_factory=Counter)
    to_be_refused: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(
        cls, scenes: Iterable[Scene], mails: Iterable[ReceivedMail], refusals: Iterable[Refusal]
    ) -> "Score":
        """Count both sides; a refusal for now (4xx) is none."""
        played = tuple(scenes)
        return cls(
            Counter((scene.event_id, to) for scene in played for to in scene.mails_to),
            Counter((mail.content.header("X-Push-Event-Id"), mail.recipient) for mail in mails),
            Counter(to for scene in played for to in scene.refused),
            Counter(refusal.recipient for refusal in refusals if refusal.reply.startswith("5")),
        )

    @property
    def is_complete(self) -> bool:
        """Say whether nothing is missing; there may be too much."""
        return self.expected <= self.arrived and self.to_be_refused <= self.refused

    @property
    def is_right(self) -> bool:
        """Say whether exactly the expected mails arrived and exactly the expected were refused."""
        return self.expected == self.arrived and self.to_be_refused == self.refused

    def faults(self) -> Iterator[str]:
        """Return a line for each mail that is missing or too much."""
        for (event_id, to), count in (self.expected - self.arrived).items():
            yield f"missing {count}: to {to} for event {event_id}"
        for (event_id, to), count in (self.arrived - self.expected).items():
            yield f"too many {count}: to {to} for event {event_id}"
        if self.to_be_refused != self.refused:
            yield f"refused {self.refused.total()}, expected {self.to_be_refused.total()}"
