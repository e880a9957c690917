"""What the loop relies on, and what an adapter must never do."""

from collections.abc import Collection, Sequence
from typing import Protocol, TypeVar

from consumer.compact_ids import CompactIds
from schemas.records import Batch, Place, Publication


class EventStream(Protocol):
    """Batches in, publications out: what is published and how far is read change together."""

    def collect(self) -> Batch:
        """Return what waits, in order per partition; empty after about a second without any.

        Never step over a record that is not settled. A record whose partition was taken away
        meanwhile is left out. Raise `Temporary` if Kafka gave no answer, `Fatal` if it never will.
        """

    def settle(self, batch: Batch, publications: Sequence[Publication]) -> None:
        """Publish everything and mark the batch done, in one transaction.

        May be called for parts of what was collected, one after another in its order and from any
        thread. What is not settled at the next `collect` comes again; behind a part that failed
        nothing is settled before.
        A publication that is refused for its size is replaced by its `smaller` self. Raise
        `Temporary` if success is not certain: then both or neither has happened, and `collect`
        goes on from whichever it was. The caller need not know.
        """

    def close(self) -> None:
        """Leave the group; what is not settled stays so."""


class Copy(Protocol):
    """What is remembered of each partition that is ours, beside the loop's own place in it."""

    def restore(self, place: Place, ids: CompactIds, since: int) -> None:
        """Take a partition's settled ids; complete since then (milliseconds since 1970)."""

    def forget(self, places: Collection[Place]) -> None:
        """Drop what is remembered of these: they are somebody else's, or it may not be true."""


class Nothing:
    """The copy of a daemon that remembers nothing."""

    def restore(self, place: Place, ids: CompactIds, since: int) -> None:
        """Remember nothing."""

    def forget(self, places: Collection[Place]) -> None:
        """Have nothing to forget."""


class Prepared(Protocol):
    """What a work has decided about a batch; nothing of it is published yet."""

    @property
    def publications(self) -> Sequence[Publication]:
        """Return what the batch asks to be published."""


PreparedT = TypeVar("PreparedT", bound=Prepared)


class Work(Protocol[PreparedT]):
    """What a daemon makes of a batch."""

    def prepare(self, batch: Batch, under_way: PreparedT | None) -> PreparedT:
        """Decide what the batch asks for; asked again for the same batch after a failure.

        `under_way` is what was prepared just before it and is being settled meanwhile: this one is
        settled after it or not at all. None: all there was is settled.
        """

    def settled(self, prepared: PreparedT, seconds: float) -> None:
        """Take note that a batch is settled, `seconds` after its preparation began."""
