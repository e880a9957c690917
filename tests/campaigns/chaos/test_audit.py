"""The audit: a clean log passes, and each kind of damage is found and named."""

import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from io import BytesIO
from itertools import islice
from typing import Any

import fastavro
import pytest

from tests.campaigns import generated, oracle
from tests.campaigns.chaos.audit import Audit
from tests.campaigns.chaos.findings import Damage
from tests.campaigns.chaos.inputs import Inputs, by_id, read_event
from tests.campaigns.chaos.load import written
from tests.campaigns.reading import Seen, schema_of

RULES = generated.rules_file(seed=1)
TENANTS = by_id(RULES["tenants"])
TOPIC = generated.UPDATED
EVENTS = 300
MIDDLE = 150  # last offset of the first range


@dataclass(frozen=True)
class Log:
    """What lies in the topics after a run; the worker that wrote it made no fault."""

    inputs: list[Seen]
    mails: list[Seen] = field(default_factory=list)
    letters: list[Seen] = field(default_factory=list)
    evaluations: list[dict[str, Any]] = field(default_factory=list)
    repeats: list[Seen] = field(default_factory=list)

    def damage(self) -> set[Damage]:
        inputs = Inputs(tenants=TENANTS, names={TOPIC: TOPIC})
        for record in self.inputs:
            inputs.take(record)
        audit = Audit(inputs)
        audit.take_mails(self.mails)
        audit.take_letters(self.letters)
        audit.take_evaluations(seen("evaluation", n, f) for n, f in enumerate(self.evaluations))
        audit.take_repeats(self.repeats)
        return {damage for damage, count in audit.findings().counts.items() if count}


def seen(name: str, offset: int, values: dict[str, Any], key: bytes = b"") -> Seen:
    body = BytesIO()
    fastavro.schemaless_writer(body, schema_of(name), values)
    return Seen(name, 0, offset, key, b"\xc3\x01" + bytes(8) + body.getvalue(), {})


@pytest.fixture(scope="module")
def clean() -> Log:
    """Three hundred records of one partition, two unreadable, then ten published again."""
    records = [r for r in islice(written(1, 1), 3 * EVENTS) if r.name == TOPIC][:EVENTS]
    records[5], records[6] = (record._replace(value=b"junk") for record in records[5:7])
    again = [r for r in records if mails_of(r.value)][:10]
    log = Log([Seen(TOPIC, 0, n, r.key, r.value, {}) for n, r in enumerate([*records, *again])])
    settle(log, [(0, MIDDLE), (MIDDLE + 1, EVENTS + 9)])
    return log


def mails_of(value: bytes | None) -> list[tuple[str, str, str]]:
    event = read_event(TOPIC, value)
    return list(oracle.mails_of(TENANTS.get(event["tenant_id"]), event)) if event else []


def settle(log: Log, ranges: list[tuple[int, int]]) -> None:
    """Write what a faultless worker would, by means as plain as they come."""
    firsts: dict[str, int] = {}
    outcomes: dict[int, str] = {}
    repeats: dict[int, int] = {}
    for record in log.inputs:
        event = read_event(TOPIC, record.value)
        mails = mails_of(record.value)
        if event is None:
            outcomes[record.offset] = "unreadable"
            log.letters.append(letter_of(record))
        elif event["event_id"] in firsts:
            outcomes[record.offset] = "repeated"
            repeats[record.offset] = firsts[event["event_id"]]
        elif not mails:
            outcomes[record.offset] = oracle.outcome(TENANTS.get(event["tenant_id"]), event)
        else:
            outcomes[record.offset] = "mailed"
            firsts[event["event_id"]] = record.offset
            log.mails.extend(mail_of(event, *mail, len(log.mails)) for mail in mails)
            log.repeats.append(entry_of(event, record.offset))
    log.evaluations.extend(range_of(outcomes, repeats, *each) for each in ranges)


def range_of(
    outcomes: dict[int, str], repeats: dict[int, int], first: int, last: int
) -> dict[str, Any]:
    within = [outcome for offset, outcome in outcomes.items() if first <= offset <= last]
    return {
        "topic": TOPIC,
        "partition": 0,
        "first_offset": first,
        "last_offset": last,
        "rules_generation": 1,
        "engine_version": "0",
        "decided_at": 0,
        "outcomes": dict(Counter(within)),
        "repeats": [
            {"offset": offset, "first_offset": repeats[offset]}
            for offset in repeats
            if first <= offset <= last
        ],
    }


def mail_of(event: dict[str, Any], mail_id: str, rule_id: str, to: str, offset: int) -> Seen:
    values = {
        **{f["name"]: "" for f in schema_of("outgoing-mail")["fields"]},
        "mail_id": mail_id,
        "event_id": event["event_id"],
        "rule_id": rule_id,
        "tenant_id": event["tenant_id"],
        "file_id": event["file_id"],
        "recipient": to,
        "date": 0,
        "expires_at": 0,
        "rules_generation": 1,
        "fallback": False,
    }
    return seen("outgoing-mail", offset, values, event["file_id"].encode())


def letter_of(record: Seen) -> Seen:
    place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
    headers: dict[str, bytes | None] = {f"push.{n}": str(v).encode() for n, v in place.items()}
    return Seen("dead-letter", 0, record.offset, record.key, record.value, headers)


def entry_of(event: dict[str, Any], offset: int) -> Seen:
    key = b"\1" + "\0".join([TOPIC, event["tenant_id"], event["event_id"]]).encode()
    return Seen("repeats", 0, offset, key, struct.pack(">cQQ", b"\1", offset, 0), {})


def test_a_clean_log_passes(clean: Log) -> None:
    assert clean.damage() == set()


def test_the_clean_log_has_something_of_everything(clean: Log) -> None:
    assert len(clean.mails) > 100
    assert clean.letters
    assert len(clean.repeats) > 50
    assert sum(len(told["repeats"]) for told in clean.evaluations) == 10


def of_another_tenant(mail: Seen) -> Seen:
    """The mail as another tenant of the three would have it: everything else is shared."""
    value = mail.value or b""
    ours = next(name for name in TENANTS if name.encode() in value)
    other = next(name for name in TENANTS if name != ours)
    return mail._replace(value=value.replace(ours.encode(), other.encode()))


def with_range(log: Log, at: int, **changes: Any) -> Log:
    told = list(log.evaluations)
    told[at] = told[at] | changes
    return replace(log, evaluations=told)


def with_first_offsets_moved(log: Log) -> Log:
    moved = [r | {"first_offset": r["first_offset"] + 1} for r in log.evaluations[1]["repeats"]]
    return with_range(log, 1, repeats=moved)


DAMAGES: dict[str, tuple[Callable[[Log], Log], set[Damage]]] = {
    "a lost mail": (lambda log: replace(log, mails=log.mails[1:]), {Damage.LOST_MAIL}),
    "a doubled mail": (
        lambda log: replace(log, mails=[*log.mails, log.mails[0]]),
        {Damage.DOUBLED_MAIL},
    ),
    "a mail under another tenant": (
        lambda log: replace(log, mails=[of_another_tenant(log.mails[0]), *log.mails[1:]]),
        {Damage.FOREIGN_MAIL, Damage.LOST_MAIL},
    ),
    "a mail with another key": (
        lambda log: replace(log, mails=[log.mails[0]._replace(key=b"x"), *log.mails[1:]]),
        {Damage.FOREIGN_MAIL, Damage.LOST_MAIL},
    ),
    "a lost dead letter": (lambda log: replace(log, letters=[]), {Damage.LOST_LETTER}),
    "a doubled dead letter": (
        lambda log: replace(log, letters=[*log.letters, log.letters[0]]),
        {Damage.DOUBLED_LETTER},
    ),
    "a dead letter of a good record": (
        lambda log: replace(log, letters=[*log.letters, letter_of(log.inputs[0])]),
        {Damage.FOREIGN_LETTER},
    ),
    "a dead letter with other bytes": (
        lambda log: replace(log, letters=[log.letters[0]._replace(value=b"?"), *log.letters[1:]]),
        {Damage.FOREIGN_LETTER},
    ),
    "a gap": (
        lambda log: replace(log, evaluations=log.evaluations[1:]),
        {Damage.GAP},
    ),
    "an overlapping range": (
        lambda log: with_range(log, 1, first_offset=MIDDLE),
        {Damage.OVERLAP, Damage.WRONG_COUNTS},
    ),
    "a range told twice": (
        lambda log: replace(log, evaluations=[*log.evaluations, log.evaluations[0]]),
        {Damage.OVERLAP},
    ),
    "a range past the end": (
        lambda log: with_range(log, 1, last_offset=10 * EVENTS),
        {Damage.FOREIGN_RANGE, Damage.GAP},
    ),
    "a range with wrong counts": (
        lambda log: with_range(log, 0, outcomes=log.evaluations[1]["outcomes"]),
        {Damage.WRONG_COUNTS},
    ),
    "a repetition with a wrong first offset": (with_first_offsets_moved, {Damage.WRONG_FIRST}),
    "a repetition that is not named": (
        lambda log: with_range(log, 1, repeats=log.evaluations[1]["repeats"][1:]),
        {Damage.WRONG_FIRST},
    ),
    "a settled event that the repeats topic does not know": (
        lambda log: replace(log, repeats=log.repeats[1:]),
        {Damage.LOST_REPEAT},
    ),
    "an entry of the repeats topic with a wrong first offset": (
        lambda log: replace(
            log,
            repeats=[
                log.repeats[0]._replace(value=struct.pack(">cQQ", b"\1", 10**6, 0)),
                *log.repeats[1:],
            ],
        ),
        {Damage.FOREIGN_REPEAT},
    ),
    "an event settled twice by the repeats topic": (
        lambda log: replace(log, repeats=[*log.repeats, log.repeats[0]]),
        {Damage.FOREIGN_REPEAT},
    ),
}


@pytest.mark.parametrize(("harm", "found"), DAMAGES.values(), ids=DAMAGES.keys())
def test_each_kind_of_damage_is_found(
    clean: Log, harm: Callable[[Log], Log], found: set[Damage]
) -> None:
    assert harm(clean).damage() == found


@pytest.mark.parametrize(
    "ranges",
    [
        pytest.param([(0, MIDDLE), (MIDDLE + 2, EVENTS + 10)], id="left out"),
        pytest.param([(0, MIDDLE + 1), (MIDDLE + 2, EVENTS + 10)], id="included"),
    ],
)
def test_a_transactions_marker_may_lie_in_a_range_or_not(
    clean: Log, ranges: list[tuple[int, int]]
) -> None:
    moved = [r._replace(offset=r.offset + (r.offset > MIDDLE)) for r in clean.inputs]
    log = Log(moved)

    settle(log, ranges)

    assert log.damage() == set()
