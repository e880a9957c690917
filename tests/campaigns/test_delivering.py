"""From events to mailboxes on real Kafka: both daemons, a mail server, nothing lost or doubled."""

from collections import Counter
from pathlib import Path

import pytest
from confluent_kafka import Producer

from consumer.registry import PublishedSchemas
from schemas.codec import Codec
from tests.campaigns import generated
from tests.campaigns.house import UNDELIVERABLE, House
from tests.campaigns.oracle import expected_mails
from tests.campaigns.reading import read_until, records
from tests.campaigns.test_events_to_mails import single_object
from tests.conftest import Spawn
from tests.real.kafka import Kafka
from tests.real.smtp_sink import SmtpSink
from tests.real.waiting import wait_until
from tests.smtp_fake import Moment, smtp_fake

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

EVENTS = 300


@pytest.fixture
def house(kafka: Kafka, tmp_path: Path, spawn: Spawn) -> House:
    return House(kafka, tmp_path, spawn, kafka.fresh_name("house"))


def relay(smtp_sink: SmtpSink) -> dict[str, str]:
    return {
        "PUSH_SMTP_HOST": smtp_sink.host,
        "PUSH_SMTP_PORT": str(smtp_sink.port),
        "PUSH_SMTP_TLS": "none",
        "PUSH_TOKEN_KEY": "a key for a campaign",
    }


def arrived(smtp_sink: SmtpSink) -> Counter[str]:
    """Count the mails by mail id and recipient."""
    return Counter(
        f"{str(mail.message['Message-ID']).strip('<>').partition('@')[0]} {mail.recipients[0]}"
        for mail in smtp_sink.mails
    )


def test_every_mail_arrives_once_though_its_event_came_twice(
    house: House, smtp_sink: SmtpSink
) -> None:
    rules, events = generated.rules_file(seed=4), list(generated.events(EVENTS, seed=5))
    expected = expected_mails(rules["tenants"], events)
    house.prepare(rules)
    daemons = [house.start("run"), house.start("deliver", **relay(smtp_sink))]

    house.feed([*events, *events[:50]], single_object)
    house.settled(EVENTS + 50)
    smtp_sink.wait_for(len(expected), within=90)
    for daemon in daemons:
        assert daemon.stop() == 0

    assert arrived(smtp_sink) == Counter(f"{name} {told[3]}" for name, told in expected.items())
    published = records(house.kafka.bootstrap, house.topic("outgoing-mail"), idle=1.0)
    assert len(published) == len(expected)  # the worker knew the repeated events


def test_a_killed_delivery_daemon_loses_nothing(house: House, smtp_sink: SmtpSink) -> None:
    rules, events = generated.rules_file(seed=4), list(generated.events(EVENTS, seed=6))
    expected = expected_mails(rules["tenants"], events)
    house.prepare(rules)
    house.start("run")
    killed = house.start("deliver", **relay(smtp_sink))
    house.feed(events, single_object)
    smtp_sink.wait_for(20, within=60)

    killed.kill()
    house.start("deliver", **relay(smtp_sink))
    wanted = {f"{name} {told[3]}" for name, told in expected.items()}
    wait_until(lambda: set(arrived(smtp_sink)) == wanted, "every mail", within=90)

    copies = Counter(arrived(smtp_sink).values())
    assert set(copies) <= {1, 2}
    assert copies[2] <= 16  # those in hand when the process was killed


def test_a_record_that_is_no_mail_becomes_a_dead_letter_and_the_next_is_delivered(
    house: House, smtp_sink: SmtpSink
) -> None:
    house.prepare(generated.rules_file(seed=4))
    producer = Producer({"bootstrap.servers": house.kafka.bootstrap})
    for partition in (0, 1):
        producer.produce(house.topic("outgoing-mail"), b"junk", b"key", partition=partition)
    producer.flush(10)
    house.start("run")
    house.start("deliver", **relay(smtp_sink))

    event = next(
        e for e in generated.events(99, seed=3) if e["tenant_id"] == "m-1" and "status" not in e
    )
    house.feed([event], single_object)
    smtp_sink.wait_for(1, within=60)

    letters = records(house.kafka.bootstrap, house.topic("dead-letter"), idle=2.0)
    assert [(letter.key, letter.value) for letter in letters] == [(b"key", b"junk")] * 2
    assert {letter.headers["push.reason"] for letter in letters} == {b"unknown_framing"}
    assert {letter.headers["push.group"] for letter in letters} == {
        f"{house.prefix}-deliver".encode()
    }


def test_a_mail_that_will_not_come_is_reported_until_the_broker_has_it(
    house: House,
) -> None:
    house.prepare(generated.rules_file(seed=4))
    refused = ["550 5.1.1 nobody here"] * 500
    event = next(
        e for e in generated.events(99, seed=3) if e["tenant_id"] == "m-1" and "status" not in e
    )
    with smtp_fake({Moment.RCPT: refused}) as fake:
        house.start("run")
        house.start(
            "deliver",
            PUSH_SMTP_HOST="127.0.0.1",
            PUSH_SMTP_PORT=str(fake.port),
            PUSH_SMTP_TLS="none",
            PUSH_TOKEN_KEY="a key for a campaign",
            PUSH_REFUSAL_TRIAL="PT0.01S",
        )
        house.feed([event], single_object)

        seen = read_until(
            house.kafka.bootstrap, house.topic(UNDELIVERABLE), lambda found: bool(found), at_most=90
        )

    report = Codec(PublishedSchemas()).decode_report(seen[0].value)
    assert (report.tenant_id, report.fate, report.reply_code) == ("m-1", "dead_address", 550)
    assert seen[0].key == report.mail_id.encode()
