"""An `EventStream` on one consumer and one transactional producer (kafka.md, sections 1 to 6).

What is collected is settled in parts, one transaction each, begun and committed between two calls
to `collect`; which thread settles is all the same, as long as nobody collects. After any failure
a new producer decides its predecessor's transaction, and the broker is asked what is true; nothing
is guessed, and no record is read from a partition of the batch before that was sought to its place.
"""

from collections.abc import Mapping, Sequence

from consumer.kafka_errors import kafka_errors
from consumer.kafka_reading import Reading
from consumer.kafka_transactions import Transactions
from schemas.records import Batch, Place, Publication


class KafkaStream:
    """Reads what is not settled and settles it."""

    def __init__(self, reading: Reading, transactions: Transactions) -> None:
        self._reading = reading
        self._transactions = transactions
        self._unsettled: dict[Place, int] = {}  # where begins what was collected and is not settled
        self._collected: Mapping[Place, int] = {}  # where it ends

    @property
    def assigned(self) -> bool:
        """Say whether a group was joined once."""
        return self._reading.assigned

    def collect(self) -> Batch:
        """Return what waits; see `EventStream`."""
        with kafka_errors():
            self._transactions.start()
            if self._unsettled:
                self._reading.rewind(self._unsettled, in_doubt=self._transactions.in_doubt)
            self._transactions.in_doubt = False
            self._unsettled = {}
            return self._reading.collect(self._hold)

    def _hold(self, batch: Batch) -> None:
        """Note where to go back to if this is not settled."""
        self._unsettled, self._collected = batch.starts(), batch.ends()

    def settle(self, batch: Batch, publications: Sequence[Publication]) -> None:
        """Publish and mark in one transaction; see `EventStream`."""
        ends = self._reading.ends(batch)
        with kafka_errors():
            self._transactions.settle(publications, ends, self._reading.group)
        for place, end in batch.ends().items():
            self._unsettled[place] = end
            if end >= self._collected.get(place, end):
                del self._unsettled[place]
        self._reading.settled(batch)

    def close(self) -> None:
        """Leave the group and undo what is open; see `EventStream`."""
        self._reading.close()
        self._transactions.close()
