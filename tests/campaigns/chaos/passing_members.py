"""Members that join the workers' group for a while, take partitions, settle nothing, and leave.

A process of their own: librdkafka was seen to crash while such a member closes in the middle of a
rebalance (2.16.0: `rd_kafka_cgrp_op` without a group), and a campaign must outlive that.
"""

import json
import sys
import threading
import time
from contextlib import suppress
from typing import Any

from confluent_kafka import Consumer, KafkaException


def pass_through(member: dict[str, Any], topics: list[str], stay: float) -> None:
    """Be a member for so many seconds."""
    with suppress(KafkaException, RuntimeError):
        consumer = Consumer(member)
        consumer.subscribe(topics)
        end = time.monotonic() + stay
        while time.monotonic() < end:
            consumer.poll(0.1)
        consumer.close()


def main() -> None:
    """Let as many members pass through at once as the first argument has stays."""
    told = json.loads(sys.argv[1])
    for stay in told["stays"]:
        arguments = (told["member"], told["topics"], stay)
        threading.Thread(target=pass_through, args=arguments).start()


if __name__ == "__main__":
    main()
