"""What each error of Kafka does to the loop: by the table, then seen on a broker that fails."""

from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import count
from time import monotonic
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from consumer import kafka_clients
from consumer.kafka_clients import Brokers
from consumer.kafka_errors import TABLE, Step, consumer_meaning, kafka_errors, meaning, step_after
from consumer.kafka_settings import producer_properties
from consumer.kafka_transactions import FENCED_WITHIN, Fencings, Transactions
from schemas.errors import AccessDenied, InvalidSettings, KafkaLost, KafkaUnavailable, PushError
from schemas.records import Place, Publication
from tests.real.mock_cluster import (
    ADD_OFFSETS_TO_TXN,
    ADD_PARTITIONS_TO_TXN,
    END_TXN,
    HEARTBEAT,
    INIT_PRODUCER_ID,
    LIST_OFFSETS,
    PRODUCE,
    TXN_OFFSET_COMMIT,
    MockCluster,
)
from tests.real.waiting import wait_until

ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, STALE_MEMBER_EPOCH = 22, 25, 82, 113
NOT_ENOUGH_REPLICAS, NOT_ENOUGH_REPLICAS_AFTER_APPEND, STORAGE_ERROR = 19, 20, 56
COORDINATOR_LOADING, NOT_COORDINATOR, CONCURRENT_TRANSACTIONS = 14, 16, 51
TOPIC_DENIED, GROUP_DENIED, ID_DENIED, UNKNOWN_TOPIC = 29, 30, 53, 3
OUT_OF_ORDER, INVALID_TXN_STATE, INVALID_TIMEOUT, PRODUCER_FENCED = 45, 48, 50, 90
INVALID_EPOCH = 47


# --- the table ------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [code for code, step in TABLE.items() if step is Step.STOP])
def test_what_stops_us_stops_us_whatever_else_is_said_of_it(code: int) -> None:
    for error in (KafkaError(code), KafkaError(code, txn_requires_abort=True)):
        assert step_after(error) is Step.STOP
        assert not isinstance(meaning(error), KafkaUnavailable)


@pytest.mark.parametrize("code", [code for code, step in TABLE.items() if step is not Step.STOP])
def test_everything_else_is_waited_for_in_the_end(code: int) -> None:
    assert step_after(KafkaError(code)) is TABLE[code]
    assert isinstance(meaning(KafkaError(code)), KafkaUnavailable)


@pytest.mark.parametrize(
    ("error", "step"),
    [
        pytest.param(KafkaError(KafkaError._TIMED_OUT, fatal=True), Step.REBUILD, id="fatal"),
        pytest.param(
            KafkaError(KafkaError._TIMED_OUT, txn_requires_abort=True), Step.ABORT, id="abortable"
        ),
        pytest.param(
            KafkaError(KafkaError.INVALID_TXN_STATE, retriable=True), Step.WAIT, id="retriable"
        ),
        pytest.param(KafkaError(KafkaError.UNKNOWN), Step.REBUILD, id="nothing is known of it"),
    ],
)
def test_what_the_client_says_counts_before_what_an_error_is_called(
    error: KafkaError, step: Step
) -> None:
    assert step_after(error) is step


def test_a_fatal_error_of_the_consumer_ends_the_process() -> None:
    assert isinstance(consumer_meaning(KafkaError(KafkaError._FATAL, fatal=True)), KafkaLost)


def test_the_consumer_goes_on_by_itself_after_most_errors() -> None:
    assert consumer_meaning(KafkaError(KafkaError._TRANSPORT)) is None


def test_a_full_queue_is_waited_for() -> None:
    with pytest.raises(KafkaUnavailable), kafka_errors():
        raise BufferError


# --- each error, injected -------------------------------------------------------------------------


@dataclass
class Settling:
    """Transactions on the mock broker, and how many producers they took."""

    cluster: MockCluster
    identity: str = "id"
    wrap: Callable[[Producer], Any] = lambda producer: producer
    producers: int = 0
    consumer: Consumer = field(init=False)
    transactions: Transactions = field(init=False)
    offsets: Iterator[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.consumer = Consumer(
            {"bootstrap.servers": self.cluster.bootstrap, "group.id": "group", "log_level": 0}
        )
        self.transactions = Transactions(self._producer, self.identity, lambda: None)

    def _producer(self) -> Any:
        self.producers += 1
        properties = producer_properties(self.cluster.bootstrap, self.identity, {"log_level": "0"})
        return self.wrap(Producer(properties))

    def settle(self) -> None:
        with kafka_errors():
            self.transactions.start()
        self.settle_without_a_start()

    def settle_without_a_start(self) -> None:
        with kafka_errors():
            self.transactions.settle(
                [Publication(topic="out", key=None, value=b"value")],
                {Place("in", 0): next(self.offsets)},
                self.consumer.consumer_group_metadata,
            )


@pytest.fixture(scope="module")
def cluster() -> Iterator[MockCluster]:
    mock = MockCluster({"in": 1, "out": 1})
    yield mock
    mock.end()


@pytest.fixture
def settling(cluster: MockCluster) -> Iterator[Settling]:
    settling = Settling(cluster)
    settling.settle()
    yield settling
    settling.consumer.close()


def injected(cluster: MockCluster, settling: Settling, api: int, *codes: int) -> PushError | None:
    """Let requests fail and return what settling makes of it."""
    cluster.answer(api, *codes)
    try:
        settling.settle()
    except PushError as error:
        return error
    return None


@pytest.mark.parametrize(
    ("api", "codes"),
    [
        pytest.param(END_TXN, [CONCURRENT_TRANSACTIONS] * 2, id="commit: markers are written"),
        pytest.param(END_TXN, [NOT_COORDINATOR], id="commit: the coordinator has moved"),
        pytest.param(END_TXN, [COORDINATOR_LOADING] * 2, id="commit: the coordinator loads"),
        pytest.param(ADD_OFFSETS_TO_TXN, [CONCURRENT_TRANSACTIONS], id="offsets: markers"),
        pytest.param(PRODUCE, [NOT_ENOUGH_REPLICAS] * 3, id="too few replicas"),
        pytest.param(PRODUCE, [NOT_ENOUGH_REPLICAS_AFTER_APPEND] * 2, id="too few, after append"),
        pytest.param(PRODUCE, [STORAGE_ERROR] * 3, id="the broker's disk is full"),
        pytest.param(TXN_OFFSET_COMMIT, [COORDINATOR_LOADING], id="group coordinator loads"),
        pytest.param(ADD_PARTITIONS_TO_TXN, [UNKNOWN_TOPIC], id="partitions: not known yet"),
    ],
)
def test_wait_the_client_tries_again_and_the_batch_is_settled(
    cluster: MockCluster, settling: Settling, api: int, codes: list[int]
) -> None:
    assert injected(cluster, settling, api, *codes) is None
    assert settling.producers == 1


@pytest.mark.parametrize(
    ("api", "code"),
    [
        pytest.param(TXN_OFFSET_COMMIT, ILLEGAL_GENERATION, id="the group moved on"),
        pytest.param(TXN_OFFSET_COMMIT, UNKNOWN_MEMBER_ID, id="no member any more"),
        pytest.param(TXN_OFFSET_COMMIT, FENCED_INSTANCE_ID, id="another instance"),
        pytest.param(TXN_OFFSET_COMMIT, STALE_MEMBER_EPOCH, id="an older epoch"),
    ],
)
def test_abort_and_retry_the_batch_comes_again_with_the_same_producer(
    cluster: MockCluster, settling: Settling, api: int, code: int
) -> None:
    refused = injected(cluster, settling, api, code)
    settling.settle()

    assert isinstance(refused, KafkaUnavailable)
    assert (settling.producers, settling.transactions.in_doubt) == (1, False)


@pytest.mark.parametrize(
    ("api", "code"),
    [
        pytest.param(END_TXN, PRODUCER_FENCED, id="commit: a newer instance"),
        pytest.param(END_TXN, INVALID_EPOCH, id="commit: an old epoch"),
        pytest.param(END_TXN, INVALID_TXN_STATE, id="commit: no such transaction"),
    ],
)
def test_rebuild_a_new_producer_settles_what_came_of_a_commit_in_doubt(
    cluster: MockCluster, settling: Settling, api: int, code: int
) -> None:
    refused = injected(cluster, settling, api, code)
    doubt = settling.transactions.in_doubt
    settling.settle()

    assert isinstance(refused, KafkaUnavailable)
    assert (settling.producers, doubt) == (2, True)


@pytest.mark.parametrize(
    ("api", "code"),
    [
        pytest.param(ADD_PARTITIONS_TO_TXN, PRODUCER_FENCED, id="partitions: fenced"),
        pytest.param(PRODUCE, OUT_OF_ORDER, id="produce: out of order"),
    ],
)
def test_rebuild_a_new_producer_settles_what_comes_again(
    cluster: MockCluster, settling: Settling, api: int, code: int
) -> None:
    """The client hears of it beside our calls, before the commit or in it: doubt is not told."""
    refused = injected(cluster, settling, api, code)
    settling.settle()

    assert isinstance(refused, KafkaUnavailable)
    assert settling.producers == 2


@pytest.mark.parametrize(
    ("api", "code", "error"),
    [
        pytest.param(ADD_PARTITIONS_TO_TXN, TOPIC_DENIED, AccessDenied, id="no right to write"),
        pytest.param(TXN_OFFSET_COMMIT, GROUP_DENIED, AccessDenied, id="no right to the group"),
        pytest.param(END_TXN, ID_DENIED, AccessDenied, id="no right to the id"),
    ],
)
def test_stop_the_process_ends(
    cluster: MockCluster, settling: Settling, api: int, code: int, error: type[PushError]
) -> None:
    assert isinstance(injected(cluster, settling, api, code), error)


@pytest.mark.parametrize(
    ("code", "error", "words"),
    [
        pytest.param(ID_DENIED, AccessDenied, "TRANSACTIONAL_ID", id="no right to the id"),
        pytest.param(
            INVALID_TIMEOUT,
            InvalidSettings,
            "PUSH_KAFKA_TRANSACTION_TIMEOUT_MS",
            id="longer than the broker allows",
        ),
    ],
)
def test_stop_at_the_start_too(
    cluster: MockCluster, code: int, error: type[PushError], words: str
) -> None:
    cluster.answer(INIT_PRODUCER_ID, code)

    with pytest.raises(error, match=words), kafka_errors():
        Settling(cluster).transactions.start()


# --- one transaction after another ----------------------------------------------------------------


class Hesitant:
    """A producer whose first commit is not through at once."""

    def __init__(self, producer: Producer) -> None:
        self._producer, self._commits = producer, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._producer, name)

    def commit_transaction(self, timeout: float) -> None:
        self._commits += 1
        if self._commits == 1:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, retriable=True))
        self._producer.commit_transaction(timeout)


def test_a_producer_is_replaced_once_all_it_began_is_committed(
    cluster: MockCluster,
) -> None:
    # A commit that took more than one call may still be answered when the next is under way.
    hesitant = Settling(cluster, identity="hesitant", wrap=Hesitant)

    hesitant.settle()
    hesitant.settle()

    assert hesitant.producers == 2
    hesitant.consumer.close()


def test_nothing_is_settled_behind_a_transaction_that_nobody_knows_the_end_of(
    cluster: MockCluster, settling: Settling
) -> None:
    # Failed when settling alone made a new producer.
    injected(cluster, settling, END_TXN, INVALID_TXN_STATE)

    with pytest.raises(KafkaUnavailable, match="not ready"):
        settling.settle_without_a_start()

    assert settling.producers == 1


# --- two processes with one id --------------------------------------------------------------------


def test_fencing_back_ends_at_the_third_time_in_five_minutes() -> None:
    fencings, fenced = Fencings("id-7"), KafkaError(KafkaError._FENCED)
    fencings.note(fenced, 0.0)
    fencings.note(KafkaError(KafkaError._TIMED_OUT), 1.0)
    fencings.note(fenced, 100.0)

    with pytest.raises(InvalidSettings, match="another process uses transactional id id-7"):
        fencings.note(fenced, 299.0)


def test_being_fenced_now_and_then_is_a_restart() -> None:
    fencings, fenced = Fencings("id-7"), KafkaError(KafkaError._FENCED)

    for at in range(10):
        fencings.note(fenced, at * FENCED_WITHIN)


def test_a_client_error_carries_its_own_error() -> None:
    with pytest.raises(AccessDenied) as caught, kafka_errors():
        raise KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))

    assert isinstance(caught.value.__cause__, KafkaException)


def test_a_consumer_that_its_group_is_done_with_ends_the_process(cluster: MockCluster) -> None:
    # Failed when an error was asked whether it is fatal: of one that poll hands out it says no. The
    # worker then polled for ever, was given nothing, and kept its partitions from all others.
    properties = {"group.instance.id": "one", "heartbeat.interval.ms": "100", "log_level": "0"}
    stream = kafka_clients.stream(
        Brokers(cluster.bootstrap, properties),
        group_id="fenced",
        transactional_id="fenced",
        topics=["in"],
        most=1,
    )
    cluster.answer(HEARTBEAT, FENCED_INSTANCE_ID)

    def collect() -> None:
        with suppress(KafkaUnavailable):
            stream.collect()

    with closing(stream), pytest.raises(KafkaLost, match="_FATAL"):
        wait_until(collect, "the process ends")


def test_a_partition_is_read_from_its_place_however_late_the_broker_says_where_it_begins(
    cluster: MockCluster, caplog: pytest.LogCaptureFixture
) -> None:
    # Failed when a partition was assigned at its beginning, which the client has to ask for: an
    # answer that came after the seek overruled it, and the client went back.
    group = {"bootstrap.servers": cluster.bootstrap, "group.id": "late", "log_level": 0}
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "log_level": 0})
    for number in range(20):
        producer.produce("in", b"%d" % number, partition=0)
    producer.flush(10)
    with closing(Consumer(group)) as before:
        before.commit(offsets=[TopicPartition("in", 0, 10)], asynchronous=False)
    stream = kafka_clients.stream(
        Brokers(cluster.bootstrap, {"log_level": "0"}),
        group_id="late",
        transactional_id="late",
        topics=["in"],
        most=100,
    )
    cluster.answer_late(LIST_OFFSETS, 700)
    read: list[int] = []

    def collect() -> bool:
        batch = stream.collect()
        if batch.records:
            stream.settle(batch, [])
        read.extend(record.offset for record in batch.records)
        return len(read) >= 10

    with closing(stream):
        wait_until(collect, "all is read")
        until = monotonic() + 1.5
        while monotonic() < until:
            collect()

    assert read == list(range(10, 20))
    assert "client_went_back" not in caplog.text
