"""topics.yaml says how many partitions and how long; who must agree with it, does."""

import subprocess
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from consumer.settings import SETTING_NAMES, load_settings, shown
from tests.unit.deploy.files import DEPLOY, compose, days, read_yaml

DOCUMENT: dict[str, Any] = read_yaml(DEPLOY / "topics.yaml")
TOPICS: list[dict[str, Any]] = DOCUMENT["topics"]
LEDGER_ROWS_LIVE = timedelta(days=400)  # email.md section 6


def created_by_compose() -> dict[str, dict[str, str]]:
    """Run the one-shot of compose.yaml with `echo` for Kafka's tool; return what it asks for."""
    one_shot = compose()["services"]["topics"]
    (script,) = one_shot["command"]
    script = script.replace("$$", "$").replace("/opt/kafka/bin/kafka-topics.sh", "echo")
    said = subprocess.run([*one_shot["entrypoint"], script], check=True, capture_output=True)
    asked = [options(line.split()) for line in said.stdout.decode().splitlines()]
    return {topic.pop("--topic"): topic for topic in asked}


def options(words: list[str]) -> dict[str, str]:
    """Read `--name value` pairs; `--config name=value` counts as a name of its own."""
    pairs = [(n, v) for n, v in pairwise(words) if n.startswith("--") and not v.startswith("--")]
    configs = dict(value.split("=") for name, value in pairs if name == "--config")
    return configs | {name: value for name, value in pairs if name != "--config"}


def test_compose_creates_the_topics_as_the_list_says() -> None:
    listed = {
        topic["name"]: {
            "--bootstrap-server": "kafka:9092",
            "--partitions": str(topic["partitions"]),
            "--replication-factor": "1",
            "cleanup.policy": topic["cleanup_policy"],
            "retention.ms": str(int(days(topic["retention"]).total_seconds() * 1000)),
            "max.message.bytes": str(topic.get("max_message_bytes", DOCUMENT["max_message_bytes"])),
        }
        for topic in TOPICS
    }

    assert created_by_compose() == listed


def test_every_topic_that_has_a_setting_is_listed_under_its_default_name() -> None:
    prefix = "PUSH_TOPIC_"
    settings = load_settings({})
    defaults = {
        shown(settings, name.removeprefix("PUSH_").lower())
        for name in SETTING_NAMES
        if name.startswith(prefix)
    }

    assert {topic["name"] for topic in TOPICS} == defaults


def test_settled_ids_are_kept_a_day_longer_than_they_count() -> None:
    (repeats,) = [topic for topic in TOPICS if topic["name"] == load_settings({}).repeats_topic]

    assert days(repeats["retention"]) == load_settings({}).repeats_window + timedelta(days=1)


def test_settled_ids_have_a_partition_for_each_of_the_widest_input() -> None:
    partitions = {topic["name"]: topic["partitions"] for topic in TOPICS}
    inputs = ("payment-file-rejected", "payment-status-updated")

    assert partitions[load_settings({}).repeats_topic] == max(partitions[name] for name in inputs)


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: str(topic["name"]))
def test_a_topic_says_who_writes_it_and_why_it_is_so(topic: dict[str, Any]) -> None:
    assert topic["written_by"]
    assert topic["why"].endswith(".")


def test_the_ledger_remembers_longer_than_any_mail_can_come_back() -> None:
    # else a replayed event or a redriven dead letter would be mailed a second time (domain.md R16)
    kept = {topic["name"]: days(topic["retention"]) for topic in TOPICS}
    inputs = max(kept["payment-file-rejected"], kept["payment-status-updated"])

    assert inputs + kept["outgoing-mail"] + kept["dead-letter"] < LEDGER_ROWS_LIVE


def test_whole_mails_are_kept_for_days_and_never_compacted() -> None:
    (mails,) = [topic for topic in TOPICS if topic["name"] == "outgoing-mail"]

    assert mails["cleanup_policy"] == "delete"
    assert days(mails["retention"]) < timedelta(days=14)


def test_a_dead_letter_may_be_larger_than_the_record_it_holds() -> None:
    (dead_letters,) = [topic for topic in TOPICS if topic["name"] == "dead-letter"]

    assert dead_letters["max_message_bytes"] > DOCUMENT["max_message_bytes"]
