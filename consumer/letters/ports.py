"""What looking at dead letters and redriving them rely on."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol

from consumer.letters.reading import Position
from schemas.records import Publication, Record


class DeadLetterTopic(Protocol):
    """The dead-letter topic, read from outside the worker."""

    def records(self, since: datetime | None = None) -> Iterator[Record]:
        """Yield what is committed, up to the end as it is now, in order per partition.

        The end counts transactions that are still open: they are waited for, so that a mark behind
        one is not missed. `since` (aware UTC) leaves out what was written before. Raise `Temporary`
        where Kafka gives no answer, or a transaction stays open.
        """

    def records_from(self, place: Position) -> Iterator[Record]:
        """Yield the same of one partition only, from an offset on."""


class Redriver(Protocol):
    """Publishes a redrive's chunks, each in one transaction; one process at a time does."""

    def take_over(self) -> None:
        """End whatever another process of this name had begun, and keep it from going on."""

    def publish(self, publications: Sequence[Publication]) -> None:
        """Publish everything in one transaction.

        Raise `Temporary` if that is not certain, `Fatal` if another process has taken over: then
        nothing of it was published.
        """
