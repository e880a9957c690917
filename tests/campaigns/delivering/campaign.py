"""The course of a campaign: mails come in, two daemons deliver them, one after the other dies."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import sleep

from sqlalchemy import text

from mailer.migrating import upgrade
from mailer.tables import ledger_engine
from schemas.mails import OutgoingMail
from tests.benchmarks.delivery.load import mails, publish
from tests.campaigns.delivering.audit import Findings, Row, audit
from tests.conftest import Spawn
from tests.real.kafka import Kafka
from tests.real.postgresql import PostgreSQL
from tests.real.processes import Process
from tests.real.recording_sink import RecordingSink, recording_sink
from tests.real.waiting import LOOPBACK, wait_until

SLOTS = 2
FAR = 0.05  # seconds a reply takes: mails are under way for long, so that kills meet them there
SENT = '"action": "mail_sent"'
BATCH = 100  # mails
PATIENCE = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much of it."""

    kills: int
    seed: int = 1
    connections: int = 4  #: of each daemon
    backlog: int = 400  #: mails that are always there to be delivered
    longest_life: float = 0.6  #: seconds from the first mail of a life to the kill


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it."""

    plan: Plan
    kills: int
    mails: int
    findings: Findings


@dataclass(kw_only=True)
class Campaign:
    """Runs plans on one broker and one database server."""

    kafka: Kafka
    postgresql: PostgreSQL
    folder: Path
    spawn: Spawn
    tell: Callable[[str], None] = field(default=print)

    def run(self, plan: Plan) -> Result:
        """Run it to its end: every mail has come to one."""
        name = self.kafka.fresh_name("killing")
        self.kafka.create_topics({name: 4})
        self.kafka.create_topics(
            {f"{name}-{other}": 1 for other in ("dead-letter", "undeliverable")}
        )
        url = self.postgresql.url()
        upgrade(url)
        with (
            recording_sink(self.folder / name, FAR) as sink,
            self._daemons(name, url, sink, plan) as daemons,
        ):
            batches = self._kill(plan, name, daemons, sink)
            over = partial(self._is_over, url, batches * BATCH)
            wait_until(over, "every mail has come to its end", PATIENCE)
            published = {str(mail.mail_id) for n in range(batches) for mail in batch(name, n)}
            findings = audit(published, rows(url), sink.taken())
        return Result(plan, plan.kills, len(published), findings)

    def _kill(self, plan: Plan, name: str, daemons: Sequence[Process], sink: RecordingSink) -> int:
        """Kill a daemon that sends and start it again, in turns; return the batches published."""
        chance, batches = random.Random(plan.seed), 0
        said = [0] * SLOTS
        for number in range(plan.kills):
            while batches * BATCH - sink.count() < plan.backlog:
                publish(self.kafka.bootstrap, name, BATCH, batch_name(name, batches))
                batches += 1
            daemon, slot = daemons[number % SLOTS], number % SLOTS
            wait_until(partial(has_sent_since, daemon, said[slot]), "the daemon sends", 60)
            sleep(chance.uniform(0.0, plan.longest_life))
            daemon.kill()
            said[slot] = daemon.output().count(SENT)
            daemon.start()
            if number % 20 == 19:
                self.tell(f"{name}: {number + 1} kills, {batches * BATCH} mails published")
        return batches

    def _is_over(self, url: str, total: int) -> bool:
        every = rows(url)
        return len(every) == total and all(row.state == "sent" for row in every.values())

    @contextmanager
    def _daemons(
        self, name: str, url: str, sink: RecordingSink, plan: Plan
    ) -> Iterator[list[Process]]:
        settings = {
            "PUSH_KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap,
            "PUSH_GROUP_ID": name,
            "PUSH_TOPIC_OUTGOING_MAIL": name,
            "PUSH_TOPIC_OUTGOING_MAIL_UNDELIVERABLE": f"{name}-undeliverable",
            "PUSH_TOPIC_DEAD_LETTER": f"{name}-dead-letter",
            "PUSH_LEDGER_URL": url,
            "PUSH_TOKEN_KEY": "a key for a campaign",
            "PUSH_SMTP_HOST": LOOPBACK,
            "PUSH_SMTP_PORT": str(sink.port),
            "PUSH_SMTP_TLS": "none",
            "PUSH_SMTP_CONCURRENCY": str(plan.connections),
            "PUSH_HTTP_PORT": "0",
        }
        started = [
            self.spawn("deliver", settings=settings | {"PUSH_TRANSACTIONAL_ID": f"{name}-{slot}"})
            for slot in range(SLOTS)
        ]
        yield [one.process for one in started]
        for one in started:
            one.process.end()


def batch_name(name: str, number: int) -> str:
    """Return what a batch of mails is named after."""
    return f"{name}/{number}"


def batch(name: str, number: int) -> Iterator[OutgoingMail]:
    """Yield the mails of a batch again."""
    return mails(BATCH, batch_name(name, number))


def has_sent_since(daemon: Process, before: int) -> bool:
    """Say whether a daemon has sent a mail since it had said so often that it did."""
    return daemon.output().count(SENT) > before


def rows(url: str) -> dict[str, Row]:
    """Return what the ledger says of each mail."""
    engine = ledger_engine(url)
    try:
        with engine.connect() as connection:
            query = text("SELECT mail_id, state, in_doubt_count FROM push_deliveries")
            return {row[0]: Row(row[1], row[2]) for row in connection.execute(query)}
    finally:
        engine.dispose()
