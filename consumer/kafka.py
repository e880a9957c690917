"""An `EventStream` on one consumer and one transactional producer (kafka.md, sections 1 to 6).

One batch is one transaction, begun and committed between two calls to `collect`. After any failure
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
        self._unsettled: Mapping[Place, int] = {}  # where the batch begins that is not settled

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
        self._unsettled = batch.starts()

    def settle(self, batch: Batch, publications: Sequence[Publication]) -> None:
        """Publish and mark in one transaction; see `EventStream`."""
        ends = self._reading.ends(batch)
        with kafka_errors():
            self._transactions.settle(publications, ends, self._reading.group)
        self._unsettled = {}
        self._reading.settled(batch)

    def close(self) -> None:
        """Leave the group and undo what is open; see `EventStream`."""
        self._reading.close()
        self._transactions.close()
