from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from consumer.registry import PublishedSchemas
from consumer.reporting import AWAY, LOOK, Reporting
from mailer.memory import MemoryLedger
from mailer.ports import AddressNames, Arrival
from mailer.replies import Phase, Reply
from mailer.results import Fate, Result
from schemas.addresses import EmailAddress
from schemas.codec import Codec, encode_report
from schemas.errors import KafkaUnavailable
from schemas.framing import single_object_prefix
from schemas.published import UNDELIVERABLE, published
from schemas.records import Publication, Record
from schemas.reports import UndeliverableMail
from schemas.vocabulary import MailId
from tests.builders import an_outgoing_mail

NOBODY = Reply(550, "5.1.1", "5.1.1 nobody", Phase.RCPT)
PREFIX = single_object_prefix(published(UNDELIVERABLE).fingerprint)


@dataclass
class Press:
    """Prints, or fails as often as it was told to, having printed or not."""

    failures: int = 0
    prints_first: bool = False
    printed: list[Publication] = field(default_factory=list)
    take_overs: int = 0

    def take_over(self) -> None:
        self.take_overs += 1

    def publish(self, publications: Sequence[Publication]) -> None:
        if self.failures and not self.prints_first:
            self.failures -= 1
            raise KafkaUnavailable
        self.printed += publications
        if self.failures:
            self.failures -= 1
            raise KafkaUnavailable


@dataclass
class Bureau:
    press: Press = field(default_factory=Press)
    given: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.at = datetime(2026, 11, 24, 8, tzinfo=UTC)
        self.ledger = MemoryLedger(lambda: self.at)
        self.reporting = Reporting(
            ledger=self.ledger,
            owner="deliver-0",
            printer=self.press,
            topic="undeliverable",
            encode=lambda report: encode_report(report, PREFIX),
            given=self.given.append,
        )

    def fail(self, number: int, result: Result) -> None:
        """Let a mail end so."""
        mail = an_outgoing_mail(mail_id=MailId(f"mail-{number}"))
        record = Record("outgoing-mail", 0, number, -1, None, b"bytes")
        self.ledger.take_in([Arrival.of(mail, record, AddressNames("hash", None))])
        (claim,) = self.ledger.claim("deliver-0", 1)
        self.ledger.write([(claim, result)])
        self.ledger.end_trials("deliver-0")

    def reports(self) -> list[UndeliverableMail]:
        codec = Codec(PublishedSchemas())
        return [codec.decode_report(one.value) for one in self.press.printed]


@pytest.fixture
def bureau() -> Bureau:
    return Bureau()


def test_a_report_says_whom_and_why_and_is_keyed_by_mail_id(bureau: Bureau) -> None:
    bureau.fail(1, Result(Fate.DEAD_ADDRESS, NOBODY))

    bureau.reporting.step()

    (report,) = bureau.reports()
    assert (report.mail_id, report.state, report.fate) == ("mail-1", "failed", "dead_address")
    assert (report.reply_code, report.reply_detail) == (550, "5.1.1")
    assert report.recipient == EmailAddress("anna@muster.example")
    assert (report.attempts, report.may_have_arrived) == (1, False)
    assert (bureau.press.printed[0].topic, bureau.press.printed[0].key) == (
        "undeliverable",
        b"mail-1",
    )


def test_a_report_is_given_once(bureau: Bureau) -> None:
    bureau.fail(1, Result(Fate.SUPPRESSED))

    assert [bureau.reporting.step() for _ in range(3)] == [LOOK] * 3
    assert (len(bureau.press.printed), bureau.given) == (1, [1])


def test_a_mail_that_may_have_arrived_is_reported_as_such(bureau: Bureau) -> None:
    bureau.fail(1, Result(Fate.IN_DOUBT, Reply.missing("lost", Phase.CONTENT), timedelta(0)))
    (claim,) = bureau.ledger.claim("deliver-0", 1)
    bureau.ledger.write([(claim, Result(Fate.EXPIRED))])

    bureau.reporting.step()

    assert bureau.reports()[0].may_have_arrived


@pytest.mark.parametrize("prints_first", [False, True])
def test_a_report_is_owed_until_it_is_certain_that_it_was_given(
    bureau: Bureau, prints_first: bool
) -> None:
    bureau.press.failures, bureau.press.prints_first = 1, prints_first
    bureau.fail(1, Result(Fate.SUPPRESSED))

    assert [bureau.reporting.step(), bureau.reporting.step()] == [AWAY, LOOK]
    assert len(bureau.press.printed) == 1 + prints_first
    assert bureau.press.take_overs == 2
