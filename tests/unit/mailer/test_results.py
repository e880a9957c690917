from datetime import timedelta

import pytest

from mailer.replies import Phase, Reply
from mailer.results import PAUSES, Fate, State, after, meaning

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
TWICE = (MINUTE, HOUR)


def a_reply(code: int | None, text: str = "", phase: Phase = Phase.RCPT) -> Reply:
    if code is None:
        return Reply.missing("connection closed", phase)
    return Reply.read(code, text.encode(), phase, None)


# Each row of email.md section 4, and where two of its sentences meet.
@pytest.mark.parametrize(
    ("code", "text", "phase", "fate"),
    [
        pytest.param(250, "2.0.0 queued", Phase.CONTENT, Fate.SENT, id="accepted"),
        pytest.param(None, "", Phase.CONNECT, Fate.RELAY_TROUBLE, id="connection refused"),
        pytest.param(421, "4.3.2 busy", Phase.GREETING, Fate.RELAY_TROUBLE, id="busy greeting"),
        pytest.param(554, "5.7.1 no", Phase.GREETING, Fate.RELAY_TROUBLE, id="554 at connect"),
        pytest.param(None, "", Phase.STARTTLS, Fate.RELAY_TROUBLE, id="no STARTTLS"),
        pytest.param(535, "5.7.8 no", Phase.AUTH, Fate.RELAY_TROUBLE, id="bad credentials"),
        pytest.param(530, "5.7.0 log in", Phase.MAIL, Fate.RELAY_TROUBLE, id="not logged in"),
        pytest.param(550, "5.7.8 log in", Phase.RCPT, Fate.RELAY_TROUBLE, id="login by detail"),
        pytest.param(None, "", Phase.RCPT, Fate.DEFERRED, id="lost before the content"),
        pytest.param(421, "4.4.2 bye", Phase.MAIL, Fate.DEFERRED, id="421"),
        pytest.param(421, "4.3.2 bye", Phase.CONTENT, Fate.DEFERRED, id="421 after the dot"),
        pytest.param(450, "", Phase.RCPT, Fate.DEFERRED, id="450"),
        pytest.param(451, "4.7.1 greylisted", Phase.RCPT, Fate.DEFERRED, id="greylisting"),
        pytest.param(451, "4.7.28 slow down", Phase.CONTENT, Fate.DEFERRED, id="rate"),
        pytest.param(452, "4.2.2 full", Phase.RCPT, Fate.DEFERRED, id="full for now"),
        pytest.param(552, "5.2.2 full", Phase.RCPT, Fate.DEFERRED, id="full"),
        pytest.param(550, "5.2.2 full", Phase.CONTENT, Fate.DEFERRED, id="full, said with 550"),
        pytest.param(552, "mailbox full", Phase.RCPT, Fate.DEFERRED, id="full in words"),
        pytest.param(
            552, "exceeded storage allocation", Phase.CONTENT, Fate.DEFERRED, id="RFC 5321's own"
        ),
        pytest.param(552, "size exceeds limit", Phase.MAIL, Fate.TOO_LARGE, id="size in words"),
        pytest.param(552, "5.3.4 too big", Phase.MAIL, Fate.TOO_LARGE, id="size by detail"),
        pytest.param(550, "5.1.1 nobody", Phase.RCPT, Fate.DEAD_ADDRESS, id="no such mailbox"),
        pytest.param(550, "5.1.2 nowhere", Phase.RCPT, Fate.DEAD_ADDRESS, id="no such host"),
        pytest.param(550, "5.1.3 what", Phase.RCPT, Fate.DEAD_ADDRESS, id="bad syntax"),
        pytest.param(550, "5.1.6 moved", Phase.RCPT, Fate.DEAD_ADDRESS, id="moved"),
        pytest.param(550, "5.1.10 null MX", Phase.RCPT, Fate.DEAD_ADDRESS, id="null MX"),
        pytest.param(550, "5.2.1 disabled", Phase.CONTENT, Fate.DEAD_ADDRESS, id="disabled"),
        pytest.param(550, "5.1.1 you?", Phase.MAIL, Fate.REFUSED, id="our own address is none"),
        pytest.param(550, "5.1.8 you?", Phase.MAIL, Fate.REFUSED, id="bad sender"),
        pytest.param(550, "5.7.1 spam", Phase.CONTENT, Fate.POLICY_REFUSED, id="policy"),
        pytest.param(550, "5.7.26 DMARC", Phase.CONTENT, Fate.POLICY_REFUSED, id="DMARC"),
        pytest.param(550, "5.7.515 bulk", Phase.CONTENT, Fate.POLICY_REFUSED, id="bulk"),
        pytest.param(550, "5.6.7 UTF-8", Phase.CONTENT, Fate.CONTENT_REFUSED, id="content"),
        pytest.param(550, "no", Phase.RCPT, Fate.REFUSED, id="550 without detail"),
        pytest.param(554, "no", Phase.CONTENT, Fate.REFUSED, id="554 after the dot"),
        pytest.param(450, "5.1.1 nobody", Phase.RCPT, Fate.DEAD_ADDRESS, id="detail wins, dead"),
        pytest.param(550, "4.2.0 later", Phase.RCPT, Fate.DEFERRED, id="detail wins, later"),
        pytest.param(550, "2.1.5 ok", Phase.RCPT, Fate.REFUSED, id="a detail that is no complaint"),
        pytest.param(None, "", Phase.CONTENT, Fate.IN_DOUBT, id="lost after the content"),
        pytest.param(354, "go on", Phase.CONTENT, Fate.IN_DOUBT, id="asked for more content"),
        pytest.param(250, "ok", Phase.DATA, Fate.DEFERRED, id="an ok in place of go ahead"),
        pytest.param(999, "blah", Phase.RCPT, Fate.DEFERRED, id="no SMTP"),
        pytest.param(999, "blah", Phase.CONTENT, Fate.IN_DOUBT, id="no SMTP after the content"),
    ],
)
def test_a_reply_means(code: int | None, text: str, phase: Phase, fate: Fate) -> None:
    assert meaning(a_reply(code, text, phase)) is fate


@pytest.mark.parametrize(("attempt", "pause"), [(0, MINUTE), (1, HOUR), (2, HOUR), (50, HOUR)])
def test_a_deferred_mail_waits_by_the_schedule_whose_last_pause_repeats(
    attempt: int, pause: timedelta
) -> None:
    result = after(a_reply(451, "later"), attempt, TWICE)

    assert (result.fate, result.pause) == (Fate.DEFERRED, pause)


@pytest.mark.parametrize(("chance", "factor"), [(0.0, 0.8), (0.5, 1.0), (1.0, 1.2)])
def test_a_pause_is_up_to_a_fifth_shorter_or_longer(chance: float, factor: float) -> None:
    result = after(a_reply(451, "later"), 0, TWICE, chance)

    assert result.pause == MINUTE * factor


@pytest.mark.parametrize(
    ("reply", "answered"),
    [
        pytest.param(a_reply(451, "later"), True, id="deferred"),
        pytest.param(a_reply(550, "5.1.1 nobody"), True, id="refused"),
        pytest.param(a_reply(None, phase=Phase.CONTENT), True, id="in doubt: 354 had come"),
        pytest.param(a_reply(None), False, id="lost"),
        pytest.param(a_reply(421), False, id="421"),
        pytest.param(a_reply(450, "4.3.2 busy"), False, id="busy"),
        pytest.param(a_reply(450, "4.4.1 away"), False, id="away"),
        pytest.param(a_reply(None, phase=Phase.CONNECT), False, id="not connected"),
        pytest.param(a_reply(530, "5.7.0 log in", Phase.MAIL), False, id="our set-up"),
    ],
)
def test_a_reply_answers_a_mail_where_it_is_about_the_mail(reply: Reply, answered: bool) -> None:
    assert after(reply, 0).was_answered is answered


def test_trouble_of_the_relay_is_no_attempt() -> None:
    result = after(a_reply(None, phase=Phase.CONNECT), 50, TWICE)

    assert result.fate is Fate.RELAY_TROUBLE
    assert not result.fate.is_attempt


def test_the_pauses_grow_up_to_four_hours() -> None:
    assert list(PAUSES) == sorted(PAUSES)
    assert (PAUSES[0], PAUSES[-1]) == (timedelta(seconds=10), 4 * HOUR)


def test_every_fate_leads_to_one_state() -> None:
    states = {fate: fate.state for fate in Fate}

    assert [f for f in Fate if states[f] is State.SENT] == [Fate.SENT]
    assert [f for f in Fate if states[f] is State.WAITING] == [
        Fate.DEFERRED,
        Fate.IN_DOUBT,
        Fate.RELAY_TROUBLE,
        Fate.POSTPONED,
        Fate.RATE_LIMITED,
    ]
    assert [f for f in Fate if states[f] is State.SUPPRESSED] == [Fate.SUPPRESSED]


def test_a_long_reply_is_cut() -> None:
    assert len(a_reply(550, "x" * 5000).text) == 300


def test_controls_in_a_reply_become_spaces() -> None:
    assert a_reply(550, "a\x00b\x1b[31m\nc\u2028d").text == "a b [31m c d"
