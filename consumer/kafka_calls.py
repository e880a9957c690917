"""Calls to a coordinator that are made again until they are through (kafka.md, section 3)."""

from collections.abc import Callable
from time import monotonic

from confluent_kafka import KafkaException

from consumer.kafka_errors import Step, step_after

CALL = 5.0  #: seconds one call to the coordinator may take before it is made again


def finished(call: Callable[[float], object], deadline: float) -> bool:
    """Make the call until it is through; return True if it took more than one.

    `deadline` is in seconds. Raise the last `KafkaException` behind it, and at once any that no
    repetition can mend.
    """
    end, again = monotonic() + deadline, False
    while True:
        try:
            call(max(0.5, min(CALL, end - monotonic())))
            return again
        except KafkaException as error:
            if step_after(error.args[0]) is not Step.WAIT or monotonic() > end:
                raise
            again = True
