"""The fixtures that hand tests the real parts, each started when the first test asks for it.

Parts live as long as the session and are ended with it, also when it is interrupted. A test that a
fixture hands a real part bears the part's marker, and the other way round.
"""

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

import pytest
from hypothesis import settings

from tests.real import found, left_out
from tests.real import smtp_sink as sink
from tests.real.found import LeftOut
from tests.real.kafka import Kafka, start_kafka
from tests.real.parts import Part
from tests.real.postfix import Postfix, start_postfix
from tests.real.postgresql import PostgreSQL, start_postgresql
from tests.real.prometheus import find_prometheus
from tests.real.push_services import PushServices, spawned
from tests.real.registry import Registry, start_registry

PARTS = ("kafka", "registry", "postgresql", "prometheus", "chromium", "spamassassin", "postfix")
WAITING = ("tests/stories/test_demo.py", "tests/campaigns/test_waiting.py")
P = TypeVar("P", bound=Part)
Started = list[Part]


class Spawn(Protocol):
    """Starts a command of `push-services` as a real process."""

    def __call__(self, *arguments: str, settings: Mapping[str, str]) -> PushServices:
        """Start it with these settings and no others, in a folder of its own."""


def pytest_configure(config: pytest.Config) -> None:
    """Say in the end what was left out, and end the parts when told to stop, as Ctrl-C does."""
    # How long one example takes says something about the machine's load, not about a property.
    settings.register_profile("house", deadline=None)
    settings.register_profile("quick", deadline=None, max_examples=20)
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "house"))
    config.pluginmanager.register(left_out)
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with the parts that its fixtures ask for: `make quick` goes without them.

    What mostly waits comes first: begun last, it would be all that still runs.
    """
    items.sort(key=lambda item: not item.nodeid.startswith(WAITING))
    for item in items:
        for part in PARTS:
            if part in getattr(item, "fixturenames", ()):
                item.add_marker(part)


@pytest.fixture(autouse=True)
def _real_parts(request: pytest.FixtureRequest, _started: Started) -> Iterator[None]:
    """Have what the markers name, or skip; afterwards bring back what the test broke."""
    for part in PARTS:
        if request.node.get_closest_marker(part):
            request.getfixturevalue(part)
    yield
    for running in _started:
        running.heal()


@pytest.fixture(scope="session")
def _started() -> Started:
    """All parts that are running."""
    return []


@pytest.fixture(scope="session")
def kafka(_started: Started) -> Iterator[Kafka]:
    """A real broker: `.bootstrap`, `.create_topics`, `.fresh_name`, `.records`, and faults."""
    with running(start_kafka, _started) as part:
        yield part


@pytest.fixture(scope="session")
def registry(_started: Started) -> Iterator[Registry]:
    """A real Schema Registry: `.url` is the base of its Confluent API."""
    with running(start_registry, _started) as part:
        yield part


@pytest.fixture(scope="session")
def postgresql(_started: Started) -> Iterator[PostgreSQL]:
    """A real PostgreSQL: each `.url()` is a new empty database."""
    with running(start_postgresql, _started) as part:
        yield part


@pytest.fixture(scope="session")
def prometheus() -> Path:
    """Prometheus' binary, with promtool beside it; `tests.real.prometheus.scraping` runs it."""
    try:
        return find_prometheus()
    except LeftOut as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def postfix(_started: Started) -> Iterator[Postfix]:
    """A real mail server: `.port`, and `.mails` in its mailbox."""
    with running(start_postfix, _started) as part:
        yield part


@pytest.fixture(scope="session")
def psql() -> Path:
    """PostgreSQL's shell; `tests.real.shells.psql` runs it."""
    return or_skip(found.psql(), "no psql (make system-packages)")


@pytest.fixture(scope="session")
def sqlite3() -> Path:
    """SQLite's shell; `tests.real.shells.sqlite3` runs it."""
    return or_skip(found.sqlite3(), "no sqlite3 (make system-packages)")


def or_skip(program: Path | None, reason: str) -> Path:
    """Return the program, or skip the test."""
    if program is None:
        pytest.skip(reason)
    return program


@pytest.fixture(scope="session")
def chromium() -> Path:
    """Chromium's binary; `consumer.preview.chromium` runs it."""
    return _program_or_skip(found.chromium(), "Chromium")


@pytest.fixture(scope="session")
def spamassassin() -> Path:
    """SpamAssassin's binary; it is asked with the rules of its package alone."""
    return _program_or_skip(found.spamassassin(), "SpamAssassin")


def _program_or_skip(program: Path | None, name: str) -> Path:
    if program is None:
        pytest.skip(f"{name} is not installed (make system-packages)")
    return program


@pytest.fixture
def smtp_sink() -> Iterator[sink.SmtpSink]:
    """An SMTP server inside the test that takes every mail; needs no service."""
    with sink.smtp_sink() as running_sink:
        yield running_sink


@pytest.fixture
def spawn(tmp_path: Path) -> Iterator[Spawn]:
    """Start commands of `push-services` as real processes, ended with the test."""
    with spawning(tmp_path) as spawn_one:
        yield spawn_one


@contextmanager
def spawning(place: Path) -> Iterator[Spawn]:
    """Start commands as real processes, each in a folder of this one, ended with the block."""
    spawned_here: list[PushServices] = []

    def spawn_one(*arguments: str, settings: Mapping[str, str]) -> PushServices:
        folder = place / f"push-services-{len(spawned_here)}"
        spawned_here.append(spawned(*arguments, settings=settings, folder=folder))
        return spawned_here[-1]

    try:
        yield spawn_one
    finally:
        for each in spawned_here:
            each.process.end()


@contextmanager
def running(start: Callable[[], P], started: Started) -> Iterator[P]:
    """Start a part, or skip the test with the reason; end it after the block."""
    try:
        part = start()
    except LeftOut as reason:
        pytest.skip(str(reason))
    started.append(part)
    try:
        yield part
    finally:
        started.remove(part)
        part.end()
