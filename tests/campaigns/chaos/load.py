"""The load of a campaign, a program of its own: events at a steady rate, bursts when asked.

Some events are published again on their partition within two minutes; a few records
are nothing anybody can read. SIGUSR1 asks for a burst; SIGTERM for the end: what is still to be
published again goes out at once. It prints how many events it has sent, a line each half second.
"""

import argparse
import heapq
import json
import random
import signal
import time
from collections.abc import Iterator
from io import BytesIO
from typing import Any, NamedTuple

import fastavro
from confluent_kafka import Producer
from fastavro.schema import fingerprint, to_parsing_canonical_form

from schemas.published import text_of
from tests.campaigns import generated

NAMES = (generated.REJECTED, generated.UPDATED)
AGAIN_WITHIN = 120.0  # seconds
UNREADABLE = 0.002  # share of the records
STRANGERS = 0.5  # share of the events whose tenant nobody knows: most events give no mail
STEP = 0.01  # seconds


class Written(NamedTuple):
    """A record as it is written."""

    name: str  # of its schema
    partition: int
    key: bytes
    value: bytes | None


def written(seed: int, partitions: int) -> Iterator[Written]:
    """Yield records without end, reproducible by their seed.

    The last two digits of an event's id say where it lies: whoever sees a mail knows whose it is.
    """
    chance = random.Random(seed)
    encode = {name: _encoder(name) for name in NAMES}
    for event in generated.events(10**12, seed):
        name, partition = generated.topic_of(event), chance.randrange(partitions)
        place = NAMES.index(name) * 16 + partition
        event["event_id"] = f"{event['event_id'][:-2]}{place:02x}"
        if chance.random() < STRANGERS:
            event["tenant_id"] = "m-unknown"
        value: bytes | None = encode[name](event)
        if chance.random() < UNREADABLE:
            value = _spoilt(event, encode, chance)
        yield Written(name, partition, event["file_id"].encode(), value)


def place_of(event_id: str) -> tuple[str, int]:
    """Return the schema's name and the partition that an event's id tells."""
    place = int(event_id[-2:], 16)
    return NAMES[place // 16], place % 16


def _encoder(name: str) -> Any:
    schema = json.loads(text_of(name))
    number = fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO")
    prefix, parsed = b"\xc3\x01" + bytes.fromhex(number), fastavro.parse_schema(schema)

    def encode(event: dict[str, Any]) -> bytes:
        target = BytesIO()
        target.write(prefix)
        fastavro.schemaless_writer(target, parsed, event)
        return target.getvalue()

    return encode


def _spoilt(event: dict[str, Any], encode: Any, chance: random.Random) -> bytes | None:
    whole: bytes = encode[generated.topic_of(event)](event)
    nameless: bytes = encode[generated.topic_of(event)](event | {"event_id": "no uuid"})
    return chance.choice([None, b"junk", whole[:10], b"\xc3\x01" + bytes(8) + whole[10:], nameless])


class Load:
    """What is sent, to whom and how fast."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._producer = Producer(
            {
                "bootstrap.servers": options.bootstrap,
                "enable.idempotence": True,
                "message.timeout.ms": 0,  # never given up: the broker comes back
                "queue.buffering.max.messages": 1_000_000,
                "linger.ms": 2,
                "log_level": 0,
            }
        )
        self._records = written(options.seed, options.partitions)
        self._chance = random.Random(options.seed + 1)
        self._again: list[tuple[float, int, Written]] = []
        self._owed = 0.0  # events
        self._sent = 0
        self._stopped = False

    def run(self) -> None:
        """Send until told to stop."""
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "_stopped", True))
        signal.signal(signal.SIGUSR1, lambda *_: self._owe(self._options.burst))
        before = told = time.monotonic()
        while not self._stopped:
            now = time.monotonic()
            self._owe(min(now - before, 1.0) * self._options.rate)
            self._send_what_is_due(now)
            if now - told > 0.5:
                print(self._sent, flush=True)
                told = now
            before = now
            self._producer.poll(STEP)
        self._send_what_is_due(float("inf"))
        self._producer.flush()
        print(self._sent, flush=True)

    def _owe(self, events: float) -> None:
        self._owed += events

    def _send_what_is_due(self, now: float) -> None:
        while self._owed >= 1:
            self._owed -= 1
            self._sent += 1
            record = next(self._records)
            self._send(record)
            if self._chance.random() < self._options.again:
                due = now + self._chance.uniform(0, AGAIN_WITHIN)
                heapq.heappush(self._again, (due, self._sent, record))
        while self._again and self._again[0][0] <= now:
            self._send(heapq.heappop(self._again)[2])

    def _send(self, record: Written) -> None:
        topic = self._options.prefix + record.name
        while True:
            try:
                self._producer.produce(topic, record.value, record.key, partition=record.partition)
            except BufferError:
                self._producer.poll(0.1)
            else:
                return


def options() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--prefix", required=True, help="what stands before the topics' names")
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--rate", type=float, default=1000, help="events a second")
    parser.add_argument("--burst", type=int, default=1000, help="events that SIGUSR1 adds")
    parser.add_argument("--again", type=float, default=0.02, help="share published again")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    Load(options()).run()
