"""Which bounces count, and that nothing strangers write does more than be ignored."""

import email
from datetime import UTC, datetime, timedelta
from email import policy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.addressing import names_of
from mailer.bounce_reading import LARGEST, read_bounce
from mailer.bouncing import Heard, Listener
from mailer.mailboxes import mails_at, mails_in
from mailer.memory import MemoryLedger
from mailer.ports import Arrival
from mailer.replies import Phase, Reply
from mailer.results import Fate, Result, State
from mailer.tokens import envelope_token
from schemas.records import Record
from schemas.vocabulary import MailId, TenantId
from tests.builders import an_outgoing_mail
from tests.examples import examples

KEY = "a key of sixteen"
DOMAIN = "bounce.push.example"
MAIL = an_outgoing_mail()
TOKEN = envelope_token(KEY, MAIL.tenant_id, MAIL.mail_id)
SENT = Result(Fate.SENT, Reply(250, "2.0.0", "2.0.0 queued", Phase.CONTENT))

BOUNCE = """\
X-Original-To: {to}
Received: by mta.push.example; Wed, 25 Nov 2026 17:19:01 +0000
From: Mail Delivery System <MAILER-DAEMON@mta.push.example>
To: {to}
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: {kind}; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

Nobody is there.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mta.push.example

{recipients}
--b
Content-Type: text/rfc822-headers

Subject: Von Bank abgelehnt

--b--
"""
RECIPIENT = """\
Final-Recipient: rfc822; {address}
Action: {action}
Status: {status}
Diagnostic-Code: {diagnostic}
"""


def recipient(**changes: str) -> str:
    said = {
        "address": "anna@muster.example",
        "action": "failed",
        "status": "5.1.1",
        "diagnostic": "smtp; 550 5.1.1 <anna@muster.example> User unknown",
    }
    return RECIPIENT.format(**said | changes)


def a_bounce(
    *recipients: str, to: str = f"bounce+{TOKEN}@{DOMAIN}", kind: str = "multipart/report"
) -> bytes:
    blocks = "\n".join(recipients or [recipient()])
    return BOUNCE.format(to=to, kind=kind, recipients=blocks).replace("\n", "\r\n").encode()


class World:
    """A ledger with one mail that was sent."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 24, tzinfo=UTC)
        self.ledger = MemoryLedger(lambda: self.at)
        record = Record("outgoing-mail", 0, 1, -1, None, b"bytes")
        self.ledger.take_in([Arrival.of(MAIL, record, names_of(KEY)(MAIL))])
        self.ledger.write([(claim, SENT) for claim in self.ledger.claim("deliver-0", 1)])

    def hear(self, source: bytes, key: str = KEY) -> Heard:
        return Listener(ledger=self.ledger, key=key, domain=DOMAIN).hear(read_bounce(source))

    @property
    def suppressed(self) -> int:
        return len(self.ledger.of_tenant(MAIL.tenant_id))

    @property
    def mail(self) -> Any:
        return self.ledger.standing(MAIL.tenant_id, MAIL.mail_id)


@pytest.fixture
def world() -> World:
    return World()


def test_a_bounce_from_a_dead_address_suppresses_it_and_the_row_says_so(world: World) -> None:
    assert world.hear(a_bounce()) is Heard.COUNTED

    assert world.suppressed == 1
    assert (world.mail.state, world.mail.fate) == (State.FAILED, Fate.BOUNCED)
    assert (world.mail.reply_code, world.mail.reply_detail) == (550, "5.1.1")
    assert world.mail.owes_report
    assert "anna" not in world.mail.reply_text


def test_heard_again_nothing_more_happens(world: World) -> None:
    world.hear(a_bounce())
    before = world.mail
    world.at += timedelta(days=200)
    world.ledger.forget_suppressions(9)

    assert world.hear(a_bounce()) is Heard.REPEATED

    assert world.mail == before
    assert world.suppressed == 0


@pytest.mark.parametrize(
    ("source", "heard"),
    [
        pytest.param(b"", Heard.NO_REPORT, id="nothing"),
        pytest.param(b"\xff\x00\xfe" * 999, Heard.NO_REPORT, id="no mail at all"),
        pytest.param(b"Subject: I am away\r\n\r\nback on Monday", Heard.NO_REPORT, id="a reply"),
        pytest.param(a_bounce(kind="multipart/mixed"), Heard.NO_REPORT, id="not a report"),
        pytest.param(a_bounce("X: y\n"), Heard.NO_REPORT, id="a report about nobody"),
        pytest.param(a_bounce(to="bounce@" + DOMAIN), Heard.NOT_ADDRESSED, id="no token"),
        pytest.param(
            a_bounce(to=f"bounce+{TOKEN}@evil.example"), Heard.NOT_ADDRESSED, id="another domain"
        ),
        pytest.param(
            a_bounce(to=f"bounce+{TOKEN}@{DOMAIN}.evil.example"),
            Heard.NOT_ADDRESSED,
            id="a longer domain",
        ),
        pytest.param(
            a_bounce(to=f"x-bounce+{TOKEN}@{DOMAIN}"), Heard.NOT_ADDRESSED, id="another mailbox"
        ),
        pytest.param(
            a_bounce(to=f"bounce+{'0' * 32}@{DOMAIN}"), Heard.UNKNOWN_MAIL, id="forged token"
        ),
        pytest.param(
            a_bounce(to=f"bounce+{envelope_token(KEY, TenantId('other'), MAIL.mail_id)}@{DOMAIN}"),
            Heard.UNKNOWN_MAIL,
            id="the same mail id of another tenant",
        ),
        pytest.param(
            a_bounce(recipient(address="x@y.example"), recipient(address="z@y.example")),
            Heard.OTHER_RECIPIENT,
            id="two others",
        ),
        pytest.param(a_bounce(recipient(action="delayed")), Heard.NOT_FINAL, id="late"),
        pytest.param(a_bounce(recipient(action="delivered")), Heard.NOT_FINAL, id="delivered"),
        pytest.param(a_bounce(recipient(status="what")), Heard.NOT_FINAL, id="no status"),
        pytest.param(
            a_bounce(recipient(status="5.2.2", diagnostic="smtp; 552 5.2.2 full")),
            Heard.NOT_DEAD,
            id="a full mailbox",
        ),
        pytest.param(
            a_bounce(recipient(status="5.7.1", diagnostic="smtp; 550 5.7.1 spam")),
            Heard.NOT_DEAD,
            id="our reputation",
        ),
        pytest.param(
            a_bounce(recipient(status="4.4.1", diagnostic="smtp; 450 gone")),
            Heard.NOT_DEAD,
            id="for now",
        ),
        pytest.param(
            a_bounce(recipient(status="5.0.0", diagnostic="smtp; 550 no")),
            Heard.NOT_DEAD,
            id="a status that says nothing",
        ),
    ],
)
def test_it_is_ignored_and_changes_nothing(world: World, source: bytes, heard: Heard) -> None:
    before = world.mail

    assert world.hear(source) is heard

    assert world.mail == before
    assert world.suppressed == 0


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({"status": "5.0.0"}, id="the code is in the diagnostic"),
        pytest.param({"diagnostic": "X-Postfix; unknown user"}, id="no code of SMTP"),
        pytest.param({"status": "5.1.1 (bad destination mailbox)"}, id="a comment"),
        pytest.param({"address": "anna@internal.muster.example"}, id="a rewritten address"),
        pytest.param({"action": "Failed"}, id="another case"),
    ],
)
def test_servers_say_it_in_many_ways(world: World, said: dict[str, str]) -> None:
    assert world.hear(a_bounce(recipient(**said))) is Heard.COUNTED


def test_of_several_recipients_the_mails_own_is_what_counts(world: World) -> None:
    others = recipient(address="x@y.example")

    assert world.hear(a_bounce(others, recipient(status="5.2.2"))) is Heard.NOT_DEAD
    assert world.hear(a_bounce(others, recipient(address="anna@MUSTER.example"))) is Heard.COUNTED


def test_case_may_be_lost_on_the_way(world: World) -> None:
    assert world.hear(a_bounce(to=f"BOUNCE+{TOKEN.upper()}@{DOMAIN.upper()}")) is Heard.COUNTED


def test_a_mail_that_failed_otherwise_stays_as_it_is(world: World) -> None:
    other = an_outgoing_mail(mail_id=MailId("mail-2"))
    record = Record("outgoing-mail", 0, 2, -1, None, b"bytes")
    world.ledger.take_in([Arrival.of(other, record, names_of(KEY)(other))])
    (claim,) = world.ledger.claim("deliver-0", 1)
    world.ledger.write([(claim, Result(Fate.EXPIRED))])
    token = envelope_token(KEY, other.tenant_id, other.mail_id)

    assert world.hear(a_bounce(to=f"bounce+{token}@{DOMAIN}")) is Heard.ENDED
    assert world.suppressed == 0


def test_a_token_made_with_another_key_does_not_verify(world: World) -> None:
    assert world.hear(a_bounce(), key="another key of sixteen") is Heard.UNKNOWN_MAIL


def test_a_report_in_a_wrong_charset_is_read_nevertheless(world: World) -> None:
    source = a_bounce().replace(b"User unknown", b"Unbekannt: M\xfcller \xff")
    source = source.replace(b"text/plain", b"text/plain; charset=no-such-thing")

    assert world.hear(source) is Heard.COUNTED


def test_only_the_beginning_of_a_huge_bounce_is_read(world: World) -> None:
    assert world.hear(a_bounce() + b"x" * 40_000_000) is Heard.COUNTED
    assert world.hear(b"X: " + b"y" * LARGEST + b"\r\n" + a_bounce()) is Heard.NO_REPORT


def test_a_report_that_is_nested_too_deep_is_no_report(world: World) -> None:
    parts = [
        f"Content-Type: multipart/report; boundary=b{n}\r\n\r\n--b{n}\r\n" for n in range(9_000)
    ]

    assert world.hear("".join(parts).encode() + a_bounce()) is Heard.NO_REPORT


def test_a_report_of_many_recipients_ends(world: World) -> None:
    many = [recipient(address=f"x{n}@y.example") for n in range(1_500)]

    assert world.hear(a_bounce(*many)) is Heard.OTHER_RECIPIENT


# What strangers write: pieces of bounces in any order, and a bounce whose status is anything.
# Planted and found: a listener that takes for granted that there is a status.
pieces = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([*a_bounce().splitlines(keepends=True), b"\r\n", b"--b", b"--b--\r\n"]),
    st.text(max_size=20).map(lambda text: f"Status: {text}\r\n".encode(errors="replace")),
    st.text(max_size=20).map(lambda t: f"Diagnostic-Code: {t}\r\n".encode(errors="replace")),
)


@given(st.lists(pieces, max_size=40), st.booleans())
@examples(1.5)
def test_nothing_that_strangers_write_raises(parts: list[bytes], begun: bool) -> None:
    source = (a_bounce().partition(b"Status:")[0] if begun else b"") + b"".join(parts)

    assert World().hear(source) in Heard


# Mailboxes


def test_an_mbox_file_is_cut_where_a_mail_begins(tmp_path: Path) -> None:
    box = tmp_path / "bounce"
    box.write_bytes(b"From x\nA: 1\n\nFrom here on\nfrom\n\nFrom y\nB: 2\n\n>From\n\n")

    mails = list(mails_at(box))

    # "From " after a blank line begins a mail: whoever writes one in a body must quote it.
    assert mails == [b"A: 1\n\n", b"from\n\n", b"B: 2\n\n>From\n\n"]


def test_a_file_of_one_mail_is_one_mail(tmp_path: Path) -> None:
    file = tmp_path / "mail.eml"
    file.write_bytes(a_bounce())

    assert list(mails_at(file)) == [a_bounce()]


def test_a_maildir_has_a_file_a_mail_seen_or_not(tmp_path: Path) -> None:
    for name, content in (("new/1", b"A: 1\n"), ("cur/2:2,S", b"B: 2\n"), ("tmp/3", b"C: 3\n")):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)

    assert sorted(mails_at(tmp_path)) == [b"A: 1\n", b"B: 2\n"]


def test_of_a_mail_without_end_only_the_beginning_is_kept() -> None:
    lines = [b"A: 1\n", b"\n", *[b"x" * 99_999 + b"\n"] * 20, b"\n", b"From y\n", b"B: 2\n"]

    first, second = mails_in(lines)

    assert len(first) < 1_000_000
    assert second == b"B: 2\n"


def test_the_bounces_of_these_tests_are_what_a_parser_calls_reports() -> None:
    message = email.message_from_bytes(a_bounce(), policy=policy.default)

    assert message.defects == []
    assert message.get_content_type() == "multipart/report"
