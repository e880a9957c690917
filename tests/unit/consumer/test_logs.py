"""Log lines: JSON of a fixed form, and nothing in them that nobody may read."""

import io
import json
import logging
import re
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.logs import fields_of, log_crashes, set_up
from consumer.redaction import redacted
from schemas.addresses import EmailAddress
from schemas.bank_accounts import Iban
from schemas.errors import KafkaUnavailable
from schemas.vocabulary import Outcome

HEARD = ("", "consumer", "mailer", "rules_store", "schemas", "librdkafka")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root, hooks = logging.getLogger(), (sys.excepthook, threading.excepthook)
    handlers, levels = root.handlers[:], {n: logging.getLogger(n).level for n in HEARD}
    yield
    root.handlers[:] = handlers
    sys.excepthook, threading.excepthook = hooks
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.fixture
def stream() -> io.StringIO:
    stream = io.StringIO()
    set_up("INFO", stream=stream)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_time_level_action_and_fields(stream: io.StringIO) -> None:
    logging.getLogger("consumer.loop").warning("batch_postponed", extra={"pause_s": 0.1})

    (line,) = lines(stream)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {
        "level": "warning",
        "action": "batch_postponed",
        "logger": "consumer.loop",
        "pause_s": 0.1,
    }


def test_fields_are_json_of_their_own_kind(stream: io.StringIO) -> None:
    extra = {
        "outcomes": {Outcome.MAILED: 2},
        "topics": ("a", "b"),
        "at": datetime(2026, 11, 24, 8, 0, tzinfo=UTC),
        "pause": timedelta(seconds=1.5),
        "nothing": None,
        "recipient": EmailAddress("anna@muster.example"),
        "account": Iban("DE89370400440532013000"),
    }

    logging.getLogger("consumer.x").info("batch_settled", extra=extra)

    (line,) = lines(stream)
    assert {name: line[name] for name in extra} == {
        "outcomes": {"mailed": 2},
        "topics": ["a", "b"],
        "at": "2026-11-24T08:00:00.000Z",
        "pause": 1.5,
        "nothing": None,
        "recipient": "…@muster.example",
        "account": "DE…3000",
    }


def test_addresses_and_ibans_are_masked_in_every_field_however_deep(stream: io.StringIO) -> None:
    foreign = "to anna@muster.example of DE89370400440532013000"

    logging.getLogger("mailer.smtp").error(
        "mail_refused", extra={"text": foreign, "deep": {foreign: [(foreign,)]}}
    )

    masked = "to …@muster.example of DE…3000"
    (line,) = lines(stream)
    assert (line["text"], line["deep"]) == (masked, {masked: [[masked]]})


def test_a_field_cannot_replace_the_action_or_the_level(stream: io.StringIO) -> None:
    extra = {"action": "evil", "level": "debug", "time": "never"}

    logging.getLogger("consumer.x").info("stopping", extra=extra)

    (line,) = lines(stream)
    assert (line["action"], line["level"]) == ("stopping", "info")


def test_an_exception_is_told_by_kind_and_place_without_its_text(stream: io.StringIO) -> None:
    try:
        redacted(None)  # type: ignore[arg-type]  # raises inside one of our own files
    except TypeError:
        logging.getLogger("consumer.x").exception("crashed")

    (line,) = lines(stream)
    (place,) = line["where"]
    assert line["error_type"] == "TypeError"
    assert re.fullmatch(r"consumer/redaction\.py:\d+", place)
    assert "NoneType" not in stream.getvalue()


def test_the_text_of_our_own_errors_is_told_and_the_kind_of_their_cause(
    stream: io.StringIO,
) -> None:
    try:
        raise KafkaUnavailable("Kafka: no answer") from ValueError("geheim")
    except KafkaUnavailable:
        logging.getLogger("consumer.x").exception("crashed")

    (line,) = lines(stream)
    assert (line["error"], line["cause_type"]) == ("Kafka: no answer", "ValueError")
    assert "geheim" not in stream.getvalue()


def test_lines_of_libraries_are_heard_from_warning_on(stream: io.StringIO) -> None:
    logging.getLogger("sqlalchemy.engine").info("SELECT %s", 1)
    logging.getLogger("alembic").warning("about %s", "anna@muster.example")

    (line,) = lines(stream)
    assert (line["action"], line["text"]) == ("library_log", "about …@muster.example")


def test_the_kafka_clients_own_lines_come_the_same_way(stream: io.StringIO) -> None:
    from confluent_kafka import Producer

    producer = Producer(
        {"bootstrap.servers": "127.0.0.1:1"}, logger=logging.getLogger("librdkafka")
    )
    for _ in range(50):
        producer.poll(0.1)
        if stream.getvalue():
            break

    line, *_ = lines(stream)
    assert (line["action"], line["logger"]) == ("library_log", "librdkafka")
    assert "127.0.0.1:1" in line["text"]


def test_lines_below_the_level_are_not_written(stream: io.StringIO) -> None:
    logging.getLogger("consumer.x").debug("batch_settled")

    assert stream.getvalue() == ""


def test_setting_up_again_replaces_what_was_there() -> None:
    first, second = io.StringIO(), io.StringIO()
    set_up("INFO", stream=first)
    set_up("DEBUG", stream=second)

    logging.getLogger("consumer.x").debug("stopping")

    assert (first.getvalue(), len(lines(second))) == ("", 1)


def test_a_terminal_gets_short_lines() -> None:
    terminal = Terminal()
    set_up("INFO", stream=terminal)

    logging.getLogger("consumer.x").warning(
        "mail_deferred", extra={"reply": "450 \x1b[2J later", "mail_id": "ab12"}
    )

    seen = re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue())
    pattern = r'\d\d:\d\d:\d\d warning mail_deferred  reply="450 \\u001b\[2J later"  mail_id=ab12\n'
    assert re.fullmatch(pattern, seen)


def test_what_nobody_caught_is_logged_without_its_values(stream: io.StringIO) -> None:
    log_crashes()

    def crash() -> None:
        raise ValueError("anna@muster.example")

    thread = threading.Thread(target=crash)
    thread.start()
    thread.join()

    (line,) = lines(stream)
    assert (line["action"], line["error_type"]) == ("crashed", "ValueError")
    assert "muster" not in stream.getvalue()


def test_what_nobody_caught_on_the_main_thread_is_logged_too(stream: io.StringIO) -> None:
    log_crashes()

    sys.excepthook(KeyError, KeyError("geheim"), None)

    (line,) = lines(stream)
    assert (line["action"], line["error_type"], line["where"]) == ("crashed", "KeyError", [])


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("<anna@muster.example>", "<…@muster.example>"),
        ('"anna b"@muster.example', "…@muster.example"),
        ("o'brien+x@muster.example!", "…@muster.example!"),
        ("x@anna@muster.example", "…@muster.example"),
        ('"x"@anna@muster.example', "…@muster.example"),
        ("zoë@bücher.example", "…@bücher.example"),
        ("postgresql://push:geheim@db/push", "postgresql://push:…@db/push"),
        ("DE89 3704 0044 0532 0130 00 is it", "DE…3000 is it"),
        ("de89370400440532013000", "DE…3000"),
        ("de89 3704 0044 0532 0130 00 and more", "DE…3000 and more"),
        ("DE00370400440532013000", "DE…3000"),
        ("XDE89370400440532013000", "XDE89370400440532013000"),
        ("0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdef"),
        ("edff93a5-8932-4d1e-b0d0-32e37b6464f8", "edff93a5-8932-4d1e-b0d0-32e37b6464f8"),
        ("payment-status-updated/3", "payment-status-updated/3"),
        ("a @ b", "a @ b"),
    ],
)
def test_a_text_is_masked(text: str, masked: str) -> None:
    assert redacted(text) == masked


# Catches an address that a line lets through because of what stands around it.
@given(st.text(), st.text())
def test_no_surroundings_save_an_address_from_its_mask(before: str, after: str) -> None:
    record = logging.makeLogRecord({"name": "consumer.x", "msg": "x", "levelname": "INFO"})
    record.foreign = f"{before}anna.beispiel@muster.example{after}"

    assert "anna.beispiel@" not in json.dumps(fields_of(record), ensure_ascii=False)
