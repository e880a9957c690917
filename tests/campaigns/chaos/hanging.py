"""Transactions that a broker never ends, long after they timed out: its own fault, nobody else's.

Seen once in some hundred kills of Apache Kafka 4.4.0, one broker alone: started again, its
coordinator noted a transaction as committed (CompleteCommit) and had written the marker into none
of the partitions. No reader of committed records comes past such a place, whatever a client does;
an operator ends it with `kafka-transactions.sh`, and a campaign on that broker can show nothing.
"""

from collections.abc import Callable, Sequence

from confluent_kafka import KafkaException

from tests.real.kafka import Kafka

#: Seconds: a transaction's timeout (20), the coordinator's look for those that are over (10), and
#: a broker's way back.
LONGEST = 45.0

Place = tuple[str, int]  # topic and partition


class BrokerAtFault(Exception):
    """The broker has lost what it must not lose."""


def refuse_if_hanging(kafka: Kafka, topics: Sequence[str], wait: Callable[[float], None]) -> None:
    """Raise `BrokerAtFault` where a first open transaction stays for longer than any may."""
    before = _open(kafka, topics)
    if not before:
        return
    wait(LONGEST)
    still = sorted(before.items() & _open(kafka, topics).items())
    if still:
        names = ", ".join(f"{topic}/{partition} from {at}" for (topic, partition), at in still)
        raise BrokerAtFault(f"transactions that the broker never ended: {names}")


def _open(kafka: Kafka, topics: Sequence[str]) -> dict[Place, int]:
    """Return where each partition's first open transaction begins; none where nobody answers."""
    try:
        stable = {topic: kafka.ends(topic, "read_committed") for topic in topics}
        return {
            (topic, partition): stable[topic][partition]
            for topic in topics
            for partition, end in kafka.ends(topic).items()
            if stable[topic][partition] < end
        }
    except KafkaException:
        return {}
