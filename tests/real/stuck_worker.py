"""A process whose work is stuck inside the Kafka client: `send_offsets_to_transaction` ignores its
timeout (kafka.md, section 6). Run as a program by the tests of stopping and of the watchdog.
"""

import logging
import sys
import threading
from functools import partial

from confluent_kafka import Consumer, Producer

from consumer.kafka_settings import producer_properties
from consumer.kafka_transactions import Transactions
from consumer.process import Watchdog, run_until_stopped
from schemas.records import Place, Publication
from tests.real.mock_cluster import TXN_OFFSET_COMMIT, MockCluster

COORDINATOR_LOADING = 14


def get_stuck(beat: Watchdog, _: threading.Event) -> None:
    """Begin a transaction whose offsets the coordinator never takes."""
    cluster = MockCluster({"in": 1, "out": 1})
    quiet = {"log_level": "0"}
    consumer = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": "g", "log_level": 0})
    properties = producer_properties(cluster.bootstrap, "id", quiet)
    transactions = Transactions(partial(Producer, properties), "id", beat.tick)
    transactions.start()
    cluster.answer(TXN_OFFSET_COMMIT, *[COORDINATOR_LOADING] * 10_000)
    print("stuck", flush=True)
    publication = Publication(topic="out", key=None, value=b"value")
    transactions.settle([publication], {Place("in", 0): 1}, consumer.consumer_group_metadata)


if __name__ == "__main__":
    logging.basicConfig(stream=sys.stdout, format="%(message)s %(why)s")
    watchdog = Watchdog(float(sys.argv[1]))
    run_until_stopped(partial(get_stuck, watchdog), watchdog)
