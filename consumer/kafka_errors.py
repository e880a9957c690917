"""What a Kafka error means for the loop, by table. The door's one translation.

    WAIT     the client or the broker is not ready: the same call again, until its deadline
    ABORT    the transaction is undone and the batch comes again
    REBUILD  this producer can do no more: a new one decides what became of the transaction
    STOP     no retry helps: the process ends and a human looks

What the client says of an error counts before what it is called: an error that it calls fatal for
the producer is one. Waiting past a deadline is not knowing, so it ends as REBUILD does.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum

from confluent_kafka import KafkaError, KafkaException

from schemas.errors import AccessDenied, InvalidSettings, KafkaLost, KafkaUnavailable, PushError


class Step(Enum):
    """What to do about an error of a transaction."""

    WAIT = "wait"
    ABORT = "abort and retry"
    REBUILD = "rebuild"
    STOP = "stop"


def _named(step: Step, codes: Iterable[int]) -> Mapping[int, Step]:
    return dict.fromkeys(codes, step)


TABLE: Mapping[int, Step] = {
    **_named(
        Step.WAIT,
        (
            KafkaError._TIMED_OUT,
            KafkaError._TRANSPORT,
            KafkaError._ALL_BROKERS_DOWN,
            KafkaError._WAIT_COORD,
            KafkaError._RETRY,
            KafkaError.COORDINATOR_NOT_AVAILABLE,
            KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
            KafkaError.NOT_COORDINATOR,
            KafkaError.CONCURRENT_TRANSACTIONS,
            KafkaError.NOT_ENOUGH_REPLICAS,  # too few brokers: never a dead letter
            KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
            KafkaError.KAFKA_STORAGE_ERROR,  # a disk that is full or broken: the same
            KafkaError.NOT_LEADER_FOR_PARTITION,
            KafkaError.LEADER_NOT_AVAILABLE,
            KafkaError.REQUEST_TIMED_OUT,
            KafkaError.UNSTABLE_OFFSET_COMMIT,
        ),
    ),
    **_named(
        Step.ABORT,
        (
            KafkaError.ILLEGAL_GENERATION,  # the group moved on: normal in rebalances
            KafkaError.UNKNOWN_MEMBER_ID,
            KafkaError.REBALANCE_IN_PROGRESS,
            KafkaError.FENCED_INSTANCE_ID,
            KafkaError.FENCED_MEMBER_EPOCH,
            KafkaError.STALE_MEMBER_EPOCH,
            KafkaError.UNKNOWN_TOPIC_OR_PART,  # deleted under our hands
            KafkaError.MSG_SIZE_TOO_LARGE,
            KafkaError.RECORD_LIST_TOO_LARGE,
            KafkaError._MSG_TIMED_OUT,
        ),
    ),
    **_named(
        Step.REBUILD,
        (
            KafkaError._FENCED,
            KafkaError.PRODUCER_FENCED,
            KafkaError.INVALID_PRODUCER_EPOCH,
            KafkaError.INVALID_PRODUCER_ID_MAPPING,
            KafkaError.INVALID_TXN_STATE,
            KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER,
            KafkaError.UNKNOWN_PRODUCER_ID,
            KafkaError._UNKNOWN_PARTITION,  # added a moment ago: a new client will see it
            KafkaError._UNKNOWN_TOPIC,
            KafkaError._STATE,
            KafkaError._FATAL,
        ),
    ),
    **_named(
        Step.STOP,
        (
            KafkaError.TOPIC_AUTHORIZATION_FAILED,
            KafkaError.GROUP_AUTHORIZATION_FAILED,
            KafkaError.CLUSTER_AUTHORIZATION_FAILED,
            KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
            KafkaError.SASL_AUTHENTICATION_FAILED,
            KafkaError._AUTHENTICATION,
            KafkaError.INVALID_TRANSACTION_TIMEOUT,
            KafkaError.UNSUPPORTED_VERSION,
            KafkaError._UNSUPPORTED_FEATURE,
        ),
    ),
}

#: Refused for its size: waiting would not help, saying less does.
TOO_LARGE = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE})
FENCED = frozenset({KafkaError._FENCED, KafkaError.PRODUCER_FENCED})
#: Said of a partition whose place is none, since no broker may choose another one.
PLACE_LOST = frozenset({KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE})


def step_after(error: KafkaError) -> Step:
    """Return what to do about an error of the producer; one that nobody knows is fatal to it."""
    listed = TABLE.get(error.code())
    if listed is Step.STOP:
        return Step.STOP
    if error.fatal():
        return Step.REBUILD
    if error.txn_requires_abort():
        return Step.ABORT
    if error.retriable():
        return Step.WAIT
    return listed or Step.REBUILD


def meaning(error: KafkaError) -> PushError:
    """Return our error for a producer's or an admin client's: it stops us, or it is waited for."""
    if TABLE.get(error.code()) is not Step.STOP:
        return KafkaUnavailable(f"Kafka: {error.name()}")
    if error.code() == KafkaError.INVALID_TRANSACTION_TIMEOUT:
        fault = "longer than the broker's transaction.max.timeout.ms"
        return InvalidSettings([f"PUSH_KAFKA_TRANSACTION_TIMEOUT_MS: {fault}"])
    if error.code() in (KafkaError.UNSUPPORTED_VERSION, KafkaError._UNSUPPORTED_FEATURE):
        return KafkaLost(f"Kafka: {error.name()}: the brokers are too old (2.5 or newer)")
    return AccessDenied(f"Kafka: {error.name()}")


def consumer_meaning(error: KafkaError) -> PushError | None:
    """Return our error for one that the consumer reports, or None where there is nothing to do."""
    # An error that poll hands out does not know that it is fatal; it is called so.
    if error.fatal() or error.code() == KafkaError._FATAL:
        return KafkaLost(f"Kafka consumer: {error.name()}")
    if TABLE.get(error.code()) is Step.STOP:
        return meaning(error)
    return None  # the client goes on by itself; the caller logs it


@contextmanager
def kafka_errors() -> Iterator[None]:
    """Let no error of the client past the door."""
    try:
        yield
    except KafkaException as error:
        raise meaning(error.args[0]) from error
    except BufferError as error:
        raise KafkaUnavailable("Kafka: the producer's queue is full") from error
