"""What the daemons do while something is away: they say so, wait, and stop when asked."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.campaigns import generated
from tests.campaigns.house import INPUTS, House
from tests.campaigns.oracle import expected_mails
from tests.campaigns.test_events_to_mails import single_object
from tests.conftest import Spawn
from tests.real.kafka import Kafka
from tests.real.postgresql import PostgreSQL
from tests.real.smtp_sink import SmtpSink
from tests.real.waiting import free_port

pytestmark = pytest.mark.timeout(300)

STOP_WITHIN = 15.0  # seconds


@contextmanager
def taking_at_most(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


@pytest.mark.parametrize(
    ("daemon", "needed"),
    [
        pytest.param("run", {"PUSH_MAIL_FROM": "push@push.example"}, id="run"),
        pytest.param("deliver", {"PUSH_SMTP_HOST": "127.0.0.1"}, id="deliver"),
    ],
)
def test_a_broker_that_is_away_is_waited_for_visibly(
    daemon: str, needed: dict[str, str], tmp_path: Path, spawn: Spawn
) -> None:
    settings = {
        "PUSH_KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}",
        "PUSH_DATABASE_URL": f"sqlite:///{tmp_path / 'push.db'}",
    }
    assert spawn("db", "upgrade", settings=settings).process.wait(60) == 0

    waiting = spawn(daemon, settings=settings | needed)
    waiting.process.wait_for_output("kafka_waited_for")

    assert waiting.get("/livez")[0] == 200
    assert waiting.get("/readyz")[0] == 503
    with taking_at_most(STOP_WITHIN):
        assert waiting.process.stop() == 0


@pytest.mark.parametrize(
    ("daemon", "needed"),
    [
        pytest.param("run", {"PUSH_MAIL_FROM": "push@push.example"}, id="run"),
        pytest.param("deliver", {"PUSH_SMTP_HOST": "127.0.0.1"}, id="deliver"),
    ],
)
def test_a_database_that_is_away_is_waited_for_visibly(
    daemon: str, needed: dict[str, str], spawn: Spawn
) -> None:
    settings = {
        "PUSH_KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}",
        "PUSH_DATABASE_URL": f"postgresql://push@127.0.0.1:{free_port()}/push",
    }

    process = spawn(daemon, settings=settings | needed).process
    process.wait_for_output('"what": "database"')

    with taking_at_most(STOP_WITHIN):
        assert process.stop() == 0


def test_a_database_without_tables_ends_the_worker_and_names_the_mend(
    tmp_path: Path, spawn: Spawn
) -> None:
    settings = {
        "PUSH_KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}",
        "PUSH_DATABASE_URL": f"sqlite:///{tmp_path / 'push.db'}",
        "PUSH_MAIL_FROM": "push@push.example",
    }

    process = spawn("run", settings=settings).process

    assert process.wait(30) == 78
    assert "push-services db upgrade" in process.errors()


@pytest.mark.kafka
def test_missing_topics_are_named_and_waited_for(
    kafka: Kafka, tmp_path: Path, spawn: Spawn
) -> None:
    house = House(kafka, tmp_path, spawn, kafka.fresh_name("late"))
    house.command("db", "upgrade")
    worker = spawn("run", settings=house.environment | {"PUSH_HTTP_PORT": str(free_port())})
    worker.process.wait_for_output("topics_missing")
    assert house.topic("evaluation") in worker.process.output()

    outputs = ("outgoing-mail", "dead-letter", "evaluation")
    kafka.create_topics({house.topic(name): 1 for name in (*INPUTS, *outputs)})

    worker.wait_until_ready()
    assert worker.process.stop() == 0


@pytest.mark.kafka
def test_postgresql_serves_both_daemons_and_its_absence_holds_up_no_event(
    kafka: Kafka, postgresql: PostgreSQL, tmp_path: Path, spawn: Spawn, smtp_sink: SmtpSink
) -> None:
    house = House(kafka, tmp_path, spawn, kafka.fresh_name("pg"), database_url=postgresql.url())
    rules = generated.rules_file(seed=8)
    events = list(generated.events(60, seed=9))
    expected = expected_mails(rules["tenants"], events)
    house.prepare(rules)
    relay = {
        "PUSH_SMTP_HOST": smtp_sink.host,
        "PUSH_SMTP_PORT": str(smtp_sink.port),
        "PUSH_SMTP_TLS": "none",
    }
    worker, delivery = house.start("run"), house.start("deliver", **relay)
    house.feed(events[:30], single_object)
    house.settled(30)

    postgresql.stop()
    house.feed(events[30:], single_object)
    house.settled(60)  # decided by the last good rules
    postgresql.start()
    smtp_sink.wait_for(len(expected), within=90)

    assert len(smtp_sink.mails) == len(expected)
    assert (worker.stop(), delivery.stop()) == (0, 0)
