"""A ledger on PostgreSQL is lost, restored from a backup and replayed from real Kafka."""

import json
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import text

from mailer.migrating import upgrade
from mailer.tables import ledger_engine
from tests.benchmarks.delivery.load import publish
from tests.campaigns.delivering.campaign import rows
from tests.conftest import Spawn
from tests.real.kafka import Kafka
from tests.real.postgresql import PostgreSQL
from tests.real.push_services import PushServices
from tests.real.recording_sink import RecordingSink, recording_sink
from tests.real.waiting import LOOPBACK, wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.postgresql, pytest.mark.timeout(240)]

BATCH = 20
PATIENCE = 90.0


def settings_of(kafka: Kafka, name: str, url: str, sink: RecordingSink) -> dict[str, str]:
    return {
        "PUSH_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
        "PUSH_GROUP_ID": name,
        "PUSH_TRANSACTIONAL_ID": name,
        "PUSH_TOPIC_OUTGOING_MAIL": name,
        "PUSH_TOPIC_OUTGOING_MAIL_UNDELIVERABLE": f"{name}-undeliverable",
        "PUSH_TOPIC_DEAD_LETTER": f"{name}-dead-letter",
        "PUSH_LEDGER_URL": url,
        "PUSH_TOKEN_KEY": "a key for a campaign",
        "PUSH_SMTP_HOST": LOOPBACK,
        "PUSH_SMTP_PORT": str(sink.port),
        "PUSH_SMTP_TLS": "none",
        "PUSH_HTTP_PORT": "0",
    }


def are_sent(url: str, count: int) -> bool:
    every = rows(url)
    return len(every) == count and all(row.state == "sent" for row in every.values())


def deliver_all(spawn: Spawn, settings: dict[str, str], count: int) -> None:
    """Be `deliver` until the ledger has so many mails and all are sent."""
    daemon = spawn("deliver", settings=settings)
    wait_until(partial(are_sent, settings["PUSH_LEDGER_URL"], count), "all are sent", PATIENCE)
    assert daemon.process.stop() == 0


def lose_what_came_after(url: str, backup: datetime) -> None:
    """Make of the ledger what a backup of that instant would restore."""
    engine = ledger_engine(url)
    with engine.begin() as connection:
        gone = text("DELETE FROM push_deliveries WHERE taken_in_at > :backup")
        connection.execute(gone, {"backup": backup})
    engine.dispose()


def said(command: PushServices) -> dict[str, object]:
    assert command.process.wait(60) == 0, command.process.tail()
    answer: dict[str, object] = json.loads(command.process.output())
    return answer


def test_a_restored_ledger_delivers_what_it_lost_once_more_and_says_so(
    kafka: Kafka, postgresql: PostgreSQL, tmp_path: Path, spawn: Spawn
) -> None:
    name, url = kafka.fresh_name("replaying"), postgresql.url()
    kafka.create_topics({name: 2, f"{name}-dead-letter": 1, f"{name}-undeliverable": 1})
    upgrade(url)
    with recording_sink(tmp_path / name, 0.0) as sink:
        settings = settings_of(kafka, name, url, sink)
        publish(kafka.bootstrap, name, BATCH, f"{name}/before")
        deliver_all(spawn, settings, BATCH)
        backup = datetime.now(UTC)
        publish(kafka.bootstrap, name, BATCH, f"{name}/lost")
        deliver_all(spawn, settings, 2 * BATCH)
        lose_what_came_after(url, backup)
        publish(kafka.bootstrap, name, BATCH, f"{name}/fresh")
        words = ("deliveries", "replay", "--since", backup.isoformat(), "--json")

        dry = said(spawn(*words, "--dry-run", settings=settings))
        first = said(spawn(*words, settings=settings))
        second = said(spawn(*words, settings=settings))
        deliver_all(spawn, settings, 3 * BATCH)

        every = rows(url)
        assert sink.count() == 4 * BATCH  # the lost ones twice
    assert dry == first
    assert (first["taken_in_again"], first["left_to_deliver"]) == (BATCH, BATCH)
    assert (second["taken_in_again"], second["known"]) == (0, BATCH)
    assert sum(row.in_doubt_count for row in every.values()) == BATCH
