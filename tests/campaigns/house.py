"""A house for a campaign: topics, rules and settings of one run, under names of its own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from confluent_kafka import Producer

from tests.campaigns import generated
from tests.campaigns.reading import Seen, fields, read_until
from tests.conftest import Spawn
from tests.real.kafka import Kafka
from tests.real.processes import Process

PATIENCE = 120.0  # seconds for workers to settle everything
INPUTS = (generated.REJECTED, generated.UPDATED)
UNDELIVERABLE = "outgoing-mail-undeliverable"
OUTPUTS = ("outgoing-mail", UNDELIVERABLE, "dead-letter", "evaluation")

Encode = Callable[[dict[str, Any]], bytes]


@dataclass
class House:
    """Topics, rules and settings of one run."""

    kafka: Kafka
    folder: Path
    spawn: Spawn
    prefix: str
    database_url: str = ""  #: a SQLite file where none is given

    @property
    def environment(self) -> dict[str, str]:
        topics = {
            f"PUSH_TOPIC_{name.upper().replace('-', '_')}": self.topic(name)
            for name in (*INPUTS, *OUTPUTS)
        }
        return {
            "PUSH_KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap,
            "PUSH_GROUP_ID": self.prefix,
            "PUSH_DATABASE_URL": self.database_url or f"sqlite:///{self.folder / 'rules.db'}",
            "PUSH_MAIL_FROM": "Push <push@mail.push.example>",
            "PUSH_HTTP_PORT": "0",
            **topics,
        }

    @property
    def outputs(self) -> list[str]:
        """Return the topics that workers write in transactions."""
        return [
            self.topic(name) for name in ("outgoing-mail", "dead-letter", "evaluation", "repeats")
        ]

    def topic(self, name: str) -> str:
        return f"{self.prefix}-{name}"

    def prepare(self, rules: dict[str, Any], dead_letter: Mapping[str, str] | None = None) -> None:
        """Make the topics, the tables and the rules; `dead_letter` is that topic's own config."""
        self.kafka.create_topics({self.topic(name): 4 for name in INPUTS})
        self.kafka.create_topics({self.topic(name): 2 for name in OUTPUTS[:1] + OUTPUTS[3:]})
        self.kafka.create_topics({self.topic(UNDELIVERABLE): 1})
        self.kafka.create_topics({self.topic("dead-letter"): 1}, config=dict(dead_letter or {}))
        file = self.folder / "rules.yaml"
        file.write_text(yaml.safe_dump(rules, allow_unicode=True), encoding="utf-8")
        self.command("db", "upgrade")
        self.command("rules", "apply", str(file))

    def command(self, *arguments: str) -> str:
        """Run a command to its end and return what it printed; it must succeed."""
        process = self.spawn(*arguments, settings=self.environment).process
        assert process.wait(180) == 0, process.tail()
        return process.output()

    def start(self, daemon: str, **settings: str) -> Process:
        """Start a daemon, with settings beside those of the house; it ends with the test."""
        return self.spawn(daemon, settings=self.environment | settings).process

    def feed(self, events: list[dict[str, Any]], encode: Encode) -> None:
        producer = Producer({"bootstrap.servers": self.kafka.bootstrap, "linger.ms": 5})
        for event in events:
            topic = self.topic(generated.topic_of(event))
            producer.produce(topic, encode(event), event["file_id"].encode())
            producer.poll(0)
        producer.flush(30)

    def settled(self, count: int) -> list[Seen]:
        """Wait until evaluations cover so many records."""

        def enough(seen: Sequence[Seen]) -> bool:
            return covered(seen) >= count

        return read_until(self.kafka.bootstrap, self.topic("evaluation"), enough, at_most=PATIENCE)


def covered(evaluations: Sequence[Seen]) -> int:
    """Return how many input records the evaluations speak of."""
    found = (fields("evaluation", record.value)["outcomes"] for record in evaluations)
    return sum(sum(outcomes.values()) for outcomes in found)
