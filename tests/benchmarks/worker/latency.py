"""Latency: events at a steady rate, and how long after each its mail can be read."""

import threading
import time
import uuid
from collections.abc import Mapping

from confluent_kafka import OFFSET_END, Consumer, Producer, TopicPartition

from tests.benchmarks.worker.material import events, place_of
from tests.benchmarks.worker.runs import Bench, Made
from tests.real.processes import Process

RATE = 1000  # events a second
WARM_UP = 3.0  # seconds that do not count


def latencies(bench: Bench, made: Made, settings: Mapping[str, str], seconds: float) -> list[float]:
    """Return the milliseconds from producing an event to reading its mail, of all that gave one."""
    process = made(settings, bench.house.folder / settings["PUSH_GROUP_ID"])
    process.start()
    meter = Meter(
        bench,
        settings["PUSH_TOPIC_PAYMENT_STATUS_UPDATED"],
        settings["PUSH_TOPIC_OUTGOING_MAIL"],
    )
    try:
        meter.wait_until_work_is_done(process)
        return meter.measure(seconds)
    finally:
        process.end()
        meter.close()


class Meter:
    """Writes events at a rate and watches the output for what they give, by their keys."""

    def __init__(self, bench: Bench, topic: str, output: str) -> None:
        bootstrap = bench.house.kafka.bootstrap
        self._topic, self._partitions = topic, bench.partitions
        self._producer = Producer(
            {"bootstrap.servers": bootstrap, "linger.ms": 0, "acks": "all", "log_level": 0}
        )
        self._reader = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": f"meter-{uuid.uuid4().hex}",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "log_level": 0,
            }
        )
        partitions = self._reader.list_topics(output, timeout=10).topics[output].partitions
        self._reader.assign([TopicPartition(output, place, OFFSET_END) for place in partitions])
        self._sent: dict[bytes, float] = {}
        self._events = events(seed=int.from_bytes(uuid.uuid4().bytes[:2], "big"))
        self._at = 0

    def wait_until_work_is_done(self, process: Process) -> None:
        """Send single events until one comes back: the process has joined its group."""
        end = time.monotonic() + 60
        while time.monotonic() < end and process.is_running:
            for _ in range(20):
                self._send()
            if self._reader.poll(0.5) is not None:
                return
        raise TimeoutError(f"no mail comes: {process.tail()}")

    def measure(self, seconds: float) -> list[float]:
        """Return the latencies in milliseconds, the warm-up's left out."""
        stop = threading.Event()
        sending = threading.Thread(target=self._send_steadily, args=(stop,))
        took: list[float] = []
        sending.start()
        began = time.monotonic()
        while (now := time.monotonic()) < began + WARM_UP + seconds:
            for message in self._reader.consume(1, 0.05):
                now = time.monotonic()
                sent = self._sent.pop(message.key() or b"", None)
                if sent is not None and sent > began + WARM_UP:
                    took.append((now - sent) * 1000)
        stop.set()
        sending.join()
        return took

    def _send_steadily(self, stop: threading.Event) -> None:
        began, sent = time.monotonic(), 0
        while not stop.is_set():
            while sent < (time.monotonic() - began) * RATE:
                self._send()
                sent += 1
            self._producer.poll(0)
            time.sleep(0.0005)

    def _send(self) -> None:
        record = next(self._events)
        self._at += 1
        self._sent[record.key] = time.monotonic()
        self._producer.produce(
            self._topic, record.value, record.key, partition=place_of(self._at, self._partitions)
        )
        self._producer.poll(0)

    def close(self) -> None:
        """Leave."""
        self._producer.flush(10)
        self._reader.close()
