"""Each sentence of the `Relay` promise, on every adapter."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import NoReturn, Protocol

import pytest

from mailer.memory_relay import ACCEPTED, MemoryRelay
from mailer.ports import Envelope, Relay
from mailer.replies import Phase, Reply
from mailer.smtp import SmtpRelay
from mailer.smtp_client import MailServer, Tls
from schemas.addresses import EmailAddress
from schemas.errors import LedgerUnavailable
from schemas.vocabulary import MailId
from tests.smtp_fake import Deed, Moment, SmtpFake, Turn, smtp_fake

PUSH = EmailAddress("push@mail.example")
ANNA = EmailAddress("anna@muster.example")
ENVELOPE = Envelope(sender=PUSH, recipient=ANNA, mail_id=MailId("mail-1"))
CONTENT = b"Subject: x\r\n\r\n.hello\r\n"

_MOMENTS = {
    Phase.GREETING: Moment.GREETING,
    Phase.MAIL: Moment.MAIL,
    Phase.RCPT: Moment.RCPT,
    Phase.DATA: Moment.DATA,
    Phase.CONTENT: Moment.CONTENT,
}


class Stage(Protocol):
    """A relay under test, and the other side of it."""

    @property
    def relay(self) -> Relay: ...
    @property
    def arrived(self) -> Sequence[tuple[str, str, bytes]]: ...
    @property
    def connections(self) -> int: ...


@dataclass
class InMemory:
    relay: MemoryRelay

    @property
    def arrived(self) -> list[tuple[str, str, bytes]]:
        return [(t.sender.text, t.recipient.text, t.content) for t in self.relay.arrived]

    @property
    def connections(self) -> int:
        return self.relay.connections


@dataclass
class OverSmtp:
    relay: SmtpRelay
    fake: SmtpFake

    @property
    def arrived(self) -> list[tuple[str, str, bytes]]:
        return [(a.sender, a.recipient, a.content) for a in self.fake.arrived]

    @property
    def connections(self) -> int:
        return self.fake.connections


StageWith = Callable[..., Stage]


def in_memory(_stack: ExitStack, *replies: Reply) -> Stage:
    return InMemory(MemoryRelay(deque(replies)))


def over_smtp(stack: ExitStack, *replies: Reply) -> Stage:
    return over_smtp_with(stack, (), replies)


def over_pipelined_smtp(stack: ExitStack, *replies: Reply) -> Stage:
    return over_smtp_with(stack, ("PIPELINING",), replies)


def over_smtp_with(stack: ExitStack, features: Sequence[str], replies: Sequence[Reply]) -> Stage:
    script: dict[Moment, list[Turn]] = {}
    for reply in replies:
        script.setdefault(_MOMENTS[reply.phase], []).append(_turn(reply))
    fake = stack.enter_context(smtp_fake(script, features=features))
    server = MailServer(host="127.0.0.1", port=fake.port, tls=Tls.NONE, hello_name="test")
    relay = SmtpRelay(server=server, seconds=lambda: 0.0)
    stack.callback(relay.close)
    return OverSmtp(relay, fake)


def _turn(reply: Reply) -> Turn:
    if reply.code is None:
        return Deed.KEEP_AND_DROP if reply.phase is Phase.CONTENT else Deed.DROP
    return f"{reply.code} {reply.text}"


@pytest.fixture(
    params=[
        pytest.param(in_memory, id="memory"),
        pytest.param(over_smtp, id="smtp"),
        pytest.param(over_pipelined_smtp, id="pipelined"),
    ]
)
def stage_with(request: pytest.FixtureRequest) -> Iterator[StageWith]:
    with ExitStack() as stack:
        yield lambda *replies: request.param(stack, *replies)


def hand_over(stage: Stage, starting: Callable[[], bool] = lambda: True) -> Reply | None:
    return stage.relay.hand_over(ENVELOPE, CONTENT, starting)


@dataclass
class Starting:
    """Says yes, and remembers how many mails had arrived when it was asked."""

    stage: Stage
    arrived_before: list[int] = field(default_factory=list)

    def __call__(self) -> bool:
        self.arrived_before.append(len(self.stage.arrived))
        return True


def refused_at(phase: Phase) -> Reply:
    return Reply(550, "5.1.1", "5.1.1 nobody", phase)


def lost_at(phase: Phase) -> Reply:
    return Reply.missing("connection closed", phase)


_ALL_BUT_CONTENT = [Phase.GREETING, Phase.MAIL, Phase.RCPT, Phase.DATA]
_WITHIN = [Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.CONTENT]


def test_an_accepted_mail_arrives_once_and_as_it_was(stage_with: StageWith) -> None:
    stage = stage_with()

    reply = hand_over(stage)

    assert reply is not None
    assert (reply.code, reply.phase) == (250, Phase.CONTENT)
    assert stage.arrived == [(PUSH.text, ANNA.text, CONTENT)]


@pytest.mark.parametrize("phase", [*_ALL_BUT_CONTENT, Phase.CONTENT])
def test_the_reply_that_decided_is_returned_and_nothing_arrives(
    stage_with: StageWith, phase: Phase
) -> None:
    stage = stage_with(refused_at(phase))

    assert hand_over(stage) == refused_at(phase)
    assert stage.arrived == []


def test_an_ok_in_place_of_go_ahead_accepts_nothing(stage_with: StageWith) -> None:
    unexpected = Reply(250, None, "thanks", Phase.DATA)
    stage = stage_with(unexpected)

    assert hand_over(stage) == unexpected
    assert stage.arrived == []


@pytest.mark.parametrize("phase", _ALL_BUT_CONTENT)
def test_what_fails_before_the_content_leaves_no_doubt(stage_with: StageWith, phase: Phase) -> None:
    stage = stage_with(lost_at(phase))

    assert hand_over(stage) == lost_at(phase)
    assert stage.arrived == []


def test_what_fails_after_the_content_leaves_doubt(stage_with: StageWith) -> None:
    stage = stage_with(lost_at(Phase.CONTENT))

    assert hand_over(stage) == lost_at(Phase.CONTENT)
    assert len(stage.arrived) == 1  # it did, and nobody said so


@pytest.mark.parametrize("phase", _ALL_BUT_CONTENT)
def test_starting_is_not_called_before_the_server_is_ready(
    stage_with: StageWith, phase: Phase
) -> None:
    stage = stage_with(refused_at(phase))
    starting = Starting(stage)

    hand_over(stage, starting)

    assert starting.arrived_before == []


def test_starting_is_called_before_anything_arrives(stage_with: StageWith) -> None:
    stage = stage_with()
    starting = Starting(stage)

    hand_over(stage, starting)

    assert starting.arrived_before == [0]


def test_where_starting_says_no_nothing_goes_out(stage_with: StageWith) -> None:
    stage = stage_with()

    assert hand_over(stage, lambda: False) is None
    stage.relay.close()
    assert stage.arrived == []


def test_where_starting_fails_nothing_goes_out_and_the_error_is_passed_on(
    stage_with: StageWith,
) -> None:
    stage = stage_with()

    def fail() -> NoReturn:
        raise LedgerUnavailable

    with pytest.raises(LedgerUnavailable):
        hand_over(stage, fail)
    assert stage.arrived == []


def test_the_mail_after_one_that_did_not_start_goes_out_alone(stage_with: StageWith) -> None:
    stage = stage_with()
    hand_over(stage, lambda: False)

    hand_over(stage)

    assert stage.arrived == [(PUSH.text, ANNA.text, CONTENT)]
    assert stage.connections == 2


def test_accepted_mails_share_a_connection(stage_with: StageWith) -> None:
    stage = stage_with()

    replies = [hand_over(stage), hand_over(stage), hand_over(stage)]

    assert [reply and reply.code for reply in replies] == [250, 250, 250]
    assert stage.connections == 1


@pytest.mark.parametrize("phase", _WITHIN)
@pytest.mark.parametrize("reply_at", [refused_at, lost_at])
def test_after_any_other_reply_the_next_mail_gets_its_own_connection(
    stage_with: StageWith, phase: Phase, reply_at: Callable[[Phase], Reply]
) -> None:
    stage = stage_with(reply_at(phase))
    hand_over(stage)

    reply = hand_over(stage)

    assert reply is not None
    assert reply.code == ACCEPTED.code
    assert stage.connections == 2


def test_after_close_the_next_mail_opens_another_connection(stage_with: StageWith) -> None:
    stage = stage_with()
    hand_over(stage)

    stage.relay.close()
    hand_over(stage)

    assert len(stage.arrived) == 2
    assert stage.connections == 2
