"""Dead letters: read, chosen, surveyed, shown, put back."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from consumer.letters.choosing import Choice
from consumer.letters.memory import MemoryDeadLetters, MemoryRedriver
from consumer.letters.reading import Letter, Mark, Position, mark, read
from consumer.letters.redriving import MOST, MOST_BYTES, Redriving, chunks, put_back
from consumer.letters.showing import plain_letter
from consumer.letters.surveying import obstacle, survey
from consumer.letters.tenants import Peeking
from consumer.memory import MemoryTopics
from consumer.publications import Publisher
from consumer.redrives import Redrive, redrive_headers, redrive_of
from consumer.registry import PublishedSchemas
from schemas.codec import Codec
from schemas.errors import InvalidValue, KafkaUnavailable
from schemas.plans import DeadLetter
from schemas.records import Publication, Record
from schemas.vocabulary import DeadLetterReason, EventType, RuleId, TenantId
from tests.builders import a_status_update
from tests.properties.test_planning import a_record

FAILED_AT = datetime(2026, 11, 25, 8, 30, tzinfo=UTC)
UPDATED = "payment-status-updated"
HOME = frozenset({("group", UPDATED), ("group-deliver", "outgoing-mail")})
EVENT = a_status_update(tenant_id=TenantId("m-1"))
RECORD = a_record(EVENT, offset=42, partition=3)._replace(headers=(("traceparent", b"00-1"),))
PEEKING = Peeking(Codec(PublishedSchemas()), {UPDATED: EventType.PAYMENT_STATUS_UPDATED})


def publisher(group: str = "group") -> Publisher:
    return Publisher(
        outgoing_mail="outgoing-mail",
        dead_letter="dead-letter",
        evaluation="evaluation",
        repeats="repeats",
        group_id=group,
        encode_evaluation=lambda _: b"",
    )


def a_publication(group: str = "group", at: datetime = FAILED_AT, **changes: Any) -> Publication:
    letter = DeadLetter(record=RECORD, reason=DeadLetterReason.UNDECODABLE, detail="not Avro")
    return next(publisher(group).letters([replace(letter, **changes)], at))


def as_read(publication: Publication, offset: int = 7) -> Record:
    """Return what a reader of the dead-letter topic gets."""
    parts = publication.key, publication.value, publication.headers
    return Record(publication.topic, publication.partition or 0, offset, -1, *parts)


def a_letter(offset: int = 7, **changes: Any) -> Letter:
    letter = read(as_read(a_publication(**changes), offset))
    assert isinstance(letter, Letter)
    return letter


# --- reading --------------------------------------------------------------------------------------


def test_a_letter_gives_its_record_back_as_it_was() -> None:
    letter = a_letter(rule_id=RuleId("r-1"))

    assert letter.record == RECORD
    assert letter.at == Position("dead-letter", 0, 7)
    assert (letter.reason, letter.detail, letter.rule_id) == ("undecodable", "not Avro", "r-1")
    assert (letter.group, letter.failed_at, letter.left_out) == ("group", FAILED_AT, None)


def test_a_record_with_headers_like_a_letters_says_nothing_about_its_letter() -> None:
    # Would catch a producer that decides where its record is put back, or that it was.
    forged = (
        ("push.redriven", b"dead-letter/0/1"),
        ("push.reason", b"render_failed"),
        ("push.rule_id", b"r-of-another"),
        ("push.topic", b"elsewhere"),
    )

    letter = a_letter(record=RECORD._replace(headers=forged))

    assert (letter.reason, letter.rule_id) == ("undecodable", None)
    assert letter.origin.topic == UPDATED
    assert letter.headers == forged


def test_a_letter_without_its_value_says_how_large_that_was() -> None:
    smaller = a_publication().smaller
    assert smaller is not None

    letter = read(as_read(smaller))

    assert isinstance(letter, Letter)
    assert letter.left_out == len(RECORD.value or b"")
    assert "left out for its size" in (obstacle(letter, HOME) or "")


def test_a_mark_names_its_letter_and_lies_in_its_partition() -> None:
    letter = a_letter()

    written = mark(letter, FAILED_AT)

    assert read(as_read(written)) == Mark(letter.at)
    assert (written.topic, written.partition, written.value) == ("dead-letter", 0, None)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param((), id="none"),
        pytest.param((("push.reason", b"undecodable"),), id="cut off"),
        pytest.param((("push.redriven", b"no place"),), id="a mark of nothing"),
    ],
)
def test_what_is_neither_letter_nor_mark_is_passed_over(headers: Any) -> None:
    assert read(RECORD._replace(headers=headers)) is None


def test_a_number_that_is_none_makes_no_letter() -> None:
    headers = tuple(
        (name, b"many" if name == "push.partition" else content)
        for name, content in a_publication().headers
    )

    assert read(RECORD._replace(headers=headers)) is None


@pytest.mark.parametrize("text", ["", "a", "a/1", "a/1/x", "a/-1/2", "/1/2", "a/1/2/3", "a/²/1"])
def test_a_place_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="TOPIC/PARTITION/OFFSET"):
        Position.parse(text)


# --- choosing and surveying -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        pytest.param({}, True, id="all"),
        pytest.param({"reasons": ["undecodable"]}, True, id="reason"),
        pytest.param({"reasons": ["null_value"]}, False, id="another reason"),
        pytest.param({"topics": [UPDATED]}, True, id="topic"),
        pytest.param({"topics": ["payment-file-rejected"]}, False, id="another topic"),
        pytest.param({"tenants": ["m-1"]}, True, id="tenant"),
        pytest.param({"tenants": ["m-2"]}, False, id="another tenant"),
        pytest.param({"rules": ["r-1"]}, False, id="a rule's share only"),
        pytest.param({"places": [Position("dead-letter", 0, 7)]}, True, id="place"),
        pytest.param({"places": [Position("dead-letter", 1, 7)]}, False, id="another place"),
        pytest.param({"since": FAILED_AT}, True, id="since then"),
        pytest.param({"until": FAILED_AT}, False, id="before then"),
        pytest.param({"groups": ["another"]}, False, id="another group"),
    ],
)
def test_a_choice_takes_what_it_asks_for(choice: dict[str, Any], expected: bool) -> None:
    chosen = Choice(**{"groups": ["group"]} | choice)

    assert chosen.takes(a_letter(), PEEKING.tenant) is expected


def test_the_tenant_of_a_record_that_cannot_be_read_is_not_known() -> None:
    assert PEEKING.tenant(a_letter(record=RECORD._replace(value=b"noise"))) is None
    assert PEEKING.tenant(a_letter(record=RECORD._replace(value=None))) is None


def test_a_survey_tells_redriven_letters_from_waiting_and_stuck_ones() -> None:
    smaller = a_publication().smaller
    assert smaller is not None
    records = [
        as_read(a_publication(at=FAILED_AT + timedelta(seconds=1)), 0),
        as_read(a_publication(), 1),
        as_read(smaller, 2),
        as_read(mark(a_letter(1), FAILED_AT), 3),
    ]

    found = survey(records, Choice(groups=["group"]), PEEKING.tenant, HOME)

    assert [each.at.offset for each in found.letters] == [1, 2, 0]
    assert [each.at.offset for each in found.waiting()] == [0]
    assert [each.at.offset for each in found.stuck()] == [2]


def test_a_letter_of_a_topic_that_is_none_of_ours_is_not_put_back() -> None:
    # Would catch somebody who writes a letter that makes us publish into any topic of the cluster.
    letter = replace(a_letter(), origin=Position("__consumer_offsets", 0, 0))

    assert "no topic that group reads" in (obstacle(letter, HOME) or "")


# --- showing --------------------------------------------------------------------------------------


def test_nothing_personal_is_shown() -> None:
    record = RECORD._replace(
        key=b"DE89370400440532013000", headers=(("from", b"anna@muster.example"),)
    )
    letter = a_letter(record=record)

    shown = str(plain_letter(letter, PEEKING.routing(letter), None))

    assert "DE89" not in shown
    assert "anna@" not in shown
    assert str(EVENT.file_name) not in shown
    assert "'key': '22 bytes'" in shown
    assert "'from': '19 bytes'" in shown


def test_routing_fields_and_a_key_that_is_a_uuid_are_shown() -> None:
    letter = a_letter(record=RECORD._replace(key=str(EVENT.file_id).encode()))

    shown = plain_letter(letter, PEEKING.routing(letter), None)

    assert shown["key"] == EVENT.file_id
    assert shown["routing"]["tenant_id"] == "m-1"
    assert shown["routing"]["account_ids"] == ["acc-7731"]
    assert shown["letter"]["push.reason"] == "undecodable"


# --- putting back ---------------------------------------------------------------------------------


@pytest.mark.parametrize("rule_id", [None, RuleId("r-1")], ids=["whole", "a rule's share"])
def test_a_record_goes_back_as_it_was_with_what_it_makes_up_for(rule_id: RuleId | None) -> None:
    back = put_back(a_letter(rule_id=rule_id), "group")

    assert (back.topic, back.partition) == (UPDATED, 3)
    assert (back.key, back.value, back.headers[0]) == (
        RECORD.key,
        RECORD.value,
        ("traceparent", b"00-1"),
    )
    read_again = RECORD._replace(headers=back.headers)
    assert redrive_of(read_again, "group") == Redrive("dead-letter/0/7", rule_id)


def test_a_record_put_back_twice_bears_the_headers_of_the_last_time_only() -> None:
    before = redrive_headers(Redrive("dead-letter/0/1", RuleId("r-old")), "group")
    letter = a_letter(record=RECORD._replace(headers=before))

    back = put_back(letter, "group")

    assert [name for name, _ in back.headers] == ["push.redrive-of", "push.redrive-group"]


def test_chunks_are_small_enough_for_a_transaction() -> None:
    small, large = a_letter(), replace(a_letter(), value=b"x" * (MOST_BYTES // 2 + 1))

    cut = list(chunks([small] * (MOST + 1) + [large] * 2))

    assert [len(chunk) for chunk in cut] == [MOST, 2, 1]


class Topics:
    """A dead-letter topic with letters in it, and a redrive of it."""

    def __init__(self, *publications: Publication, fail: Sequence[str] = ()) -> None:
        self.topics = MemoryTopics(published=list(publications))
        self.left = list(fail)
        self.redriving = Redriving(
            topic=MemoryDeadLetters(self.topics, "dead-letter"),
            redriver=MemoryRedriver(self.topics, "dead-letter", fail=self._fail),
            group_id="group",
            home=HOME,
            tenant_of=PEEKING.tenant,
            now=lambda: FAILED_AT,
        )

    def _fail(self, step: str) -> None:
        if step in self.left:
            self.left.remove(step)
            raise KafkaUnavailable(step)

    def back(self) -> Iterator[Record]:
        for log in self.topics.records.values():
            yield from log


ALL = Choice(groups=["group"])


def test_a_redrive_puts_every_letter_back_once_however_often_it_is_run() -> None:
    topics = Topics(a_publication(), a_publication(rule_id=RuleId("r-1")))

    for _ in range(3):
        topics.redriving.run(ALL)

    assert [redrive_of(record, "group") for record in topics.back()] == [
        Redrive("dead-letter/0/0"),
        Redrive("dead-letter/0/1", RuleId("r-1")),
    ]


@pytest.mark.parametrize("step", ["take over", "publish", "published"])
def test_a_redrive_that_broke_off_is_gone_on_with(step: str) -> None:
    topics = Topics(a_publication(), fail=[step])

    with pytest.raises(KafkaUnavailable):
        topics.redriving.run(ALL)
    topics.redriving.run(ALL)

    assert len(list(topics.back())) == 1


def test_what_is_only_looked_at_stays_where_it_is() -> None:
    topics = Topics(a_publication())

    found = topics.redriving.survey(ALL, lambda _: None)

    assert len(found.waiting()) == 1
    assert list(topics.back()) == []


def test_a_letter_that_fails_again_meanwhile_waits_for_the_next_redrive() -> None:
    # Would catch a redrive that chases its own failures without end.
    topics = Topics(a_publication())
    seen: list[int] = []

    def fail_again(done: int, _: int) -> None:
        seen.append(done)
        topics.topics.published.append(a_publication())

    topics.redriving.run(ALL, writing=fail_again)

    assert seen == [1]
