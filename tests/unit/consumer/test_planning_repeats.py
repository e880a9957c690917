"""An event id makes its mails once: what the planner asks the window, and what it adds to it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from uuid import UUID

from consumer.evaluating import Evaluating
from consumer.planning import Planner
from consumer.publications import Publisher
from consumer.redrives import Redrive, redrive_headers
from consumer.repeats import Repeats
from schemas.codec import encode_evaluation
from schemas.instants import milliseconds
from schemas.plans import Plan, Repeat
from schemas.records import Batch, Lost, Place, Record
from schemas.repeats import SettledId, key_of, value_of
from schemas.vocabulary import EventId, Outcome, RuleId, TenantId
from tests.builders import a_status_update
from tests.properties.test_planning import DECISION, RULES, a_record, planner, refusing

EVENT = a_status_update(tenant_id=TenantId("m-1"), status="FIN_REJECTED", previous_status=None)
TOPIC = "payment-status-updated"
NOW = milliseconds(DECISION.at)
KEY = key_of(TOPIC, "m-1", EVENT.event_id)
NOBODYS = a_status_update(tenant_id=TenantId("m-nobody"))


def window(*ids: SettledId) -> Repeats:
    repeats = Repeats(timedelta(days=7), 1_000)
    repeats.enter(ids)
    return repeats


def knowing(*ids: SettledId) -> Planner:
    return replace(planner(), first_offset=window(*ids).first_offset)


def settled(offset: int = 3, partition: int = 0, key: bytes = KEY) -> SettledId:
    return SettledId(Place(TOPIC, partition), key, offset, NOW)


def plan(*records: Record, by: Planner | None = None) -> Plan:
    return (by or planner()).plan(Batch(records))


def outcomes(plan: Plan) -> Sequence[Outcome]:
    return [share.outcome for _, share in plan.shares]


def event_at(offset: int, partition: int = 0, number: int | None = None) -> Record:
    event_id = EVENT.event_id if number is None else EventId(str(UUID(int=number)))
    return a_record(replace(EVENT, event_id=event_id), offset, partition)


def test_an_event_that_was_settled_before_is_repeated_and_names_its_first_offset() -> None:
    planned = plan(event_at(9), by=knowing(settled(offset=3)))

    assert outcomes(planned) == [Outcome.REPEATED]
    assert planned.evaluations[0].repeats == (Repeat(9, 3),)
    assert planned.shares[0][1].mails == ()


def test_the_batchs_earlier_records_count_too() -> None:
    # Failed when the planner asked the worker's copy alone: it holds committed ids only.
    planned = plan(event_at(5), event_at(6), event_at(7, number=1), event_at(8))

    assert outcomes(planned) == ["mailed", "repeated", "mailed", "repeated"]
    assert planned.evaluations[0].repeats == (Repeat(6, 5), Repeat(8, 5))


def test_ids_of_the_batch_under_way_count_too_and_are_not_written_again() -> None:
    # Failed when the batch before, not committed yet, was in nobody's memory: its events that came
    # again made mails again. And when its ids were taken for this batch's own.
    batch = Batch((event_at(9), event_at(10, number=1)))

    planned = planner().plan(batch, under_way=[settled(offset=3), settled(4, key=b"another")])

    assert outcomes(planned) == ["repeated", "mailed"]
    assert planned.evaluations[0].repeats == (Repeat(9, 3),)
    assert [each.first_offset for each in planned.settled] == [10]


def test_the_same_id_on_another_partition_is_no_repetition() -> None:
    # The delivery ledger refuses its mail ids; the worker cannot know another worker's partition.
    planned = plan(event_at(5, partition=0), event_at(5, partition=1), by=knowing(settled(3, 2)))

    assert outcomes(planned) == ["mailed", "mailed"]


def test_the_same_id_of_another_tenant_or_topic_is_no_repetition() -> None:
    others = [
        settled(key=key_of(TOPIC, "m-2", EVENT.event_id)),
        settled(key=key_of("payment-file-rejected", "m-1", EVENT.event_id)),
    ]

    assert outcomes(plan(event_at(5), by=knowing(*others))) == ["mailed"]


def test_an_event_that_gave_mails_is_settled_under_its_id() -> None:
    assert plan(event_at(5)).settled == (settled(offset=5),)


def test_an_event_that_gave_a_rules_dead_letter_is_settled_too() -> None:
    planned = plan(event_at(5), by=planner(render_=refusing("r-all")))

    assert outcomes(planned) == ["failed"]
    assert planned.settled == (settled(offset=5),)


def test_what_gave_neither_leaves_no_trace() -> None:
    damaged = event_at(6)._replace(value=(event_at(6).value or b"")[:-3])

    planned = plan(a_record(NOBODYS, 5), damaged)

    assert outcomes(planned) == ["no_rules", "unreadable"]
    assert planned.settled == ()


def test_an_event_that_nobody_wants_does_not_ask() -> None:
    asked: list[bytes] = []

    def first_offset(_: Place, key: bytes, __: int) -> None:
        asked.append(key)

    plan(a_record(NOBODYS, 5), by=replace(planner(), first_offset=first_offset))

    assert asked == []


def test_damage_comes_before_repetition() -> None:
    record = event_at(9)
    cut = record._replace(value=(record.value or b"")[:-3])

    assert outcomes(plan(cut, by=knowing(settled()))) == ["unreadable"]


def redriven(offset: int, rule_id: str | None) -> Record:
    redrive = Redrive("dead-letter/0/7", None if rule_id is None else RuleId(rule_id))
    return event_at(offset)._replace(headers=redrive_headers(redrive, planner().group_id))


def test_a_redriven_share_is_known_by_its_letter_and_not_by_its_event() -> None:
    planned = plan(redriven(9, "r-all"), redriven(10, "r-all"), by=knowing(settled()))

    assert outcomes(planned) == ["mailed", "repeated"]
    assert planned.evaluations[0].repeats == (Repeat(10, 9),)


def test_what_retention_took_is_an_evaluation_of_its_own() -> None:
    batch = Batch((event_at(15),), (Lost(TOPIC, 0, 10, 14),))

    gap, rest = planner().plan(batch).evaluations

    assert (gap.first_offset, gap.last_offset, gap.outcomes) == (10, 14, {Outcome.LOST: 5})
    assert (rest.first_offset, rest.last_offset) == (15, 15)


# --- around the planner ---------------------------------------------------------------------------


def evaluating(repeats: Repeats) -> Evaluating:
    return Evaluating(
        rules=lambda: RULES,
        planner_for=lambda _, decision: replace(
            planner(), decision=decision, first_offset=repeats.first_offset
        ),
        publisher=Publisher(
            outgoing_mail="outgoing-mail",
            dead_letter="dead-letter",
            evaluation="evaluation",
            repeats="repeats",
            group_id="group",
            encode_evaluation=partial(encode_evaluation, prefix=b""),
        ),
        now=lambda: DECISION.at,
        count=lambda *_: None,
        matched=lambda _: None,
        enter=repeats.enter,
    )


def test_ids_enter_once_their_batch_is_settled_and_not_before() -> None:
    # Failed when ids entered with the plan: after a commit that failed, the event that came again
    # was taken for a repetition of itself and its mails were lost.
    repeats = window()
    work, batch = evaluating(repeats), Batch((event_at(5),))

    work.prepare(batch)  # this one is not settled, and the batch comes again
    after_failure = repeats.count
    prepared = work.prepare(batch)
    mails = [p for p in prepared.publications if p.topic == "outgoing-mail"]
    work.settled(prepared, 0.0)

    assert (after_failure, len(mails), repeats.count) == (0, 2, 1)
    assert repeats.first_offset(Place(TOPIC, 0), KEY, NOW) == 5


def test_a_batch_is_planned_as_if_the_one_under_way_were_settled() -> None:
    work = evaluating(window())
    under_way = work.prepare(Batch((event_at(5),)))

    prepared = work.prepare(Batch((event_at(6),)), under_way)

    assert outcomes(prepared.plan) == ["repeated"]
    assert prepared.plan.settled == ()


def test_nothing_of_a_batch_under_way_is_left_where_it_failed() -> None:
    work = evaluating(window())
    work.prepare(Batch((event_at(5),)))

    assert outcomes(work.prepare(Batch((event_at(6),))).plan) == ["mailed"]


def test_a_settled_id_goes_to_the_partition_of_its_event() -> None:
    publications = evaluating(window()).prepare(Batch((event_at(5, partition=4),))).publications

    (remembered,) = [p for p in publications if p.topic == "repeats"]
    assert (remembered.partition, remembered.key) == (4, KEY)
    assert remembered.value == value_of(5, NOW)


def test_a_batch_that_only_lost_something_is_evaluated() -> None:
    publications = evaluating(window()).prepare(Batch((), (Lost(TOPIC, 0, 10, 14),))).publications

    assert [p.topic for p in publications] == ["evaluation"]
