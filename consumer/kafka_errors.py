"""What a Kafka error means for the loop, by table: wait, or stop. The door's one translation.

Almost everything waits: the batch stays unsettled and the broker is asked again what is true.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import KafkaError, KafkaException

from schemas.errors import AccessDenied, KafkaLost, KafkaUnavailable, PushError

#: Refused by the broker for our rights or name: a human must look.
_DENIED = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError._AUTHENTICATION,
    }
)

#: Refused for its size: waiting would not help, saying less does.
TOO_LARGE = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE})


def meaning(error: KafkaError) -> PushError:
    """Return our error for a producer's or an admin client's."""
    if error.code() in _DENIED:
        return AccessDenied(f"Kafka: {error.name()}")
    return KafkaUnavailable(f"Kafka: {error.name()}")


def consumer_meaning(error: KafkaError) -> PushError | None:
    """Return our error for one that the consumer reports, or None where there is nothing to do."""
    if error.fatal():
        return KafkaLost(f"Kafka consumer: {error.name()}")
    if error.code() in _DENIED:
        return AccessDenied(f"Kafka: {error.name()}")
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
