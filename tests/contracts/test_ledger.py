"""Each sentence of the `Ledger` promise, on every adapter.

No test waits: what has to be over has no length, what must not be over lasts an hour.
"""

import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mailer.memory import MemoryLedger
from mailer.migrating import upgrade
from mailer.ports import Arrival, Claim, Ledger
from mailer.replies import Phase, Reply
from mailer.results import Fate, Result, State
from mailer.sql import SqlLedger, ledger_engine
from schemas.errors import InvalidValue, LedgerUnavailable
from schemas.vocabulary import EventId, MailId, RuleId, TenantId

LedgerWith = Callable[..., Ledger]

NOW = timedelta(0)
HOUR = timedelta(hours=1)
MILLISECOND = timedelta(milliseconds=1)
SENT = Result(Fate.SENT, Reply(250, "2.0.0", "2.0.0 queued", Phase.CONTENT))
REFUSED = Result(Fate.DEAD_ADDRESS, Reply(550, "5.1.1", "5.1.1 nobody", Phase.RCPT))
DEFERRED = Result(Fate.DEFERRED, Reply(451, None, "later", Phase.RCPT), HOUR)
DEFERRED_FOR_NOTHING = replace(DEFERRED, pause=NOW)
IN_DOUBT = Result(Fate.IN_DOUBT, Reply.missing("timed out", Phase.CONTENT), HOUR)
RELAY_TROUBLE = Result(Fate.RELAY_TROUBLE, Reply.missing("connection refused", Phase.CONNECT))


def memory_ledgers(_request: pytest.FixtureRequest, _folder: Path) -> Iterator[LedgerWith]:
    ticks = itertools.count()
    start = datetime.now(UTC)
    yield lambda **settings: MemoryLedger(
        now=lambda: start + next(ticks) * timedelta(microseconds=1), **settings
    )


def sqlite_ledgers(_request: pytest.FixtureRequest, folder: Path) -> Iterator[LedgerWith]:
    yield from sql_ledgers(f"sqlite:///{folder / 'ledger.db'}")


def postgresql_ledgers(request: pytest.FixtureRequest, _folder: Path) -> Iterator[LedgerWith]:
    yield from sql_ledgers(request.getfixturevalue("postgresql").url())


def sql_ledgers(url: str) -> Iterator[LedgerWith]:
    upgrade(url)
    engine = ledger_engine(url)
    yield lambda **settings: SqlLedger(engine, **settings)
    engine.dispose()


@pytest.fixture(
    params=[
        pytest.param(memory_ledgers, id="memory"),
        pytest.param(sqlite_ledgers, id="sqlite"),
        pytest.param(postgresql_ledgers, id="postgresql", marks=pytest.mark.postgresql),
    ]
)
def ledger_with(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LedgerWith]:
    yield from request.param(request, tmp_path)


@pytest.fixture
def ledger(ledger_with: LedgerWith) -> Ledger:
    return ledger_with()


def an_arrival(mail: str = "mail-1", **changes: Any) -> Arrival:
    arrival = Arrival(
        tenant_id=TenantId("acme"),
        mail_id=MailId(mail),
        event_id=EventId("event-1"),
        rule_id=RuleId("rule-1"),
        expires_at=datetime(2026, 11, 25, 8, tzinfo=UTC),
        topic="outgoing-mail",
        partition=3,
        offset=7,
        value=b"\x00\xff the record's bytes",
    )
    return replace(arrival, **changes)


def claimed(ledger: Ledger, owner: str = "deliver-0") -> Claim:
    claim = ledger.claim(owner)
    assert claim is not None
    return claim


def standing(ledger: Ledger, mail: str = "mail-1", tenant: str = "acme") -> Any:
    found = ledger.standing(TenantId(tenant), MailId(mail))
    assert found is not None
    return found


# take_in


def test_mails_that_are_not_there_yet_are_added_and_counted(ledger: Ledger) -> None:
    ledger.take_in([an_arrival("mail-1")])

    assert ledger.take_in([an_arrival("mail-1"), an_arrival("mail-2"), an_arrival("mail-3")]) == 2
    assert ledger.counts()[State.WAITING] == 3


def test_taking_in_nothing_adds_nothing(ledger: Ledger) -> None:
    assert ledger.take_in([]) == 0


def test_a_whole_batch_is_added_at_once(ledger: Ledger) -> None:
    arrivals = [an_arrival(f"mail-{n}", offset=n) for n in range(1500)]

    assert ledger.take_in(arrivals) == 1500
    assert ledger.take_in(arrivals) == 0


def test_one_mail_id_of_two_tenants_is_two_mails(ledger: Ledger) -> None:
    other = an_arrival(tenant_id=TenantId("other"))

    assert ledger.take_in([an_arrival(), other]) == 2


def test_an_added_mail_is_due_at_once_and_keeps_what_it_came_with(ledger: Ledger) -> None:
    ledger.take_in([an_arrival()])

    mail = standing(ledger)
    assert (mail.state, mail.attempts, mail.in_doubt_count) == (State.WAITING, 0, 0)
    assert (mail.topic, mail.partition, mail.offset) == ("outgoing-mail", 3, 7)
    assert (mail.event_id, mail.rule_id) == ("event-1", "rule-1")
    assert mail.expires_at == datetime(2026, 11, 25, 8, tzinfo=UTC)
    assert mail.has_value
    assert claimed(ledger).value == b"\x00\xff the record's bytes"


def test_the_bytes_of_the_first_record_stay(ledger: Ledger) -> None:
    ledger.take_in([an_arrival(value=b"first")])

    ledger.take_in([an_arrival(value=b"second")])

    assert claimed(ledger).value == b"first"


def test_the_bytes_of_the_first_record_stay_within_one_call(ledger: Ledger) -> None:
    assert ledger.take_in([an_arrival(value=b"first"), an_arrival(value=b"second")]) == 1

    assert claimed(ledger).value == b"first"


def test_a_mail_that_is_done_is_not_taken_in_again(ledger: Ledger) -> None:
    ledger.take_in([an_arrival()])
    ledger.note(claimed(ledger), SENT)

    assert ledger.take_in([an_arrival()]) == 0
    assert ledger.claim("deliver-0") is None


@pytest.mark.parametrize("identity", ["", "a\0b", "x" * 1001])
def test_an_identity_no_database_can_keep_is_refused_before(identity: str) -> None:
    with pytest.raises(InvalidValue):
        an_arrival(tenant_id=TenantId(identity))


# claim


def test_nothing_due_is_nothing_to_claim(ledger: Ledger) -> None:
    assert ledger.claim("deliver-0") is None


def test_mails_of_one_batch_are_claimed_in_the_order_of_their_offsets(ledger: Ledger) -> None:
    arrivals = [an_arrival(f"mail-{offset}", offset=offset) for offset in (12, 10, 11)]
    ledger.take_in(arrivals)

    claims = [claimed(ledger) for _ in arrivals]

    assert [claim.mail_id for claim in claims] == ["mail-10", "mail-11", "mail-12"]


def test_a_claim_names_owner_and_number(ledger: Ledger) -> None:
    ledger.take_in([an_arrival()])

    claim = claimed(ledger, "deliver-7")

    assert (claim.owner, claim.number, claim.attempts) == ("deliver-7", 1, 0)
    assert standing(ledger).state is State.CLAIMED


def test_a_claimed_mail_is_not_claimed_again(ledger: Ledger) -> None:
    ledger.take_in([an_arrival()])
    ledger.claim("deliver-0")

    assert ledger.claim("deliver-1") is None
    assert ledger.claim("deliver-0") is None


def test_each_claim_of_a_mail_has_a_number_of_its_own(ledger: Ledger) -> None:
    ledger.take_in([an_arrival()])
    first = claimed(ledger)
    ledger.note(first, DEFERRED_FOR_NOTHING)

    assert claimed(ledger).number > first.number


def test_a_claim_whose_lease_ended_falls_back(ledger_with: LedgerWith) -> None:
    ledger = ledger_with(lease=NOW)
    ledger.take_in([an_arrival()])
    ledger.claim("deliver-0")

    again = claimed(ledger, "deliver-1")

    assert (again.owner, again.in_doubt_count) == ("deliver-1", 0)


def test_a_claim_whose_lease_ended_after_the_start_is_in_doubt(ledger_with: LedgerWith) -> None:
    ledger = ledger_with(lease=NOW)
    ledger.take_in([an_arrival()])
    ledger.note_start(claimed(ledger))

    again = claimed(ledger, "deliver-1")

    assert (again.in_doubt_count, again.attempts) == (1, 1)
    assert standing(ledger).data_started_at is None


def test_two_at_once_never_claim_the_same_mail(ledger: Ledger) -> None:
    ledger.take_in([an_arrival(f"mail-{n}", offset=n) for n in range(40)])
    claims: list[Claim] = []

    def claim_all(owner: str) -> None:
        claims.extend(iter(lambda: ledger.claim(owner), None))

    threads = [threading.Thread(target=claim_all, args=(f"deliver-{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(c.mail_id for c in claims) == sorted(f"mail-{n}" for n in range(40))


# note_start


def test_a_start_is_noted_and_renews_the_lease(ledger: Ledger) -> None:
    ledger.take_in([an_arrival()])
    claim = claimed(ledger)
    before = standing(ledger)

    assert ledger.note_start(claim)

    assert before.data_started_at is None
    assert standing(ledger).data_started_at is not None
    assert standing(ledger).lease_until >= before.lease_until


def test_a_lease_lasts_twenty_minutes(ledger: Ledger) -> None:
    ledger.take_in([an_arrival()])
    ledger.claim("deliver-0")

    mail = standing(ledger)
    assert timedelta(minutes=20) <= mail.lease_until - mail.taken_in_at < timedelta(minutes=21)


def test_nothing_may_be_sent_on_a_claim_that_was_taken_over(ledger: Ledger) -> None:
    ledger.take_in([an_arrival()])
    lost = claimed(ledger)
    ledger.take_over("deliver-0")

    assert not ledger.note_start(lost)
    ledger.claim("deliver-0")
    assert not ledger.note_start(lost)
    assert standing(ledger).data_started_at is None


def test_nothing_may_be_sent_on_a_claim_that_is_over(ledger: Ledger) -> None:
    ledger.take_in([an_arrival()])
    claim = claimed(ledger)
    ledger.note(claim, SENT)

    assert not ledger.note_start(claim)


# note


@pytest.mark.parametrize(("result", "state"), [(SENT, State.SENT), (REFUSED, State.FAILED)])
def test_a_final_state_deletes_the_bytes_and_keeps_the_reply(
    ledger: Ledger, result: Result, state: State
) -> None:
    ledger.take_in([an_arrival()])

    assert ledger.note(claimed(ledger), result)

    mail = standing(ledger)
    assert (mail.state, mail.has_value, mail.attempts) == (state, False, 1)
    assert (mail.fate, mail.reply_code, mail.reply_text) == (
        result.fate,
        result.code,
        result.text,
    )
    assert mail.finished_at >= mail.taken_in_at
    assert mail.lease_until is None


def test_a_deferred_mail_is_due_after_its_pause(ledger: Ledger) -> None:
    ledger.take_in([an_arrival()])

    ledger.note(claimed(ledger), DEFERRED)

    mail = standing(ledger)
    assert (mail.state, mail.attempts, mail.has_value) == (State.WAITING, 1, True)
    assert HOUR <= mail.next_attempt_at - mail.taken_in_at < HOUR + timedelta(minutes=1)
    assert ledger.claim("deliver-0") is None


def test_a_deferred_mail_comes_again_as_the_same_bytes(ledger: Ledger) -> None:
    ledger.take_in([an_arrival(value=b"the same")])
    ledger.note(claimed(ledger), DEFERRED_FOR_NOTHING)

    again = claimed(ledger)

    assert (again.value, again.attempts, again.in_doubt_count) == (b"the same", 1, 0)


def test_a_deferred_mail_holds_up_nobody(ledger: Ledger) -> None:
    ledger.take_in([an_arrival("mail-1", offset=1), an_arrival("mail-2", offset=2)])
    ledger.note(claimed(ledger), DEFERRED)

    assert claimed(ledger).mail_id == "mail-2"


def test_a_mail_in_doubt_is_counted_and_waits(ledger: Ledger) -> None:
    ledger.take_in([an_arrival()])
    claim = claimed(ledger)
    ledger.note_start(claim)

    ledger.note(claim, IN_DOUBT)

    mail = standing(ledger)
    assert (mail.state, mail.in_doubt_count, mail.attempts) == (State.WAITING, 1, 1)
    assert mail.data_started_at is None


def test_a_mail_given_up_in_doubt_is_counted_too(ledger: Ledger) -> None:
    ledger.take_in([an_arrival()])
    claim = claimed(ledger)
    ledger.note_start(claim)

    ledger.note(claim, replace(IN_DOUBT, fate=Fate.GIVEN_UP))

    assert (standing(ledger).state, standing(ledger).in_doubt_count) == (State.FAILED, 1)


def test_a_mail_refused_after_its_content_is_not_in_doubt(ledger: Ledger) -> None:
    ledger.take_in([an_arrival()])
    claim = claimed(ledger)
    ledger.note_start(claim)

    ledger.note(claim, DEFERRED_FOR_NOTHING)

    assert claimed(ledger).in_doubt_count == 0


def test_trouble_of_the_relay_leaves_the_mail_first_in_the_order(ledger: Ledger) -> None:
    ledger.take_in([an_arrival("mail-1", offset=1), an_arrival("mail-2", offset=2)])

    ledger.note(claimed(ledger), RELAY_TROUBLE)

    again = claimed(ledger)
    assert (again.mail_id, again.attempts) == ("mail-1", 0)


def test_who_lost_a_claim_changes_nothing(ledger: Ledger) -> None:
    ledger.take_in([an_arrival()])
    lost = claimed(ledger)
    ledger.take_over("deliver-0")

    assert not ledger.note(lost, SENT)
    ledger.claim("deliver-0")
    assert not ledger.note(lost, SENT)
    assert standing(ledger).state is State.CLAIMED


def test_noting_the_same_twice_is_noting_it_once(ledger: Ledger) -> None:
    ledger.take_in([an_arrival()])
    claim = claimed(ledger)
    ledger.note(claim, IN_DOUBT)

    assert ledger.note(claim, IN_DOUBT)
    assert standing(ledger).in_doubt_count == 1


# take_over


def test_a_dead_owners_claims_wait_again_at_once(ledger: Ledger) -> None:
    ledger.take_in([an_arrival("mail-1", offset=1), an_arrival("mail-2", offset=2)])
    ledger.note_start(claimed(ledger))
    ledger.claim("deliver-0")

    assert ledger.take_over("deliver-0") == 2

    assert standing(ledger, "mail-1").in_doubt_count == 1
    assert standing(ledger, "mail-2").in_doubt_count == 0
    assert ledger.counts() == {State.WAITING: 2, State.CLAIMED: 0}
    assert ledger.claim("deliver-0") is not None


def test_claims_of_others_are_not_taken_over(ledger: Ledger) -> None:
    ledger.take_in([an_arrival()])
    ledger.claim("deliver-1")

    assert ledger.take_over("deliver-0") == 0
    assert standing(ledger).state is State.CLAIMED


def test_mails_that_are_done_are_not_taken_over(ledger: Ledger) -> None:
    ledger.take_in([an_arrival()])
    ledger.note(claimed(ledger), SENT)

    assert ledger.take_over("deliver-0") == 0


# counts and standing


def test_every_state_that_is_not_final_is_counted(ledger: Ledger) -> None:
    ledger.take_in([an_arrival(f"mail-{n}", offset=n) for n in range(4)])
    ledger.note(claimed(ledger), SENT)
    ledger.claim("deliver-0")

    assert ledger.counts() == {State.WAITING: 2, State.CLAIMED: 1}


def test_nothing_is_counted_as_nought(ledger: Ledger) -> None:
    assert ledger.counts() == {State.WAITING: 0, State.CLAIMED: 0}


def test_a_mail_nobody_took_in_stands_nowhere(ledger: Ledger) -> None:
    assert ledger.standing(TenantId("acme"), MailId("mail-1")) is None


# the real ones only


def test_mails_are_still_there_for_the_next_process(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    for ledger_with in sql_ledgers(url):
        ledger_with().take_in([an_arrival()])

    for ledger_with in sql_ledgers(url):
        assert claimed(ledger_with()).value == an_arrival().value


def test_a_ledger_that_gives_no_answer_is_unavailable_and_says_nothing(tmp_path: Path) -> None:
    engine = ledger_engine(f"sqlite:///{tmp_path / 'empty.db'}")
    ledger = SqlLedger(engine)

    with pytest.raises(LedgerUnavailable) as caught:
        ledger.take_in([an_arrival(value=b"anna@muster.example")])

    engine.dispose()
    assert "anna" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_postgresql_that_is_away_is_unavailable() -> None:
    engine = ledger_engine("postgresql://nobody@127.0.0.1:1/nothing")

    with pytest.raises(LedgerUnavailable):
        SqlLedger(engine).claim("deliver-0")

    engine.dispose()
