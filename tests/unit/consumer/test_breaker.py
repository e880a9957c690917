import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from consumer.breaker import Breaker, Limits, Seen
from consumer.evaluating import Evaluating
from consumer.loop import Loop
from consumer.memory import MemoryStream, MemoryTopics
from consumer.publications import Publisher
from consumer.redrives import REDRIVE_OF
from schemas.errors import TooManyFaults
from schemas.plans import DeadLetter, Evaluation, Plan, Share
from schemas.records import Record
from schemas.vocabulary import DeadLetterReason, Generation, Outcome, RuleId
from tests.builders import a_status_update
from tests.properties.test_planning import RULES, a_record, planner

AT = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
RECORD = Record("payment-status-updated", 3, 42, -1, b"key", b"value")
REDRIVEN = RECORD._replace(headers=((REDRIVE_OF, b"dead-letter/0/7"),))


def a_letter(reason: DeadLetterReason, *, is_wanted: bool = False) -> DeadLetter:
    return DeadLetter(record=RECORD, reason=reason, detail="why", is_wanted=is_wanted)


def unreadable(reason: DeadLetterReason, *, is_wanted: bool = False) -> Share:
    return Share(Outcome.UNREADABLE, dead_letters=(a_letter(reason, is_wanted=is_wanted),))


MAILED, NO_MATCH = Share(Outcome.MAILED), Share(Outcome.NO_MATCH)
NOISE = unreadable(DeadLetterReason.UNKNOWN_FRAMING)
UNDECODABLE = unreadable(DeadLetterReason.UNDECODABLE)
WANTED_UNDECODABLE = unreadable(DeadLetterReason.UNDECODABLE, is_wanted=True)
SPOILT = Share(
    Outcome.FAILED,
    dead_letters=(
        replace(a_letter(DeadLetterReason.RENDER_FAILED, is_wanted=True), rule_id=RuleId("r-1")),
    ),
)
LIMITS = Limits(in_a_row=5, after_start=2, percent=50, at_least=0, unreadable=7)


def a_plan(*shares: Share, record: Record = RECORD) -> Plan:
    outcomes = dict.fromkeys(Outcome, 0)
    for share in shares:
        outcomes[share.outcome] += 1
    evaluation = Evaluation(
        topic=record.topic,
        partition=record.partition,
        first_offset=0,
        last_offset=len(shares),
        rules_generation=Generation(1),
        engine_version="test",
        decided_at=AT,
        outcomes=outcomes,
    )
    return Plan(shares=tuple((record, share) for share in shares), evaluations=(evaluation,))


def seen(
    *batches: Sequence[Share], limits: Limits = LIMITS, apart: timedelta = timedelta()
) -> Seen:
    """Show the breaker one batch after another."""
    state = Seen()
    for number, shares in enumerate(batches):
        state = Breaker(limits).after(state, a_plan(*shares), AT + number * apart)
    return state


def test_so_many_faults_in_a_row_stop_the_worker() -> None:
    with pytest.raises(TooManyFaults, match="5 records in a row could not be made into mails"):
        seen([MAILED], [SPOILT] * 5)


def test_one_less_does_not() -> None:
    assert seen([MAILED], [SPOILT] * 4).making.in_a_row == 4


def test_a_row_goes_on_from_batch_to_batch() -> None:
    with pytest.raises(TooManyFaults):
        seen([MAILED], *[[SPOILT]] * 5)


def test_a_record_that_went_well_ends_the_row() -> None:
    assert seen([MAILED, *[SPOILT] * 4, MAILED, *[SPOILT] * 4]).making.in_a_row == 4


def test_after_a_start_fewer_suffice() -> None:
    with pytest.raises(TooManyFaults, match="2 records in a row since the start could not be read"):
        seen([UNDECODABLE] * 2)


def test_records_that_no_rule_wants_do_not_hide_broken_templates() -> None:
    # Shown to fail on a breaker whose row any other outcome ends.
    with pytest.raises(TooManyFaults):
        seen([MAILED], *[[NO_MATCH, NO_MATCH, SPOILT]] * 5)


def test_a_wanted_event_that_cannot_be_decoded_is_a_fault_of_making() -> None:
    with pytest.raises(TooManyFaults, match="made into mails"):
        seen([MAILED], *[[NO_MATCH, WANTED_UNDECODABLE]] * 5)


def test_damaged_records_among_readable_ones_stop_nothing() -> None:
    # A producer that damages some of its records is not our fault, however long it goes on.
    assert seen(*[[UNDECODABLE, NO_MATCH]] * 100).reading.in_a_row == 0


def test_noise_among_records_stops_nothing() -> None:
    assert seen(*[[*[NOISE] * 6, NO_MATCH]] * 100).unreadable == 0


def test_noise_and_nothing_else_stops_the_worker() -> None:
    with pytest.raises(TooManyFaults, match="7 records in a row were no payment events"):
        seen([NOISE] * 7)


def test_noise_is_no_fault_of_ours_also_after_a_start() -> None:
    assert seen([NOISE] * 6).reading.in_a_row == 0


def test_more_than_half_of_many_records_in_a_minute_stop_the_worker() -> None:
    limits = Limits(in_a_row=0, percent=50, at_least=10)

    with pytest.raises(TooManyFaults, match="6 of 11 records in 60 s"):
        seen([MAILED, SPOILT] * 5 + [SPOILT], limits=limits)


@pytest.mark.parametrize(
    "shares",
    [
        pytest.param([MAILED, SPOILT] * 5, id="half of them"),
        pytest.param([SPOILT] * 9, id="too few"),
        pytest.param([NO_MATCH] * 11 + [SPOILT] * 9, id="too few that were tried"),
    ],
)
def test_half_of_them_or_few_do_not(shares: list[Share]) -> None:
    seen(shares, limits=Limits(in_a_row=0, after_start=0, percent=50, at_least=10))


def test_what_failed_long_ago_is_forgotten() -> None:
    limits = Limits(in_a_row=0, after_start=0, percent=50, at_least=10)

    state = seen([SPOILT] * 9, [SPOILT] * 9, limits=limits, apart=timedelta(seconds=60))

    assert [tried.records for tried in state.making.lately] == [9]


def test_many_small_batches_are_kept_as_few_sums() -> None:
    # Would catch a window that holds an entry for each of hundreds of batches a second.
    state = seen(*[[MAILED]] * 2_000, apart=timedelta(milliseconds=50))

    assert len(state.making.lately) <= 61
    assert 1_180 <= sum(tried.records for tried in state.making.lately) <= 1_220


def test_redriven_records_that_fail_again_stop_nothing() -> None:
    # They lie in the input topic for good: a worker that stops for them never gets past them.
    plan = a_plan(*[SPOILT] * 100, record=REDRIVEN)

    assert Breaker(LIMITS).after(Seen(), plan, AT).making.in_a_row == 0


def test_the_reason_names_what_failed_where_and_the_mend() -> None:
    with pytest.raises(TooManyFaults) as stopped:
        seen([UNDECODABLE] * 2)

    assert str(stopped.value) == (
        "2 records in a row since the start could not be read, so the fault may be ours; their "
        "batch was not settled. In it: 2 undecodable; the last at payment-status-updated/3/42: "
        "why. Mend the cause and start again, or make dead letters of them with PUSH_BREAKER=false"
    )
    assert stopped.value.exit_code == 70


# --- in the loop ----------------------------------------------------------------------------------


def evaluating(breaker: Breaker | None) -> Evaluating:
    return Evaluating(
        rules=lambda: RULES,
        planner_for=lambda _, decision: replace(planner(), decision=decision),
        publisher=Publisher(
            outgoing_mail="mails",
            dead_letter="dead",
            evaluation="evaluations",
            repeats="repeats",
            group_id="group",
            encode_evaluation=lambda _: b"",
        ),
        now=lambda: AT,
        count=lambda _, __: None,
        matched=lambda _: None,
        breaker=breaker,
    )


def run(topics: MemoryTopics, work: Evaluating, collects: int = 3) -> None:
    stop = threading.Event()
    Loop(
        stream=MemoryStream(topics=topics, reads=[RECORD.topic], most=collects),
        work=work,
        most=3,
        stop=stop,
        beat=lambda: None,
        collected=lambda batch: None if batch.records else stop.set(),
        postponed=lambda _: None,
    ).run()


def topics_with(good: int, damaged: int) -> MemoryTopics:
    topics = MemoryTopics()
    value = a_record(a_status_update()).value or b""
    for number in range(good + damaged):
        topics.append(RECORD.topic, value if number < good else value[:20])
    return topics


def test_the_batch_at_which_the_breaker_stops_is_not_settled() -> None:
    topics = topics_with(good=1, damaged=8)

    with pytest.raises(TooManyFaults):
        run(topics, evaluating(Breaker(LIMITS)))

    assert topics.settled[RECORD.place._replace(partition=0)] == 3
    assert [p.topic for p in topics.published].count("dead") == 2


def test_the_breaker_counts_what_is_under_way() -> None:
    # Failed when each part was judged by what was settled before it.
    topics = topics_with(good=1, damaged=8)

    with pytest.raises(TooManyFaults):
        run(topics, evaluating(Breaker(replace(LIMITS, after_start=0))), collects=9)

    assert topics.settled[RECORD.place._replace(partition=0)] == 3
    assert [p.topic for p in topics.published].count("dead") == 2


def test_a_restarted_worker_stops_again_before_anything_is_settled() -> None:
    topics = topics_with(good=0, damaged=8)

    for _ in range(3):
        with pytest.raises(TooManyFaults):
            run(topics, evaluating(Breaker(LIMITS)))

    assert topics.published == []


def test_without_a_breaker_however_many_become_dead_letters() -> None:
    topics = topics_with(good=0, damaged=8)

    run(topics, evaluating(None))

    assert [p.topic for p in topics.published].count("dead") == 8
