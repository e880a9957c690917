"""What remembering half a million ids costs: bytes an id, and seconds to take partitions over.

`make bench-repeats`: a real broker holds IDS settled ids over twelve partitions, written in
transactions of AT_ONCE, 250 as a worker at 5 % does; then all twelve are taken over at once, as
after the death of the only other worker, three times. Memory is what Python allocated for the copy.

`IDS` is how many ids, `AT_ONCE` how many a transaction; the bars are those of 500,000.
"""

import argparse
import sys
import tracemalloc
from collections.abc import Iterator
from time import monotonic, perf_counter, process_time
from uuid import UUID

from confluent_kafka import Producer

from consumer.compact_ids import CompactIds
from consumer.kafka_clients import Brokers
from consumer.kafka_questions import KafkaQuestions
from consumer.restoring import Restoring, Start
from schemas.errors import KafkaUnavailable
from schemas.records import Place
from schemas.repeats import key_of, value_of
from tests.benchmarks.figures import Figure, at_most, machine, report, spread, told
from tests.real.kafka import Kafka, start_kafka
from tests.real.waiting import wait_until

PARTITIONS, TIMES = 12, 3
TOPIC = "payment-status-updated"
BYTES, SECONDS = 64.0, 5.0  # the bars


def entries(count: int) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield (partition, key, value) of ids as spread out as random ones."""
    for number in range(count):
        event_id = str(UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128))
        key = key_of(TOPIC, f"m-{number % 5_000}", event_id)
        yield number % PARTITIONS, key, value_of(number, 1_700_000_000_000 + number)


def memory(count: int) -> float:
    """Return the bytes that an id takes in the worker's copy."""
    tracemalloc.start()
    copies = [CompactIds() for _ in range(PARTITIONS)]
    for partition, key, value in entries(count):
        copies[partition].add(key, int.from_bytes(value[1:9], "big"), 1)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(map(len, copies)) == count
    return held / count


def fill(kafka: Kafka, repeats: str, count: int, at_once: int) -> None:
    """Write the ids as workers do."""
    producer = Producer(
        {
            "bootstrap.servers": kafka.bootstrap,
            "transactional.id": repeats,
            "retry.backoff.ms": 1,
            "queue.buffering.max.messages": 200_000,
        }
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    for written, (partition, key, value) in enumerate(entries(count), 1):
        producer.produce(repeats, value, key, partition)
        if written % at_once == 0:
            producer.commit_transaction(30)
            producer.begin_transaction()
    producer.commit_transaction(30)


def restored(kafka: Kafka, topic: str, repeats: str, count: int) -> tuple[float, float]:
    """Take all partitions over once; return seconds of the clock and of the processor."""
    questions = KafkaQuestions(
        lambda: Brokers(kafka.bootstrap, {}).reader(kafka.fresh_name("group")),
        Brokers(kafka.bootstrap, {}).admin,
        repeats=repeats,
    )
    restoring = Restoring(questions, limit=count, start=Start("earliest"), remembers=True)
    places = [Place(topic, number) for number in range(PARTITIONS)]
    wait_until(lambda: _answers(questions, places), "the group's coordinator")
    began, spent = perf_counter(), process_time()
    found = dict(restoring.take_over(places))
    took = perf_counter() - began, process_time() - spent
    questions.close()
    assert sum(len(each.ids) for each in found.values()) == count, "not all came back"
    return took


def _answers(questions: KafkaQuestions, places: list[Place]) -> bool:
    """Say whether the brokers are ready for a group that nobody has asked for before."""
    try:
        questions.committed(places)
    except KafkaUnavailable:
        return False
    return True


def main(arguments: list[str]) -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ids", type=int, default=500_000)
    parser.add_argument("--at_once", type=int, default=250)
    asked = parser.parse_args(arguments)
    count = asked.ids
    print(f"{machine()}; {count} ids over {PARTITIONS} partitions", flush=True)
    figures: list[Figure] = [at_most("repeats_bytes_an_id", memory(count), BYTES)]
    kafka = start_kafka()
    try:
        repeats = kafka.fresh_name("repeats")
        kafka.create_topics({TOPIC: PARTITIONS, repeats: PARTITIONS})
        began = monotonic()
        fill(kafka, repeats, count, asked.at_once)
        print(f"written in {monotonic() - began:.0f} s", flush=True)
        times = [restored(kafka, TOPIC, repeats, count) for _ in range(TIMES)]
    finally:
        kafka.end()
    print(f"restored in {spread([clock for clock, _ in times])} s", flush=True)
    figures.append(at_most("repeats_restored_s", sorted(times)[TIMES // 2][0], SECONDS))
    figures.append(told("repeats_restored_processor_s", sorted(times)[TIMES // 2][1]))
    return report(figures)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
