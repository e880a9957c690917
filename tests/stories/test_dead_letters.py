"""An operator looks at dead letters and puts them back. (Who does not die: see campaigns.)"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner, Result

from consumer.cli import app
from consumer.demo.broker import DemoBroker
from schemas.plans import DeadLetter
from schemas.records import Publication, Record
from schemas.vocabulary import DeadLetterReason, RuleId
from tests.unit.consumer.letters.test_letters import FAILED_AT, RECORD, publisher

Push = Callable[..., Result]
PERSONAL = RECORD._replace(key=b"DE89370400440532013000", headers=(("from", b"anna@m-1.example"),))


@pytest.fixture
def broker() -> DemoBroker:
    return DemoBroker.start(["dead-letter", "payment-status-updated"])


@pytest.fixture
def push(broker: DemoBroker, monkeypatch: pytest.MonkeyPatch) -> Push:
    for name in [name for name in os.environ if name.startswith("PUSH_")]:
        monkeypatch.delenv(name)
    environ = {"PUSH_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers, "PUSH_GROUP_ID": "group"}

    def call(*words: str, **settings: str) -> Result:
        return CliRunner().invoke(app, ["dead-letters", *words], env=environ | settings)

    return call


def letters(record: Record = RECORD) -> list[Publication]:
    """Return two letters: a whole record, and a rule's share of it."""
    whole = DeadLetter(record=record, reason=DeadLetterReason.UNDECODABLE, detail="not Avro")
    share = DeadLetter(
        record=record,
        reason=DeadLetterReason.RENDER_FAILED,
        detail="too large",
        rule_id=RuleId("r-1"),
    )
    return list(publisher().letters([whole, share], FAILED_AT))


def put(broker: DemoBroker, publications: list[Publication]) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    for letter in publications:
        headers: list[Any] = list(letter.headers)
        producer.produce(letter.topic, letter.value, letter.key, 0, headers=headers)
    producer.flush(10)


def listed(push: Push, *options: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in push("list", "--json", *options).stdout.splitlines()]


def test_a_list_says_where_when_why_and_whose(broker: DemoBroker, push: Push) -> None:
    put(broker, letters())

    result = push("list")

    assert result.stderr == "2 dead letters, 0 of them redriven\n"
    whole, share = (line.split() for line in result.stdout.splitlines())
    assert whole[:6] == [
        "dead-letter/0/0",
        "2026-11-25T08:30:00.000+00:00",
        "undecodable",
        "payment-status-updated/3/42",
        "m-1",
        "-",
    ]
    assert share[2:6] == ["render_failed", "payment-status-updated/3/42", "m-1", "r-1"]


def test_a_list_joins_no_group_whatever_the_protocol(broker: DemoBroker, push: Push) -> None:
    put(broker, letters())

    result = push("list", PUSH_KAFKA_GROUP_PROTOCOL="consumer")

    assert result.stderr == "2 dead letters, 0 of them redriven\n"


def test_a_list_is_narrowed(broker: DemoBroker, push: Push) -> None:
    put(broker, letters())

    assert [each["rule"] for each in listed(push, "--reason", "render_failed")] == ["r-1"]
    assert listed(push, "--tenant", "m-2") == []
    assert len(listed(push, "--tenant", "m-1", "--topic", "payment-status-updated")) == 2
    assert listed(push, "--until", "2026-11-25T08:00") == []


def test_a_letter_is_shown_without_anything_personal(broker: DemoBroker, push: Push) -> None:
    put(broker, letters(PERSONAL))

    result = push("show", "dead-letter/0/0")

    shown = json.loads(result.stdout)
    assert (shown["key"], shown["headers"]) == ("22 bytes", {"from": "16 bytes"})
    assert shown["routing"]["tenant_id"] == "m-1"
    assert shown["redriven"] is False
    assert "DE89" not in result.output
    assert "@" not in result.output


def test_a_value_is_written_to_a_file_of_its_owner_only(
    broker: DemoBroker, push: Push, tmp_path: Path
) -> None:
    put(broker, letters())
    file = tmp_path / "value"

    push("show", "dead-letter/0/0", "--value-to", str(file))
    again = push("show", "dead-letter/0/0", "--value-to", str(file))

    assert file.read_bytes() == RECORD.value
    assert file.stat().st_mode & 0o777 == 0o600
    assert again.exit_code == 1
    assert again.stderr == f"push-services: {file}: File exists\n"


def test_a_dry_run_puts_nothing_back(broker: DemoBroker, push: Push) -> None:
    put(broker, letters())

    result = push("redrive", "--all", "--dry-run")

    assert "would redrive 2 dead letters: 1 records, 1 shares of a rule" in result.stderr
    assert broker.values("payment-status-updated") == []


def test_a_redrive_puts_back_once_and_says_what_it_cannot(broker: DemoBroker, push: Push) -> None:
    smaller = letters()[0].smaller
    assert smaller is not None
    put(broker, [*letters(), smaller])

    first, second = push("redrive", "--all"), push("redrive", "--all")

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert "redrove 2 dead letters" in first.stderr
    assert "dead-letter/0/2 cannot be redriven: its value of" in first.stderr
    assert "redrove 0 dead letters" in second.stderr
    assert "2 were redriven before" in second.stderr
    assert broker.values("payment-status-updated") == [RECORD.value] * 2
    assert [each["redriven"] for each in listed(push)] == [True, True, False]


def test_one_letter_is_put_back_by_its_place(broker: DemoBroker, push: Push) -> None:
    put(broker, letters())

    result = push("redrive", "dead-letter/0/1")

    assert "redrove 1 dead letters: 0 records, 1 shares" in result.stderr
    assert [each["redriven"] for each in listed(push)] == [False, True]


def test_a_place_where_no_letter_lies_is_a_fault(broker: DemoBroker, push: Push) -> None:
    put(broker, letters())

    shown, redriven = push("show", "dead-letter/0/7"), push("redrive", "dead-letter/0/7")

    assert (shown.exit_code, redriven.exit_code) == (1, 1)
    assert shown.stderr == "push-services: at dead-letter/0/7 lies no dead letter\n"
    assert "at dead-letter/0/7 lies no dead letter of this choice" in redriven.stderr


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        pytest.param(["redrive"], "say which letters are meant, or --all", id="no choice"),
        pytest.param(["redrive", "--all", "--rule", "r"], "say which letters", id="both"),
        pytest.param(["show", "dead-letter"], "allowed is TOPIC/PARTITION/OFFSET", id="no place"),
        pytest.param(["show", "other/0/1"], "the dead letters lie in dead-letter", id="elsewhere"),
        pytest.param(["list", "--since", "gestern"], "'gestern' is neither", id="no time"),
        pytest.param(["list", "--reason", "bad"], "'bad'", id="no reason"),
    ],
)
def test_wrong_usage_is_said_in_a_sentence(push: Push, words: list[str], complaint: str) -> None:
    result = push(*words)

    assert result.exit_code == 2
    assert complaint in " ".join(result.stderr.replace("│", " ").split())
