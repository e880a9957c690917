from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from consumer.publications import Publisher
from schemas.codec import encode_evaluation
from schemas.plans import DeadLetter, Evaluation, Plan, Share
from schemas.records import Publication, Record
from schemas.vocabulary import DeadLetterReason, Generation, Outcome, RuleId

FAILED_AT = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
RECORD = Record(
    "payment-status-updated", 3, 42, 1_773_212_561_000, b"key", b"value", (("a", b"b"),)
)
LETTER = DeadLetter(record=RECORD, reason=DeadLetterReason.UNDECODABLE, detail="not Avro")
PUBLISHER = Publisher(
    outgoing_mail="mails",
    dead_letter="dead",
    evaluation="evaluations",
    repeats="repeats",
    group_id="group",
    encode_evaluation=lambda evaluation: encode_evaluation(evaluation, b"prefix"),
)


def published(letter: DeadLetter) -> Publication:
    return next(PUBLISHER.letters([letter], FAILED_AT))


def added(publication: Publication) -> Mapping[str, str]:
    return {n: (v or b"").decode() for n, v in publication.headers if n.startswith("push.")}


def test_a_dead_letter_keeps_key_value_and_headers() -> None:
    publication = published(LETTER)

    assert (publication.topic, publication.key, publication.value) == ("dead", b"key", b"value")
    assert publication.headers[0] == ("a", b"b")


def test_a_dead_letter_says_where_it_came_from_and_why() -> None:
    assert added(published(LETTER)) == {
        "push.reason": "undecodable",
        "push.detail": "not Avro",
        "push.topic": "payment-status-updated",
        "push.partition": "3",
        "push.offset": "42",
        "push.timestamp": "1773212561000",
        "push.group": "group",
        "push.failed_at": "2026-11-24T08:30:00.000+00:00",
    }


def test_a_rules_share_names_its_rule() -> None:
    assert added(published(replace(LETTER, rule_id=RuleId("r-1"))))["push.rule_id"] == "r-1"


def test_a_null_value_stays_null() -> None:
    letter = replace(LETTER, record=RECORD._replace(value=None))

    assert published(letter).value is None


def test_a_long_detail_is_cut_at_200_characters() -> None:
    assert len(added(published(replace(LETTER, detail="x" * 999)))["push.detail"]) == 200


def test_a_letter_refused_for_its_size_says_size_and_hash_of_its_value() -> None:
    smaller = published(LETTER).smaller
    assert smaller is not None

    assert (smaller.key, smaller.value, smaller.headers[0]) == (b"key", None, ("a", b"b"))
    assert added(smaller)["push.value_bytes"] == "5"
    assert added(smaller)["push.value_sha256"] == (
        "cd42404d52ad55ccfa9aca4adc828aa5800ad9d385a0671fbcbf724118320619"
    )


def test_a_letter_refused_even_so_leaves_its_key_and_foreign_headers_out() -> None:
    smaller = published(LETTER).smaller
    smallest = smaller and smaller.smaller
    assert smallest is not None

    assert (smallest.key, smallest.value, smallest.smaller) == (None, None, None)
    assert added(smallest)["push.key_bytes"] == "3"
    assert added(smallest)["push.reason"] == "undecodable"
    assert all(name.startswith("push.") for name, _ in smallest.headers)


def test_a_plan_without_mails_still_publishes_its_evaluations() -> None:
    evaluation = Evaluation(
        topic="payment-status-updated",
        partition=3,
        first_offset=42,
        last_offset=42,
        rules_generation=Generation(7),
        engine_version="0.1.0",
        decided_at=FAILED_AT,
        outcomes={Outcome.NO_MATCH: 1},
    )
    plan = Plan(shares=((RECORD, Share(Outcome.NO_MATCH)),), evaluations=(evaluation,))

    (publication,) = PUBLISHER.publications(plan, FAILED_AT)

    assert publication.topic == "evaluations"
    assert publication.key == b"payment-status-updated/3"
    assert (publication.value or b"").startswith(b"prefix")
