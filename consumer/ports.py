"""What the loop relies on, and what an adapter must never do."""

from collections.abc import Sequence
from typing import Protocol

from schemas.records import Batch, Publication


class EventStream(Protocol):
    """Batches in, publications out: what is published and how far is read change together."""

    def collect(self) -> Batch:
        """Return what waits, in order per partition; empty after about a second without any.

        Never step over a record that is not settled. A record whose partition was taken away
        meanwhile is left out. Raise `Temporary` if Kafka gave no answer, `Fatal` if it never will.
        """

    def settle(self, batch: Batch, publications: Sequence[Publication]) -> None:
        """Publish everything and mark the batch done, in one transaction.

        A publication that is refused for its size is replaced by its `smaller` self. Raise
        `Temporary` if success is not certain: then both or neither has happened, and `collect`
        goes on from whichever it was. The caller need not know.
        """

    def close(self) -> None:
        """Leave the group; what is not settled stays so."""


class Work(Protocol):
    """What a daemon makes of a batch."""

    def publications(self, batch: Batch) -> Sequence[Publication]:
        """Decide what the batch asks for; asked again for the same batch after a failure."""

    def settled(self, batch: Batch, seconds: float) -> None:
        """Take note that the batch is settled, `seconds` after it was collected."""
