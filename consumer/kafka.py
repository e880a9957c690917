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
from schemas.errors import KafkaUnavailable
from schemas.records import Batch, Place, Publication


class KafkaStream:
    """Reads what is not settled and settles it."""

    def __init__(self, reading: Reading, transactions: Transactions) -> None:
        self._reading = reading
        self._transactions = transactions
        self._unsettled: Mapping[Place, int] = {}  # from where on what was collected is not settled
        self._ends: Mapping[Place, int] = {}  # where that ends
        self._is_collecting = False  # or it failed, and what it had read already is gone
        self._is_settling = False  # or it failed, and nothing behind it may be settled

    @property
    def assigned(self) -> bool:
        """Say whether a group was joined once."""
        return self._reading.assigned

    def collect(self) -> Batch:
        """Return what waits; see `EventStream`."""
        with kafka_errors():
            self._transactions.start()
            if self._is_collecting:
                self._reading.take_over_all()
            elif self._unsettled:
                self._reading.rewind(self._unsettled, in_doubt=self._transactions.in_doubt)
            self._transactions.in_doubt = self._is_settling = False
            self._unsettled, self._is_collecting = {}, True
            batch = self._reading.collect()
            self._unsettled, self._ends = batch.starts(), batch.ends()
            self._is_collecting = False
            return batch

    def settle(self, batch: Batch, publications: Sequence[Publication]) -> None:
        """Publish and mark in one transaction; see `EventStream`."""
        if self._is_settling:
            raise KafkaUnavailable("Kafka: what was collected before it is not settled")
        self._is_settling = True
        with kafka_errors():
            self._transactions.start()
            self._transactions.settle(publications, self._reading.ends(batch), self._reading.group)
        self._unsettled = {**self._unsettled, **batch.ends()}
        if self._unsettled == self._ends:
            self._unsettled = {}
        self._reading.settled(batch)
        self._is_settling = False

    def close(self) -> None:
        """Leave the group and undo what is open; see `EventStream`."""
        self._reading.close()
        self._transactions.close()
