from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mailer.deciding import before, is_trouble, may_go_elsewhere, opens_at_once
from mailer.ports import Claim
from mailer.replies import Phase, Reply
from mailer.results import Fate
from schemas.vocabulary import EventId, MailId, RuleId, TenantId

DAY = timedelta(days=1)
TAKEN_IN = datetime(2026, 11, 20, 8, tzinfo=UTC)
FRESH = Claim(
    tenant_id=TenantId("acme"),
    mail_id=MailId("mail-1"),
    event_id=EventId("event-1"),
    rule_id=RuleId("rule-1"),
    owner="deliver-0",
    number=1,
    attempts=0,
    in_doubt_count=0,
    was_answered=False,
    is_suppressed=False,
    claimed_at=TAKEN_IN,
    taken_in_at=TAKEN_IN,
    expires_at=TAKEN_IN + DAY,
    value=b"",
)


def fate(claim: Claim) -> Fate | None:
    result = before(claim, 5 * DAY)
    return None if result is None else result.fate


def test_a_fresh_mail_is_tried() -> None:
    assert fate(FRESH) is None


def test_whoever_is_suppressed_is_sent_nothing() -> None:
    assert fate(replace(FRESH, is_suppressed=True)) is Fate.SUPPRESSED


@pytest.mark.parametrize(
    ("age", "answered", "expected"),
    [
        pytest.param(DAY, True, Fate.EXPIRED, id="answered, and too late to be worth reading"),
        pytest.param(DAY * 0.99, True, None, id="answered, and still worth reading"),
        pytest.param(DAY * 4, False, None, id="the relay is away over a weekend"),
        pytest.param(DAY * 5, False, Fate.EXPIRED, id="the relay is away for good"),
    ],
)
def test_a_mail_expires_only_after_a_reply_to_it(
    age: timedelta, answered: bool, expected: Fate | None
) -> None:
    claim = replace(FRESH, claimed_at=TAKEN_IN + age, was_answered=answered)

    assert fate(claim) is expected


def test_a_mail_that_waits_for_its_relay_is_never_given_less_time_than_any_other() -> None:
    late = replace(FRESH, expires_at=TAKEN_IN + 9 * DAY, claimed_at=TAKEN_IN + 8 * DAY)

    assert fate(late) is None


@pytest.mark.parametrize(
    ("reply", "trouble", "at_once", "elsewhere"),
    [
        pytest.param(Reply(None, None, "", Phase.CONNECT), True, False, True, id="not connected"),
        pytest.param(Reply(421, None, "", Phase.GREETING), True, False, True, id="busy"),
        pytest.param(Reply(554, None, "", Phase.GREETING), True, True, True, id="554 at connect"),
        pytest.param(Reply(None, None, "", Phase.STARTTLS), True, True, True, id="no encryption"),
        pytest.param(Reply(535, "5.7.8", "", Phase.AUTH), True, True, True, id="credentials"),
        pytest.param(Reply(530, "5.7.0", "", Phase.MAIL), True, True, True, id="not logged in"),
        pytest.param(Reply(421, None, "", Phase.MAIL), True, False, True, id="421"),
        pytest.param(Reply(None, None, "", Phase.RCPT), True, False, True, id="lost before"),
        pytest.param(Reply(None, None, "", Phase.CONTENT), True, False, False, id="lost after"),
        pytest.param(Reply(421, None, "", Phase.CONTENT), True, False, False, id="421 after"),
        pytest.param(Reply(451, None, "", Phase.RCPT), False, False, False, id="deferred"),
        pytest.param(Reply(550, None, "", Phase.RCPT), False, False, False, id="refused"),
        pytest.param(Reply(554, None, "", Phase.CONTENT), False, False, False, id="content"),
        pytest.param(Reply(250, None, "", Phase.CONTENT), False, False, False, id="accepted"),
    ],
)
def test_a_reply_says_of_the_server(
    reply: Reply, trouble: bool, at_once: bool, elsewhere: bool
) -> None:
    told = (is_trouble(reply), is_trouble(reply) and opens_at_once(reply), may_go_elsewhere(reply))

    assert told == (trouble, at_once, elsewhere)
