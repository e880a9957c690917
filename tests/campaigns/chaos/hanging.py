"""What a broker never ends, or has forgotten: its own fault, nobody else's.

All were seen, each once or twice in some hundred kills of Apache Kafka 4.4.0, one broker alone,
started again:

- The coordinator noted a transaction as committed (CompleteCommit) and had written the marker into
  none of the partitions. No reader of committed records comes past such a place, whatever a client
  does; an operator ends it with `kafka-transactions.sh`.
- The group's coordinator called offsets unstable for minutes, though no transaction was open, its
  own topic's last stable offset included.
- The group's coordinator answered with the offsets of minutes ago for good, though its own topic
  held all commits since, each with its marker (4.1.1 and 4.4.0: those of its first 16,384 records,
  the interval in which it drops snapshots while it loads, KAFKA-19716). Somebody's commit ends it.
  For some seconds after each start it does so anyway, as far as it has read its log.

A campaign on a broker that hangs can show nothing. What it forgets, workers must bear: they doubt
for 30 s and then commit by what they know themselves.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from confluent_kafka import KafkaException

from tests.real.kafka import Kafka

#: Seconds: a transaction's timeout (20), the coordinator's look for those that are over (10), and
#: a broker's way back.
LONGEST = 45.0
#: Seconds in which a broker that was started again answers truly: it has read its log, or workers
#: have doubted its answers for 30 s, found their places without it and committed anew.
HEALED_WITHIN, ASK_EVERY = 90.0, 0.5


class BrokerAtFault(Exception):
    """The broker has lost what it must not lose."""


def refuse_if_hanging(
    kafka: Kafka,
    group: str,
    inputs: Sequence[str],
    outputs: Sequence[str],
    wait: Callable[[float], None],
) -> None:
    """Raise `BrokerAtFault` where something stays open for longer than any transaction may."""
    before = _open(kafka, group, inputs, outputs)
    if not before:
        return
    wait(LONGEST)
    still = sorted(before & _open(kafka, group, inputs, outputs))
    if still:
        raise BrokerAtFault("the broker never ended: " + ", ".join(still))


Offsets = Mapping[tuple[str, int], int]  # by topic and partition


def refuse_if_forgotten(
    before: Offsets, after: Callable[[], Offsets], wait: Callable[[float], None]
) -> float:
    """Return for how many seconds an offset, answered as stable, was less than it was before.

    Raise `BrokerAtFault` where it stays less.
    """
    for times in range(round(HEALED_WITHIN / ASK_EVERY)):
        forgotten = _less(before, after())
        if not forgotten:
            return times * ASK_EVERY
        wait(ASK_EVERY)
    raise BrokerAtFault("the broker forgot what was committed: " + ", ".join(forgotten))


def _less(before: Offsets, after: Offsets) -> list[str]:
    return [
        f"{topic}/{partition} went from {offset} to {after[topic, partition]}"
        for (topic, partition), offset in sorted(before.items())
        if after.get((topic, partition), offset) < offset
    ]


def stable_offsets(kafka: Kafka, group: str, topics: Sequence[str]) -> Offsets:
    """Return a group's offsets that no transaction is changing; raise `KafkaException` if away."""
    return {
        (topic, partition): offset
        for topic in topics
        for partition, offset in kafka.stable(group, topic).items()
    }


def _open(kafka: Kafka, group: str, inputs: Sequence[str], outputs: Sequence[str]) -> set[str]:
    """Name what is open, and since which offset; nothing where nobody answers."""
    try:
        return {*_transactions(kafka, outputs), *_offsets(kafka, group, inputs)}
    except KafkaException:
        return set()


def _transactions(kafka: Kafka, topics: Sequence[str]) -> Iterator[str]:
    for topic in topics:
        stable = kafka.ends(topic, "read_committed")
        for partition, end in kafka.ends(topic).items():
            if stable[partition] < end:
                yield f"a transaction over {topic}/{partition} from {stable[partition]}"


def _offsets(kafka: Kafka, group: str, topics: Sequence[str]) -> Iterator[str]:
    for topic in topics:
        for partition, offset in kafka.unstable(group, topic).items():
            yield f"the committing of {topic}/{partition} after {offset}"
