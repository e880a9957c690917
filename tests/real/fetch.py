"""`python -m tests.real.fetch`: get ahead of the tests what they will want from Maven."""

from collections.abc import Callable
from pathlib import Path

from tests.real import found, kafka, registry
from tests.real.found import LeftOut


def fetch(what: str, get: Callable[[], Path]) -> None:
    """Resolve the jars of a part, or say in capitals why its tests will be left out."""
    try:
        print(f"{what}: {get().relative_to(found.CHECKOUT)}", flush=True)
    except LeftOut as reason:
        print(f"WILL BE LEFT OUT: {what.upper()}: {reason}", flush=True)


if __name__ == "__main__" and found.docker_engine() is None:
    fetch("Apache Kafka", kafka.jars)
    fetch("Apache Kafka's tools", kafka.tools)
    fetch("Schema Registry", registry.program)
