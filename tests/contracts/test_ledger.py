"""Each sentence of the `Ledger` promise, on every adapter.

No test waits: what has to be over has no length, what must not be over lasts an hour.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain, count
from pathlib import Path
from typing import Any

import pytest

from mailer.memory import MemoryLedger
from mailer.migrating import upgrade
from mailer.ports import AddressNames, Arrival, Claim, Ledger, MailKey, Start, Terms, Written
from mailer.replies import Phase, Reply
from mailer.results import Fate, InDoubt, Result, State
from mailer.sql import SqlLedger
from mailer.sql_bounces import SqlBounces
from mailer.sql_replays import SqlReplays
from mailer.sql_suppressions import SqlSuppressions
from mailer.sql_upkeep import SqlUpkeep
from mailer.suppressing import Reason, Suppression
from mailer.tables import ledger_engine
from schemas.addresses import EmailAddress
from schemas.errors import InvalidValue, LedgerUnavailable
from schemas.vocabulary import EventId, MailId, RuleId, TenantId

LedgerWith = Callable[..., Ledger]

NOW = timedelta(0)
HOUR = timedelta(hours=1)
MILLISECOND = timedelta(milliseconds=1)
SENT = Result(Fate.SENT, Reply(250, "2.0.0", "2.0.0 queued", Phase.CONTENT))
REFUSED = Result(Fate.DEAD_ADDRESS, Reply(550, "5.1.1", "5.1.1 nobody", Phase.RCPT))
POLICY_REFUSED = Result(Fate.POLICY_REFUSED, Reply(550, "5.7.1", "5.7.1 no", Phase.CONTENT))
DEFERRED = Result(Fate.DEFERRED, Reply(451, None, "later", Phase.RCPT), HOUR)
DEFERRED_FOR_NOTHING = replace(DEFERRED, pause=NOW)
UNREADABLE = Result(Fate.UNREADABLE, why="no mail in it: InvalidEvent")
EXPIRED = Result(Fate.EXPIRED)
SUPPRESSED = Result(Fate.SUPPRESSED)
IN_DOUBT = Result(Fate.IN_DOUBT, Reply.missing("timed out", Phase.CONTENT), HOUR)
RELAY_TROUBLE = Result(Fate.RELAY_TROUBLE, Reply.missing("connection refused", Phase.CONNECT))


def memory_ledgers(_request: pytest.FixtureRequest, _folder: Path) -> Iterator[LedgerWith]:
    ticks = count()
    start = datetime.now(UTC)
    yield lambda **settings: MemoryLedger(
        now=lambda: start + next(ticks) * timedelta(microseconds=1),
        terms=Terms(**settings),
    )


def sqlite_ledgers(_request: pytest.FixtureRequest, folder: Path) -> Iterator[LedgerWith]:
    yield from sql_ledgers(f"sqlite:///{folder / 'ledger.db'}")


def postgresql_ledgers(request: pytest.FixtureRequest, _folder: Path) -> Iterator[LedgerWith]:
    yield from sql_ledgers(request.getfixturevalue("postgresql").url())


def sql_ledgers(url: str) -> Iterator[LedgerWith]:
    upgrade(url)
    engine = ledger_engine(url)
    yield lambda **settings: SqlLedger(engine, Terms(**settings))
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
        recipient=EmailAddress("anna@muster.example"),
        names=AddressNames("hash-of-anna", f"token-of-{mail}"),
        expires_at=datetime(2026, 11, 25, 8, tzinfo=UTC),
        topic="outgoing-mail",
        partition=3,
        offset=7,
        value=b"\x00\xff the record's bytes",
    )
    return replace(arrival, **changes)


def claimed(ledger: Ledger, owner: str = "deliver-0") -> Claim:
    (claim,) = ledger.claim(owner, 1)
    return claim


def note(ledger: Ledger, claim: Claim, result: Result) -> bool:
    return ledger.write([(claim, result)]).noted[0]


def note_start(ledger: Ledger, claim: Claim) -> Start:
    return ledger.write([], [claim]).started[0]


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
    note(ledger, claimed(ledger), SENT)

    assert ledger.take_in([an_arrival()]) == 0
    assert ledger.claim("deliver-0", 1) == []


@pytest.mark.parametrize("identity", ["", "a\0b", "x" * 1001])
def test_an_identity_no_database_can_keep_is_refused_before(identity: str) -> None:
    with pytest.raises(InvalidValue):
        an_arrival(tenant_id=TenantId(identity))


# claim


def test_nothing_due_is_nothing_to_claim(ledger: Ledger) -> None:
    assert ledger.claim("deliver-0", 1) == []


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
    ledger.claim("deliver-0", 1)

    assert ledger.claim("deliver-1", 1) == []
    assert ledger.claim("deliver-0", 1) == []


def test_each_claim_of_a_mail_has_a_number_of_its_own(ledger: Ledger) -> None:
    ledger.take_in([an_arrival()])
    first = claimed(ledger)
    note(ledger, first, DEFERRED_FOR_NOTHING)

    assert claimed(ledger).number > first.number


def test_a_claim_whose_lease_ended_falls_back(ledger_with: LedgerWith) -> None:
    ledger = ledger_with(lease=NOW)
    ledger.take_in([an_arrival()])
    ledger.claim("deliver-0", 1)

    again = claimed(ledger, "deliver-1")

    assert (again.owner, again.in_doubt_count) == ("deliver-1", 0)


def test_a_claim_whose_lease_ended_after_the_start_is_in_doubt(ledger_with: LedgerWith) -> None:
    ledger = ledger_with(lease=NOW)
    ledger.take_in([an_arrival()])
    note_start(ledger, claimed(ledger))

    again = claimed(ledger, "deliver-1")

    assert (again.in_doubt_count, again.attempts) == (1, 1)
    assert standing(ledger).data_started_at is None


def test_two_at_once_never_claim_the_same_mail(ledger: Ledger) -> None:
    ledger.take_in([an_arrival(f"mail-{n}", offset=n) for n in range(40)])
    claims: list[Claim] = []

    def claim_all(owner: str) -> None:
        claims.extend(chain.from_iterable(iter(lambda: ledger.claim(owner, 3), [])))

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

    assert note_start(ledger, claim) is Start.GO

    assert before.data_started_at is None
    assert standing(ledger).data_started_at is not None
    assert standing(ledger).lease_until >= before.lease_until


def test_a_lease_lasts_twenty_minutes(ledger: Ledger) -> None:
    ledger.take_in([an_arrival()])
    ledger.claim("deliver-0", 1)

    mail = standing(ledger)
    assert timedelta(minutes=20) <= mail.lease_until - mail.taken_in_at < timedelta(minutes=21)


def test_nothing_may_be_sent_on_a_claim_that_was_taken_over(ledger: Ledger) -> None:
    ledger.take_in([an_arrival()])
    lost = claimed(ledger)
    ledger.take_over("deliver-0")

    assert note_start(ledger, lost) is Start.LOST
    ledger.claim("deliver-0", 1)
    assert note_start(ledger, lost) is Start.LOST
    assert standing(ledger).data_started_at is None


def test_nothing_may_be_sent_on_a_claim_that_is_over(ledger: Ledger) -> None:
    ledger.take_in([an_arrival()])
    claim = claimed(ledger)
    note(ledger, claim, SENT)

    assert note_start(ledger, claim) is Start.LOST


# note


@pytest.mark.parametrize(("result", "state"), [(SENT, State.SENT), (UNREADABLE, State.FAILED)])
def test_a_final_state_deletes_the_bytes_and_keeps_the_reply(
    ledger: Ledger, result: Result, state: State
) -> None:
    ledger.take_in([an_arrival()])

    assert note(ledger, claimed(ledger), result)

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

    note(ledger, claimed(ledger), DEFERRED)

    mail = standing(ledger)
    assert (mail.state, mail.attempts, mail.has_value) == (State.WAITING, 1, True)
    assert HOUR <= mail.next_attempt_at - mail.taken_in_at < HOUR + timedelta(minutes=1)
    assert ledger.claim("deliver-0", 1) == []


def test_a_deferred_mail_comes_again_as_the_same_bytes(ledger: Ledger) -> None:
    ledger.take_in([an_arrival(value=b"the same")])
    note(ledger, claimed(ledger), DEFERRED_FOR_NOTHING)

    again = claimed(ledger)

    assert (again.value, again.attempts, again.in_doubt_count) == (b"the same", 1, 0)


def test_a_deferred_mail_holds_up_nobody(ledger: Ledger) -> None:
    ledger.take_in([an_arrival("mail-1", offset=1), an_arrival("mail-2", offset=2)])
    note(ledger, claimed(ledger), DEFERRED)

    assert claimed(ledger).mail_id == "mail-2"


def test_a_mail_in_doubt_is_counted_and_waits(ledger: Ledger) -> None:
    ledger.take_in([an_arrival()])
    claim = claimed(ledger)
    note_start(ledger, claim)

    note(ledger, claim, IN_DOUBT)

    mail = standing(ledger)
    assert (mail.state, mail.in_doubt_count, mail.attempts) == (State.WAITING, 1, 1)
    assert mail.data_started_at is None


def test_a_mail_in_doubt_is_held_where_the_terms_say_so(ledger_with: LedgerWith) -> None:
    ledger = ledger_with(in_doubt=InDoubt.HOLD)
    ledger.take_in([an_arrival()])
    claim = claimed(ledger)
    note_start(ledger, claim)

    note(ledger, claim, IN_DOUBT)

    mail = standing(ledger)
    assert (mail.state, mail.in_doubt_count, mail.has_value) == (State.HELD, 1, True)
    assert ledger.claim("deliver-0", 1) == []


def test_a_dead_owners_started_mail_is_held_where_the_terms_say_so(ledger_with: LedgerWith) -> None:
    ledger = ledger_with(in_doubt=InDoubt.HOLD)
    ledger.take_in([an_arrival("mail-1", offset=1), an_arrival("mail-2", offset=2)])
    note_start(ledger, claimed(ledger))
    ledger.claim("deliver-0", 1)

    ledger.take_over("deliver-0")

    assert (standing(ledger, "mail-1").state, standing(ledger, "mail-2").state) == (
        State.HELD,
        State.WAITING,
    )


def test_a_mail_refused_after_its_content_is_not_in_doubt(ledger: Ledger) -> None:
    ledger.take_in([an_arrival()])
    claim = claimed(ledger)
    note_start(ledger, claim)

    note(ledger, claim, DEFERRED_FOR_NOTHING)

    assert claimed(ledger).in_doubt_count == 0


def test_trouble_of_the_relay_leaves_the_mail_first_in_the_order(ledger: Ledger) -> None:
    ledger.take_in([an_arrival("mail-1", offset=1), an_arrival("mail-2", offset=2)])

    note(ledger, claimed(ledger), RELAY_TROUBLE)

    again = claimed(ledger)
    assert (again.mail_id, again.attempts) == ("mail-1", 0)


def test_who_lost_a_claim_changes_nothing(ledger: Ledger) -> None:
    ledger.take_in([an_arrival()])
    lost = claimed(ledger)
    ledger.take_over("deliver-0")

    assert not note(ledger, lost, SENT)
    ledger.claim("deliver-0", 1)
    assert not note(ledger, lost, SENT)
    assert standing(ledger).state is State.CLAIMED


def test_noting_the_same_twice_is_noting_it_once(ledger: Ledger) -> None:
    ledger.take_in([an_arrival()])
    claim = claimed(ledger)
    note(ledger, claim, IN_DOUBT)

    assert note(ledger, claim, IN_DOUBT)
    assert standing(ledger).in_doubt_count == 1


def test_many_results_and_starts_are_written_at_once(ledger: Ledger) -> None:
    ledger.take_in([an_arrival(f"mail-{n}", offset=n) for n in range(4)])
    first, second, third, lost = ledger.claim("deliver-0", 4)
    ledger.take_over("deliver-0", [first, second, third])

    written = ledger.write([(first, SENT), (lost, SENT), (second, DEFERRED)], [third, lost])

    assert written == Written([True, False, True], [Start.GO, Start.LOST])
    states = [standing(ledger, f"mail-{n}").state for n in range(4)]
    assert states == [State.SENT, State.WAITING, State.CLAIMED, State.WAITING]


def test_an_attempt_without_a_pause_of_its_own_keeps_the_place_in_the_order(ledger: Ledger) -> None:
    ledger.take_in([an_arrival()])
    before = standing(ledger).next_attempt_at

    note(ledger, claimed(ledger), Result(Fate.POSTPONED, why="RegistryUnavailable"))

    assert standing(ledger).next_attempt_at == before


def test_a_mail_whose_domain_gets_no_more_comes_later_and_was_not_tried(ledger: Ledger) -> None:
    ledger.take_in([an_arrival()])

    note(ledger, claimed(ledger), Result(Fate.RATE_LIMITED, pause=HOUR))

    assert ledger.claim("deliver-0", 1) == []
    assert standing(ledger).attempts == 0


def test_a_mail_is_known_to_be_answered_once_a_reply_was_about_it(ledger: Ledger) -> None:
    ledger.take_in([an_arrival("mail-1", offset=1), an_arrival("mail-2", offset=2)])
    lost = Result(Fate.DEFERRED, Reply.missing("timed out", Phase.RCPT), NOW)

    note(ledger, claimed(ledger), replace(DEFERRED, pause=NOW))
    note(ledger, claimed(ledger), lost)

    claims = {claim.mail_id: claim.was_answered for claim in ledger.claim("deliver-0", 2)}
    assert claims == {"mail-1": True, "mail-2": False}


def test_a_mail_that_expires_keeps_the_last_reply(ledger: Ledger) -> None:
    ledger.take_in([an_arrival()])
    note(ledger, claimed(ledger), DEFERRED_FOR_NOTHING)

    note(ledger, claimed(ledger), EXPIRED)

    mail = standing(ledger)
    assert (mail.state, mail.fate, mail.attempts) == (State.FAILED, Fate.EXPIRED, 1)
    assert (mail.reply_code, mail.reply_text) == (451, "later")


# Refusals on trial


def test_a_refusal_is_on_trial_first_and_keeps_the_bytes(ledger: Ledger) -> None:
    ledger.take_in([an_arrival()])

    note(ledger, claimed(ledger), REFUSED)

    mail = standing(ledger)
    assert (mail.state, mail.has_value, mail.reply_detail) == (State.FAILED, True, "5.1.1")
    assert 6 * HOUR <= mail.trial_until - mail.finished_at < 6 * HOUR + timedelta(minutes=1)
    assert ledger.claim("deliver-0", 1) == []


def test_a_trial_that_was_ended_deletes_the_bytes(ledger: Ledger) -> None:
    ledger.take_in([an_arrival()])
    note(ledger, claimed(ledger), REFUSED)

    assert ledger.end_trials("deliver-0") == 1

    mail = standing(ledger)
    assert (mail.state, mail.has_value, mail.trial_until) == (State.FAILED, False, None)
    assert ledger.end_trials("deliver-0") == 0


def test_some_trials_can_go_on_while_the_others_end(ledger: Ledger) -> None:
    ledger.take_in([an_arrival("mail-1", offset=1), an_arrival("mail-2", offset=2)])
    first, second = ledger.claim("deliver-0", 2)
    ledger.write([(first, REFUSED), (second, REFUSED)])

    assert ledger.end_trials("deliver-0", [second]) == 1

    assert [standing(ledger, m).has_value for m in ("mail-1", "mail-2")] == [False, True]


def test_trials_of_others_are_not_ended(ledger: Ledger) -> None:
    ledger.take_in([an_arrival()])
    note(ledger, claimed(ledger), REFUSED)

    assert (ledger.end_trials("deliver-1"), ledger.hold_trials("deliver-1")) == (0, 0)
    assert ledger.end_trials(None) == 0
    assert standing(ledger).has_value


def test_a_trial_ends_with_time(ledger_with: LedgerWith) -> None:
    ledger = ledger_with(trial=NOW)
    ledger.take_in([an_arrival()])
    note(ledger, claimed(ledger), REFUSED)

    assert ledger.end_trials(None) == 1


def with_terms(ledger: Any, **settings: Any) -> Any:
    """Return the same ledger under other terms."""
    if isinstance(ledger, MemoryLedger):
        ledger.terms = Terms(**settings)
        return ledger
    return SqlLedger(ledger.engine, Terms(**settings))


def refused_twice(ledger_with: LedgerWith) -> Ledger:
    """Return a ledger with two refusals; the first one's own trial is over."""
    ledger = ledger_with(trial=NOW)
    ledger.take_in([an_arrival("mail-1", offset=1), an_arrival("mail-2", offset=2)])
    note(ledger, claimed(ledger), REFUSED)
    longer: Ledger = with_terms(ledger, trial=HOUR)
    note(longer, claimed(longer), REFUSED)
    return longer


def test_a_trial_goes_on_while_its_owner_is_still_refused(ledger_with: LedgerWith) -> None:
    ledger = refused_twice(ledger_with)

    assert ledger.end_trials(None) == 0
    assert (standing(ledger).has_value, ledger.hold_trials("deliver-0")) == (True, 2)


def test_no_trial_lasts_longer_than_twenty_of_them(ledger_with: LedgerWith) -> None:
    ledger: Ledger = with_terms(refused_twice(ledger_with), trial=NOW)

    assert ledger.end_trials(None) == 1
    assert not standing(ledger).has_value


def test_mails_on_trial_can_be_held_and_nobody_is_suppressed(ledger: Ledger) -> None:
    ledger.take_in([an_arrival("mail-1", offset=1), an_arrival("mail-2", offset=2)])
    note(ledger, claimed(ledger), REFUSED)

    assert ledger.hold_trials("deliver-0") == 1

    mail = standing(ledger)
    assert (mail.state, mail.has_value, mail.owes_report) == (State.HELD, True, False)
    assert not claimed(ledger).is_suppressed
    assert ledger.counts()[State.HELD] == 1


# Bounces

NOBODY = Reply(550, "5.1.1", "5.1.1 nobody", Phase.RCPT)
MAIL = MailKey(TenantId("acme"), MailId("mail-1"))


def bounces_of(ledger: Any) -> Any:
    return ledger if isinstance(ledger, MemoryLedger) else SqlBounces(ledger.engine)


def test_a_mail_is_found_by_its_token(ledger: Ledger) -> None:
    ledger.take_in([an_arrival("mail-1"), an_arrival("mail-2", offset=8)])

    assert bounces_of(ledger).bearing("token-of-mail-2").mail_id == "mail-2"
    assert bounces_of(ledger).bearing("token-of-mail-3") is None


def test_a_sent_mail_that_bounced_is_failed_owes_a_report_and_suppresses(ledger: Any) -> None:
    ledger.take_in([an_arrival("mail-1"), an_arrival("mail-2", offset=8)])
    note(ledger, claimed(ledger), SENT)

    assert bounces_of(ledger).note_bounce(MAIL, NOBODY) is State.SENT

    mail = standing(ledger)
    assert (mail.state, mail.fate, mail.has_value) == (State.FAILED, Fate.BOUNCED, False)
    assert (mail.reply_code, mail.reply_detail, mail.attempts) == (550, "5.1.1", 1)
    assert owed(ledger) == ["mail-1"]
    assert claimed(ledger).is_suppressed
    (found,) = ledger_suppressions(ledger).of_tenant(TenantId("acme"))
    assert (found.reason, found.rule_id, found.mail_id) == (Reason.BOUNCED, None, "mail-1")


def test_a_mail_that_bounced_bounces_once(ledger: Any) -> None:
    ledger.take_in([an_arrival()])
    note(ledger, claimed(ledger), SENT)
    bounces_of(ledger).note_bounce(MAIL, NOBODY)
    ledger.reported([MAIL])
    ledger_suppressions(ledger).remove(TenantId("acme"), "hash-of-anna", None)

    assert bounces_of(ledger).note_bounce(MAIL, NOBODY) is State.FAILED

    assert owed(ledger) == []
    assert ledger_suppressions(ledger).of_tenant(TenantId("acme")) == []


def test_a_mail_in_doubt_that_bounced_need_not_be_sent_again(ledger: Ledger) -> None:
    ledger.take_in([an_arrival()])
    note(ledger, claimed(ledger), replace(IN_DOUBT, pause=NOW))

    assert bounces_of(ledger).note_bounce(MAIL, NOBODY) is State.WAITING

    assert claimed(ledger).is_suppressed


def test_a_mail_with_another_end_does_not_bounce(ledger: Any) -> None:
    ledger.take_in([an_arrival()])
    note(ledger, claimed(ledger), EXPIRED)

    assert bounces_of(ledger).note_bounce(MAIL, NOBODY) is State.FAILED

    assert standing(ledger).fate is Fate.EXPIRED
    assert ledger_suppressions(ledger).of_tenant(TenantId("acme")) == []


# Replays


def replays_of(ledger: Any, **settings: Any) -> Any:
    if isinstance(ledger, MemoryLedger):
        return ledger
    return SqlReplays(ledger.engine, replace(ledger.terms, **settings))


def later(ledger: Any) -> datetime:
    """Return an instant after everything that happened so far, by the ledger's clock."""
    ledger.take_in([an_arrival("the latest", partition=99)])
    taken_in_at: datetime = standing(ledger, "the latest").taken_in_at
    return taken_in_at


def test_a_ledger_knows_how_far_intake_was(ledger: Ledger) -> None:
    ledger.take_in([an_arrival(f"mail-{n}", partition=n % 2, offset=10 + n) for n in range(4)])
    ledger.take_in([an_arrival("elsewhere", topic="other", offset=70)])
    at = later(ledger)

    until = dict(replays_of(ledger).taken_until("outgoing-mail", at))

    assert until == {0: 13, 1: 14, 99: 8}
    assert dict(replays_of(ledger).taken_until("outgoing-mail", at - HOUR)) == {}


def test_a_ledger_knows_which_mails_have_a_row(ledger: Ledger) -> None:
    ledger.take_in([an_arrival()])
    here, other = MailKey(TenantId("acme"), MailId("mail-1")), TenantId("other")

    known = replays_of(ledger).known([here, MailKey(other, MailId("mail-1"))])

    assert list(known) == [here]


def test_mails_open_at_the_backup_are_counted_as_in_doubt_once(ledger: Ledger) -> None:
    ledger.take_in([an_arrival(f"mail-{n}", offset=n) for n in range(3)])
    waiting, refused = standing(ledger, "mail-2"), ledger.claim("deliver-0", 2)[1]
    ledger.write([(refused, REFUSED)])
    backup = later(ledger)
    replays = replays_of(ledger)

    assert replays.open_at(backup) == 4
    assert (replays.doubt_open_at(backup), replays.doubt_open_at(backup)) == (4, 0)

    assert replays.open_at(backup) == 0
    assert (waiting.in_doubt_count, standing(ledger, "mail-2").in_doubt_count) == (0, 1)
    assert standing(ledger, "mail-2").was_answered
    assert standing(ledger, "mail-1").state is State.FAILED
    assert replays.doubt_open_at(backup + MILLISECOND) == 4  # another restore


def test_what_ended_before_the_backup_is_not_in_doubt(ledger: Ledger) -> None:
    ledger.take_in([an_arrival()])
    note(ledger, claimed(ledger), SENT)
    backup = later(ledger)

    replays_of(ledger).doubt_open_at(backup)

    assert standing(ledger).in_doubt_count == 0


def test_what_was_open_at_the_backup_and_ended_since_is_in_doubt(ledger: Ledger) -> None:
    ledger.take_in([an_arrival()])
    backup = standing(ledger).taken_in_at
    note(ledger, claimed(ledger), SENT)

    replays_of(ledger).doubt_open_at(backup)

    mail = standing(ledger)
    assert (mail.state, mail.fate, mail.in_doubt_count) == (State.SENT, Fate.SENT, 1)


def test_a_result_adds_to_a_doubt_that_came_meanwhile(ledger: Ledger) -> None:
    ledger.take_in([an_arrival()])
    claim = claimed(ledger)
    replays_of(ledger).doubt_open_at(later(ledger))

    note(ledger, claim, IN_DOUBT)

    assert standing(ledger).in_doubt_count == 2


def test_a_mail_that_arrives_in_doubt_waits_and_counts_as_answered(ledger: Ledger) -> None:
    ledger.take_in([an_arrival(in_doubt_count=1)])

    mail = standing(ledger)
    assert (mail.state, mail.fate, mail.in_doubt_count) == (State.WAITING, Fate.IN_DOUBT, 1)
    assert claimed(ledger).was_answered


def test_in_doubt_after_a_restore_is_held_where_the_terms_say_so(ledger_with: LedgerWith) -> None:
    ledger = ledger_with(in_doubt=InDoubt.HOLD)
    ledger.take_in([an_arrival("mail-1"), an_arrival("mail-2", in_doubt_count=1, offset=8)])

    replays_of(ledger).doubt_open_at(later(ledger))

    states = [standing(ledger, mail).state for mail in ("mail-1", "mail-2")]
    assert states == [State.HELD, State.HELD]


# Suppression


def suppressed(ledger: Any, **changes: Any) -> None:
    one = Suppression(
        tenant_id=TenantId("acme"), address_hash="hash-of-anna", reason=Reason.OPERATOR
    )
    ledger_suppressions(ledger).add([replace(one, **changes)])


def ledger_suppressions(ledger: Any) -> Any:
    return ledger if isinstance(ledger, MemoryLedger) else SqlSuppressions(ledger.engine)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, True, id="whatever the rule"),
        pytest.param({"rule_id": RuleId("rule-1")}, True, id="this rule"),
        pytest.param({"rule_id": RuleId("rule-2")}, False, id="another rule"),
        pytest.param({"tenant_id": TenantId("other")}, False, id="another tenant"),
        pytest.param({"address_hash": "hash-of-ben"}, False, id="another address"),
        pytest.param({"until": datetime(2026, 1, 1, tzinfo=UTC)}, False, id="over"),
        pytest.param({"until": datetime(2226, 1, 1, tzinfo=UTC)}, True, id="not over yet"),
    ],
)
def test_a_claim_knows_whether_its_recipient_is_suppressed(
    ledger: Ledger, changes: dict[str, Any], expected: bool
) -> None:
    ledger.take_in([an_arrival()])
    suppressed(ledger, **changes)

    assert claimed(ledger).is_suppressed is expected


def test_whoever_is_suppressed_meanwhile_is_sent_nothing(ledger: Ledger) -> None:
    ledger.take_in([an_arrival()])
    claim = claimed(ledger)
    suppressed(ledger)

    assert note_start(ledger, claim) is Start.SUPPRESSED
    assert standing(ledger).data_started_at is None


def test_a_suppressed_mail_ends_and_owes_a_report(ledger: Ledger) -> None:
    ledger.take_in([an_arrival()])

    note(ledger, claimed(ledger), SUPPRESSED)

    mail = standing(ledger)
    assert (mail.state, mail.has_value, mail.attempts) == (State.SUPPRESSED, False, 0)
    assert mail.owes_report


def test_an_address_that_turned_out_dead_is_suppressed_for_its_tenant_alone(ledger: Ledger) -> None:
    other = an_arrival("mail-3", offset=3, tenant_id=TenantId("other"))
    ledger.take_in([an_arrival("mail-1", offset=1), an_arrival("mail-2", offset=2), other])
    note(ledger, claimed(ledger), REFUSED)

    ledger.end_trials("deliver-0")

    assert [claim.is_suppressed for claim in ledger.claim("deliver-0", 2)] == [True, False]
    (found,) = ledger_suppressions(ledger).of_tenant(TenantId("acme"))
    assert (found.reason, found.rule_id, found.mail_id) == (Reason.DEAD_ADDRESS, None, "mail-1")
    assert timedelta(days=89) < found.until - found.since < timedelta(days=91)


def test_a_refusal_for_another_reason_suppresses_nobody(ledger: Ledger) -> None:
    ledger.take_in([an_arrival("mail-1", offset=1), an_arrival("mail-2", offset=2)])
    note(ledger, claimed(ledger), POLICY_REFUSED)

    ledger.end_trials("deliver-0")

    assert not claimed(ledger).is_suppressed


# Reports


def owed(ledger: Any, owner: str = "deliver-0") -> list[str]:
    return [mail.mail_id for mail in ledger.owed_reports(owner, 10)]


def test_mails_that_will_not_come_owe_reports_until_they_were_given(ledger: Any) -> None:
    ledger.take_in([an_arrival(f"mail-{n}", offset=n) for n in range(3)])
    for result in (EXPIRED, SUPPRESSED, SENT):
        note(ledger, claimed(ledger), result)

    assert owed(ledger) == ["mail-0", "mail-1"]
    ledger.reported([MailKey(TenantId("acme"), MailId("mail-0"))])
    assert owed(ledger) == ["mail-1"]


def test_a_refusal_on_trial_owes_no_report_yet(ledger: Any) -> None:
    ledger.take_in([an_arrival()])
    note(ledger, claimed(ledger), REFUSED)

    assert owed(ledger) == []
    ledger.end_trials("deliver-0")
    assert owed(ledger) == ["mail-1"]


def test_reports_of_others_are_left_to_them_for_a_while(ledger: Any) -> None:
    ledger.take_in([an_arrival()])
    note(ledger, claimed(ledger), EXPIRED)

    assert owed(ledger, "deliver-1") == []


def test_a_report_tells_of_whom_it_is(ledger: Any) -> None:
    ledger.take_in([an_arrival()])
    note(ledger, claimed(ledger), EXPIRED)

    (mail,) = ledger.owed_reports("deliver-0", 1)

    assert mail.recipient == EmailAddress("anna@muster.example")


# Upkeep


def upkeep(ledger: Any) -> Any:
    return ledger if isinstance(ledger, MemoryLedger) else SqlUpkeep(ledger.engine)


def test_addresses_of_ended_mails_are_forgotten_in_slices_and_their_hash_stays(
    ledger: Ledger,
) -> None:
    ledger.take_in([an_arrival(f"mail-{n}", offset=n) for n in range(4)])
    for _ in range(3):
        note(ledger, claimed(ledger), SENT)

    assert upkeep(ledger).forget_addresses(HOUR, 2) == 0
    assert [upkeep(ledger).forget_addresses(NOW, 2) for _ in range(3)] == [2, 1, 0]

    assert standing(ledger, "mail-0").recipient is None
    assert standing(ledger, "mail-0").address_hash == "hash-of-anna"
    assert standing(ledger, "mail-3").recipient is not None


def test_mails_that_ended_long_ago_and_owe_nothing_are_forgotten_in_slices(ledger: Ledger) -> None:
    ledger.take_in([an_arrival(f"mail-{n}", offset=n) for n in range(5)])
    for result in (SENT, SENT, SENT, EXPIRED):
        note(ledger, claimed(ledger), result)

    assert upkeep(ledger).forget_mails(HOUR, 2) == 0
    assert [upkeep(ledger).forget_mails(NOW, 2) for _ in range(3)] == [2, 1, 0]

    kept = [ledger.standing(TenantId("acme"), MailId(f"mail-{n}")) for n in range(5)]
    assert [mail is not None for mail in kept] == [False, False, False, True, True]


def test_suppressions_that_are_over_are_forgotten(ledger: Ledger) -> None:
    suppressed(ledger, until=datetime(2026, 1, 1, tzinfo=UTC))
    suppressed(ledger, rule_id=RuleId("rule-1"))

    assert [upkeep(ledger).forget_suppressions(9) for _ in range(2)] == [1, 0]
    assert len(ledger_suppressions(ledger).of_tenant(TenantId("acme"))) == 1


# The list


def test_a_suppression_is_added_once_and_can_be_removed(ledger: Ledger) -> None:
    those = ledger_suppressions(ledger)
    one = Suppression(tenant_id=TenantId("acme"), address_hash="h", reason=Reason.UNSUBSCRIBED)

    assert [those.add([one]), those.add([one])] == [1, 0]
    assert not those.remove(TenantId("acme"), "h", RuleId("rule-1"))
    assert those.remove(TenantId("acme"), "h", None)
    assert those.of_tenant(TenantId("acme")) == []


def test_of_two_suppressions_of_an_address_the_longer_one_stays(ledger: Ledger) -> None:
    near, far = datetime(2126, 1, 1, tzinfo=UTC), datetime(2226, 1, 1, tzinfo=UTC)
    those = ledger_suppressions(ledger)

    suppressed(ledger, until=far)
    suppressed(ledger, until=near)
    assert those.of_tenant(TenantId("acme"))[0].until == far

    suppressed(ledger, until=None)
    suppressed(ledger, until=far)
    assert those.of_tenant(TenantId("acme"))[0].until is None


# take_over


def test_claims_that_somebody_works_on_are_not_taken_over(ledger: Ledger) -> None:
    ledger.take_in([an_arrival("mail-1", offset=1), an_arrival("mail-2", offset=2)])
    known, _unheard_of = ledger.claim("deliver-0", 2)

    assert ledger.take_over("deliver-0", [known]) == 1

    assert note_start(ledger, known) is Start.GO
    assert standing(ledger, "mail-2").state is State.WAITING


def test_a_dead_owners_claims_wait_again_at_once(ledger: Ledger) -> None:
    ledger.take_in([an_arrival("mail-1", offset=1), an_arrival("mail-2", offset=2)])
    note_start(ledger, claimed(ledger))
    ledger.claim("deliver-0", 1)

    assert ledger.take_over("deliver-0") == 2

    assert standing(ledger, "mail-1").in_doubt_count == 1
    assert standing(ledger, "mail-2").in_doubt_count == 0
    assert ledger.counts() == {State.WAITING: 2, State.CLAIMED: 0, State.HELD: 0}
    assert ledger.claim("deliver-0", 1) != []


def test_claims_of_others_are_not_taken_over(ledger: Ledger) -> None:
    ledger.take_in([an_arrival()])
    ledger.claim("deliver-1", 1)

    assert ledger.take_over("deliver-0") == 0
    assert standing(ledger).state is State.CLAIMED


def test_mails_that_are_done_are_not_taken_over(ledger: Ledger) -> None:
    ledger.take_in([an_arrival()])
    note(ledger, claimed(ledger), SENT)

    assert ledger.take_over("deliver-0") == 0


# counts and standing


def test_every_state_that_is_not_final_is_counted(ledger: Ledger) -> None:
    ledger.take_in([an_arrival(f"mail-{n}", offset=n) for n in range(4)])
    note(ledger, claimed(ledger), SENT)
    ledger.claim("deliver-0", 1)

    assert ledger.counts() == {State.WAITING: 2, State.CLAIMED: 1, State.HELD: 0}


def test_nothing_is_counted_as_nought(ledger: Ledger) -> None:
    assert ledger.counts() == {State.WAITING: 0, State.CLAIMED: 0, State.HELD: 0}


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
        SqlLedger(engine).claim("deliver-0", 1)

    engine.dispose()
