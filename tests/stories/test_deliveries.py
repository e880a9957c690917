"""An operator looks into the ledger, lets held mails go, and keeps the suppression list."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from consumer.cli import app
from mailer.addressing import names_of
from mailer.migrating import upgrade
from mailer.ports import Arrival
from mailer.replies import Phase, Reply
from mailer.results import Fate, State
from mailer.results import Result as What
from mailer.sql import SqlLedger
from mailer.tables import ledger_engine
from mailer.tokens import envelope_token
from schemas.records import Record
from schemas.vocabulary import MailId, TenantId
from tests.builders import an_outgoing_mail
from tests.unit.mailer.test_bouncing import a_bounce

KEY = "a key of sixteen"
DOMAIN = "bounce.push.example"
NOBODY = Reply(550, "5.1.1", "5.1.1 nobody", Phase.RCPT)


@dataclass
class Desk:
    ledger: SqlLedger
    say: Callable[..., Result]

    def take_in(self, number: int) -> None:
        mail = an_outgoing_mail(mail_id=MailId(f"mail-{number}"))
        record = Record("outgoing-mail", 0, number, -1, None, b"bytes")
        self.ledger.take_in([Arrival.of(mail, record, names_of(KEY)(mail))])

    def hold(self, number: int) -> None:
        self.take_in(number)
        (claim,) = self.ledger.claim("deliver-0", 1)
        self.ledger.write([(claim, What(Fate.DEAD_ADDRESS, NOBODY))])
        self.ledger.hold_trials("deliver-0")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    upgrade(url)
    engine = ledger_engine(url)

    def say(*words: str) -> Result:
        environ = {"PUSH_LEDGER_URL": url, "PUSH_TOKEN_KEY": KEY, "PUSH_BOUNCE_DOMAIN": DOMAIN}
        return CliRunner().invoke(app, words, env=environ)

    yield Desk(SqlLedger(engine), say)
    engine.dispose()


def test_held_mails_are_listed_and_let_go(desk: Desk) -> None:
    desk.hold(1)
    desk.take_in(2)

    listed = desk.say("deliveries", "list", "--state", "held")
    retried = desk.say("deliveries", "retry", "--state", "held")

    assert "mail-1" in listed.stdout
    assert "mail-2" not in listed.stdout
    assert retried.stdout == "1 mails are due now\n"
    assert desk.ledger.counts()[State.WAITING] == 2


def test_a_mail_is_shown_with_its_reply_and_without_its_address(desk: Desk) -> None:
    desk.hold(1)

    shown = desk.say("deliveries", "show", "m-10482", "mail-1")

    said = json.loads(shown.stdout)
    assert (said["state"], said["reply_code"], said["attempts"]) == ("held", 550, 1)
    assert "@" not in shown.stdout


def test_a_mail_that_is_not_there_is_said_so(desk: Desk) -> None:
    shown = desk.say("deliveries", "show", "m-10482", "mail-9")

    assert (shown.exit_code, shown.stderr) == (
        1,
        "push-services: tenant 'm-10482' has no mail 'mail-9'\n",
    )


def test_whoever_is_put_on_the_list_gets_no_more_mails_until_removed(desk: Desk) -> None:
    desk.take_in(1)
    desk.take_in(2)

    added = desk.say("suppressions", "add", "m-10482", "anna@Muster.example")
    assert added.stdout == "1 added, 0 were there already\n"
    (claim,) = desk.ledger.claim("deliver-0", 1)
    assert claim.is_suppressed
    assert desk.say("suppressions", "remove", "m-10482", "anna@muster.example").exit_code == 0
    (claim,) = desk.ledger.claim("deliver-0", 1)
    assert not claim.is_suppressed


def test_the_list_names_no_address(desk: Desk) -> None:
    desk.say("suppressions", "add", "m-10482", "anna@muster.example", "--rule", "r-1")

    listed = desk.say("suppressions", "list", "m-10482")

    assert "r-1" in listed.stdout
    assert "anna" not in listed.stdout


def test_a_file_is_read_as_a_whole_or_not_at_all(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "bounced.csv"
    file.write_text("m-1,anna@muster.example\nm-1\n")

    refused = desk.say("suppressions", "import", str(file))
    file.write_text("m-1,anna@muster.example\nm-1,ben@muster.example,r-1\n")
    taken = desk.say("suppressions", "import", str(file))

    assert (refused.exit_code, refused.stderr) == (
        1,
        f"{file}:2: allowed is TENANT,ADDRESS[,RULE]\n",
    )
    assert taken.stdout == "2 added, 0 were there already\n"


def test_bounces_are_read_from_a_mailbox_and_told_by_their_reasons(
    desk: Desk, tmp_path: Path
) -> None:
    desk.take_in(1)
    (claim,) = desk.ledger.claim("deliver-0", 1)
    desk.ledger.write([(claim, What(Fate.SENT, replace(NOBODY, code=250)))])
    token = envelope_token(KEY, TenantId("m-10482"), MailId("mail-1"))
    real, forged = (
        a_bounce(to=f"bounce+{token}@{DOMAIN}"),
        a_bounce(to=f"bounce+{'0' * 32}@{DOMAIN}"),
    )
    box = tmp_path / "bounce"
    box.write_bytes(b"From x\n" + real + b"\nFrom x\n" + forged + b"\nFrom x\nSubject: hi\n\nx\n")

    first, second = desk.say("bounces", "read", str(box)), desk.say("bounces", "read", str(box))

    assert first.stdout == ("1 bounces counted, 2 ignored\n  no_report: 1\n  unknown_mail: 1\n")
    assert "0 bounces counted, 3 ignored\n  repeated: 1" in second.stdout
    assert '"fate": "bounced"' in desk.say("deliveries", "show", "m-10482", "mail-1").stdout


def test_a_mailbox_that_is_not_there_is_said_so(desk: Desk) -> None:
    said = desk.say("bounces", "read", "/no/such/mailbox")

    assert (said.exit_code, said.stderr) == (
        1,
        "/no/such/mailbox: cannot be read: No such file or directory\n",
    )
