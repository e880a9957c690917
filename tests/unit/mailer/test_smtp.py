import select
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from time import monotonic
from typing import Any

import pytest

from mailer.ports import TERMS, Envelope
from mailer.replies import Phase, Reply
from mailer.smtp import Keeping, SmtpRelay, xtext
from mailer.smtp_client import Conversation, MailServer, Timeouts, Tls
from schemas.addresses import EmailAddress
from schemas.vocabulary import MailId
from tests.smtp_fake import Deed, Moment, SmtpFake, smtp_fake, trusting_context

ANNA = EmailAddress("anna@muster.example")
PUSH = EmailAddress("push@mail.example")
ENVELOPE = Envelope(sender=PUSH, recipient=ANNA, mail_id=MailId("mail-1"))
CONTENT = b"Subject: x\r\n\r\nhello\r\n"
SHORT = timedelta(milliseconds=300)


class Watch:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@contextmanager
def relay_to(fake: SmtpFake, **changes: Any) -> Iterator[SmtpRelay]:
    server: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": fake.port,
        "tls": Tls.NONE,
        "hello_name": "test",
    }
    server |= {name: changes.pop(name) for name in list(changes) if name in _OF_THE_SERVER}
    parts: dict[str, Any] = {"seconds": Watch(), "context": trusting_context()} | changes
    relay = SmtpRelay(server=MailServer(**server), **parts)
    try:
        yield relay
    finally:
        relay.close()


_OF_THE_SERVER = ("host", "tls", "username", "password")


def handed_over(relay: SmtpRelay, content: bytes = CONTENT) -> Reply:
    reply = relay.hand_over(ENVELOPE, content, lambda: True)
    assert reply is not None
    return reply


def test_lines_that_start_with_a_dot_arrive_as_they_were() -> None:
    content = b".\r\n..\r\n.x\r\nx.\r\n"
    with smtp_fake() as fake, relay_to(fake) as relay:
        handed_over(relay, content)

        assert fake.arrived[0].content == content


def test_content_larger_than_a_block_arrives_whole() -> None:
    content = b"0123456789abcde\r\n" * 20_000
    with smtp_fake() as fake, relay_to(fake) as relay:
        handed_over(relay, content)

        assert fake.arrived[0].content == content


def test_the_size_is_announced_where_the_server_asks_for_it() -> None:
    with smtp_fake() as fake, relay_to(fake) as relay:
        handed_over(relay)

        assert f"MAIL FROM:<push@mail.example> SIZE={len(CONTENT)}" in fake.commands


def test_the_size_is_not_announced_to_a_server_that_does_not_know_it() -> None:
    with smtp_fake(features=()) as fake, relay_to(fake) as relay:
        handed_over(relay)

        assert "MAIL FROM:<push@mail.example>" in fake.commands


@pytest.mark.parametrize(
    ("offered", "tls"),
    [
        pytest.param({"starttls": True}, Tls.STARTTLS, id="starttls"),
        pytest.param({"implicit_tls": True}, Tls.IMPLICIT, id="implicit"),
    ],
)
def test_two_mails_go_over_one_encrypted_connection(offered: dict[str, bool], tls: Tls) -> None:
    with smtp_fake(**offered) as fake, relay_to(fake, tls=tls) as relay:  # type: ignore[arg-type]
        replies = [handed_over(relay), handed_over(relay)]

        assert [reply.code for reply in replies] == [250, 250]
        assert fake.connections == 1


def test_credentials_go_over_the_encrypted_connection() -> None:
    with (
        smtp_fake(starttls=True, features=["AUTH PLAIN"]) as fake,
        relay_to(fake, tls=Tls.STARTTLS, username="push", password="geheim") as relay,
    ):
        assert handed_over(relay).code == 250
        assert fake.commands[1:4] == ["STARTTLS", "ehlo test", "AUTH PLAIN AHB1c2gAZ2VoZWlt"]


def test_a_server_without_starttls_gets_no_mail() -> None:
    with smtp_fake() as fake, relay_to(fake, tls=Tls.STARTTLS) as relay:
        reply = handed_over(relay)

        assert reply == Reply(None, None, "not offered by the server", Phase.STARTTLS)
        assert not any(command.startswith("MAIL") for command in fake.commands)


def test_a_refused_starttls_stops_before_the_mail() -> None:
    script = {Moment.STARTTLS: ["454 4.7.0 not now"]}
    with smtp_fake(script, starttls=True) as fake, relay_to(fake, tls=Tls.STARTTLS) as relay:
        reply = handed_over(relay)

        assert (reply.code, reply.phase) == (454, Phase.STARTTLS)


@pytest.mark.parametrize(
    ("host", "context"),
    [
        pytest.param("127.0.0.1", ssl.create_default_context(), id="signed by nobody we know"),
        pytest.param("127.0.0.2", trusting_context(), id="of another name"),
    ],
)
def test_a_bad_certificate_stops_before_the_mail(host: str, context: ssl.SSLContext) -> None:
    with (
        smtp_fake(starttls=True, host=host) as fake,
        relay_to(fake, tls=Tls.STARTTLS, host=host, context=context) as relay,
    ):
        reply = handed_over(relay)

    assert (reply.code, reply.phase) == (None, Phase.STARTTLS)
    assert reply.text.startswith("certificate refused: ")


def test_refused_credentials_stop_before_the_mail() -> None:
    script = {Moment.AUTH: ["535 5.7.8 no"]}
    with (
        smtp_fake(script, features=["AUTH PLAIN"]) as fake,
        relay_to(fake, username="push", password="x") as relay,
    ):
        reply = handed_over(relay)

        assert (reply.code, reply.detail, reply.phase) == (535, "5.7.8", Phase.AUTH)


def test_a_password_that_smtplib_cannot_say_is_a_fault_of_authentication() -> None:
    with (
        smtp_fake(features=["AUTH PLAIN"]) as fake,
        relay_to(fake, username="push", password="Schlüssel") as relay,
    ):
        reply = handed_over(relay)

        assert reply.phase is Phase.AUTH
        assert "Schl" not in reply.text


def test_a_server_that_is_away_is_trouble_of_connecting() -> None:
    with smtp_fake() as fake:
        pass
    with relay_to(fake) as relay:
        assert handed_over(relay) == Reply(None, None, "connection refused", Phase.CONNECT)


def test_a_host_nobody_knows_is_trouble_of_connecting() -> None:
    with smtp_fake() as fake, relay_to(fake, host="smtp.invalid") as relay:
        assert handed_over(relay) == Reply(None, None, "host name not found", Phase.CONNECT)


@pytest.mark.parametrize("greeting", ["421 4.3.2 busy", "554 5.7.1 no service for you"])
def test_an_unfriendly_greeting_is_a_reply_of_the_greeting(greeting: str) -> None:
    with smtp_fake({Moment.GREETING: [greeting]}) as fake, relay_to(fake) as relay:
        reply = handed_over(relay)

        assert (reply.code, reply.phase) == (int(greeting[:3]), Phase.GREETING)


_PHASES = [
    (Moment.GREETING, Phase.GREETING),
    (Moment.EHLO, Phase.EHLO),
    (Moment.MAIL, Phase.MAIL),
    (Moment.RCPT, Phase.RCPT),
    (Moment.DATA, Phase.DATA),
    (Moment.CONTENT, Phase.CONTENT),
]


@pytest.mark.parametrize(("moment", "phase"), _PHASES)
@pytest.mark.parametrize(
    ("turn", "why"),
    [(Deed.DROP, "connection closed"), (Deed.HANG, "timed out"), ("blah", None)],
)
def test_no_answer_is_a_reply_without_a_code(
    moment: Moment, phase: Phase, turn: Deed | str, why: str | None
) -> None:
    timeouts = Timeouts(
        connect=SHORT,
        greeting=SHORT,
        set_up=SHORT,
        mail=SHORT,
        rcpt=SHORT,
        data=SHORT,
        final_dot=SHORT,
    )
    script = {moment: [turn, turn]}  # a lost EHLO is followed by HELO
    with smtp_fake(script) as fake, relay_to(fake, timeouts=timeouts) as relay:
        reply = handed_over(relay)

        assert (reply.code, reply.phase) == (None, phase)
        assert why in (None, reply.text)


def test_a_connection_that_breaks_within_the_content_leaves_doubt() -> None:
    content = b"0123456789abcde\r\n" * 200_000
    with smtp_fake({Moment.BODY: [Deed.DROP]}) as fake, relay_to(fake) as relay:
        reply = handed_over(relay, content)

        assert (reply.code, reply.phase) == (None, Phase.CONTENT)


def test_a_connection_that_got_old_is_replaced() -> None:
    watch = Watch()
    with smtp_fake() as fake, relay_to(fake, seconds=watch) as relay:
        for watch.seconds in (0, 59, 118, 177, 236, 295, 354):
            handed_over(relay)

        assert fake.connections == 2
        assert fake.commands.count("QUIT") == 1


def test_a_connection_that_was_idle_for_long_is_replaced() -> None:
    watch = Watch()
    with smtp_fake() as fake, relay_to(fake, seconds=watch) as relay:
        handed_over(relay)
        watch.seconds = 61
        handed_over(relay)

        assert fake.connections == 2


def test_a_connection_that_carried_many_mails_is_replaced() -> None:
    with smtp_fake() as fake, relay_to(fake, keeping=Keeping(most_mails=2)) as relay:
        for _ in range(5):
            handed_over(relay)

        assert fake.connections == 3


def test_a_connection_that_rested_is_asked_first() -> None:
    watch = Watch()
    with smtp_fake() as fake, relay_to(fake, seconds=watch) as relay:
        handed_over(relay)
        watch.seconds = 6
        handed_over(relay)

        assert fake.commands.count("RSET") == 1
        assert fake.connections == 1


def test_a_connection_that_fails_the_question_is_replaced_without_harm() -> None:
    watch = Watch()
    script = {Moment.RSET: ["421 4.4.2 idle for too long"]}
    with smtp_fake(script) as fake, relay_to(fake, seconds=watch) as relay:
        handed_over(relay)
        watch.seconds = 6

        assert handed_over(relay).code == 250
        assert fake.connections == 2


def test_a_server_that_spoke_unasked_is_not_trusted() -> None:
    with smtp_fake() as fake, relay_to(fake) as relay:
        handed_over(relay)
        connection = relay._connection
        assert connection is not None
        connection.send(b"NOOP\r\n", Phase.MAIL, SHORT)  # its answer is read by nobody
        _until_readable(connection)

        assert handed_over(relay).code == 250
        assert fake.connections == 2


def _until_readable(connection: Conversation) -> None:
    assert connection._client is not None
    assert connection._client.sock is not None
    select.select([connection._client.sock], [], [], 10)


def test_a_reply_of_many_lines_is_one_line() -> None:
    script = {Moment.RCPT: ["550-5.1.1 nobody\r\n550 5.1.1 here"]}
    with smtp_fake(script) as fake, relay_to(fake) as relay:
        assert handed_over(relay).text == "5.1.1 nobody 5.1.1 here"


def test_no_address_gets_out_of_a_reply() -> None:
    script = {Moment.RCPT: ['550 5.1.1 <Anna@muster.example> "a b"@x.example: anna unknown']}
    with smtp_fake(script) as fake, relay_to(fake) as relay:
        reply = handed_over(relay)

        assert reply.text == "5.1.1 <[address]> [address]: [address] unknown"
        assert reply.detail == "5.1.1"


def test_a_server_shows_neither_name_nor_password() -> None:
    server = MailServer(host="smtp.example", username="push", password="geheim")

    assert "push" not in repr(server)
    assert "geheim" not in repr(server)


def test_breaking_off_ends_a_wait_for_the_final_reply() -> None:
    with smtp_fake({Moment.CONTENT: [Deed.HANG]}) as fake, relay_to(fake) as relay:
        started = threading.Event()
        replies: list[Reply | None] = []

        def starting() -> bool:
            started.set()
            return True

        thread = threading.Thread(
            target=lambda: replies.append(relay.hand_over(ENVELOPE, CONTENT, starting))
        )
        thread.start()
        started.wait(10)
        relay.break_off()
        thread.join(10)

        assert [(r.code, r.phase) for r in replies if r] == [(None, Phase.CONTENT)]


def test_a_claim_outlasts_all_that_may_follow_its_start() -> None:
    assert TERMS.lease > Timeouts().after_start


# Pipelining (RFC 2920)


def test_a_server_that_takes_several_commands_gets_them_at_once() -> None:
    with smtp_fake(features=["PIPELINING"]) as fake, relay_to(fake) as relay:
        assert [handed_over(relay).code for _ in range(2)] == [250, 250]

        assert fake.bursts == 2  # MAIL, RCPT and DATA came in one go, for both mails
        assert len(fake.arrived) == 2


def test_a_server_that_does_not_gets_them_one_by_one() -> None:
    with smtp_fake(features=[]) as fake, relay_to(fake) as relay:
        handed_over(relay)

        assert fake.bursts == 0


def test_no_content_goes_to_a_server_that_refused_the_recipient_and_is_ready_for_it() -> None:
    script = {Moment.RCPT: ["550 5.1.1 nobody"]}
    with smtp_fake(script, features=["PIPELINING"]) as fake, relay_to(fake) as relay:
        reply = handed_over(relay)

        assert (reply.code, reply.phase) == (550, Phase.RCPT)
    assert (fake.arrived, fake.unfinished) == ([], [b""])


# Reports (RFC 3461)


def test_a_server_that_reports_is_asked_for_failure_and_delay_without_the_body() -> None:
    with smtp_fake(features=["DSN"]) as fake, relay_to(fake) as relay:
        handed_over(relay)

        assert "MAIL FROM:<push@mail.example> RET=HDRS ENVID=mail-1" in fake.commands
        assert (
            "RCPT TO:<anna@muster.example> NOTIFY=FAILURE,DELAY ORCPT=rfc822;anna@muster.example"
            in fake.commands
        )


def test_a_server_that_does_not_report_is_asked_nothing() -> None:
    with smtp_fake(features=[]) as fake, relay_to(fake) as relay:
        handed_over(relay)

        assert "RCPT TO:<anna@muster.example>" in fake.commands


def test_nothing_in_an_id_can_end_a_command() -> None:
    assert xtext("a+b=c\r\nQUIT ü") == "a+2Bb+3Dc+0D+0AQUIT+20+C3+BC"


# Slowness: a whole reply has to be there in time, not just its next byte


@pytest.mark.parametrize("moment", [Moment.GREETING, Moment.EHLO, Moment.RCPT, Moment.CONTENT])
def test_a_server_that_drips_is_not_waited_for(moment: Moment) -> None:
    timeouts = Timeouts(connect=SHORT, greeting=SHORT, set_up=SHORT, rcpt=SHORT, final_dot=SHORT)
    with smtp_fake({moment: [Deed.DRIP] * 2}) as fake, relay_to(fake, timeouts=timeouts) as relay:
        began = monotonic()
        reply = handed_over(relay)

        assert (reply.code, reply.text) == (None, "timed out")
        assert monotonic() - began < 5


def test_content_that_takes_too_long_ends_without_its_dot() -> None:
    content = b"0123456789abcde\r\n" * 20_000
    timeouts = Timeouts(content=timedelta(0))
    with smtp_fake() as fake, relay_to(fake, timeouts=timeouts) as relay:
        assert handed_over(relay, content) == Reply(None, None, "timed out", Phase.DATA)
        relay.close()

    assert fake.arrived == []
