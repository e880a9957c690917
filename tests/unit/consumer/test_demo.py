import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import resources
from io import StringIO

import pytest

from consumer.demo.events import Scene, encore, scenes
from consumer.demo.score import Score
from consumer.demo.screen import Screen
from consumer.demo.telling import Told, Tone, tell
from consumer.inbox.mailbox import Mailbox
from consumer.planning import Planner
from consumer.registry import PublishedSchemas
from rules_store.files.reading import RulesFile, read_rules_files
from rules_store.snapshot import Snapshot
from schemas.codec import Codec, encode_event, encode_mail
from schemas.events import PaymentEvent
from schemas.framing import single_object_prefix
from schemas.plans import Share
from schemas.published import published
from schemas.records import Record
from schemas.rules import TenantRules
from schemas.vocabulary import EventId, EventType, Outcome, PaymentStatus, RuleId, TenantId, UserId
from tests.builders import (
    a_decision,
    a_file_rejected,
    a_renderer,
    a_rule,
    a_status_update,
    a_tenant_with,
    a_user,
    rules_at,
)

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
PREFIX = {name: single_object_prefix(published(name).fingerprint) for name in EventType}


def a_record(event: PaymentEvent) -> Record:
    event_type = event.routing.event_type
    return Record(event_type, 0, 0, 0, b"key", encode_event(event, PREFIX[event_type]))


def told(record: Record, *tenants: TenantRules, again: bool = False) -> Told:
    rules = rules_at(*tenants)
    planner = Planner(
        rules=Snapshot.compile(rules),
        codec=Codec(PublishedSchemas()),
        render=a_renderer().render,
        encode=partial(encode_mail, prefix=b""),
        event_types={str(event_type): event_type for event_type in EventType},
        group_id="group",
        engine_version="test",
        decision=a_decision(),
    )
    sent = {mail.mail_id for mail, _ in planner.share(record).mails} if again else set()
    return tell(planner, rules, record, sent)


def test_a_wanted_event_is_told_with_its_rule_and_its_mails() -> None:
    rule = a_rule(internal_recipients=(UserId("u-anna"), UserId("u-gone")))

    line = told(a_record(a_status_update()), a_tenant_with(rule))

    assert line.tone is Tone.MAIL
    assert line.text == "rule “Jeder Zahlungsstatus” → 1 mail (u-gone deleted)"


def test_an_unwanted_event_is_told_with_the_reason_of_each_rule_that_waits_for_its_kind() -> None:
    off = a_rule(enabled=False)
    waits = replace(off, rule_id=RuleId("r-2"), description="Zweite", enabled=True)
    event = a_status_update(status=PaymentStatus.KON_REJECTED.value)

    line = told(a_record(event), a_tenant_with(off, waits))

    assert line.tone is Tone.QUIET
    assert line.text == (
        "no rule wants it: “Jeder Zahlungsstatus” switched off, “Zweite” other status"
    )


def test_an_event_that_only_rules_of_the_other_kind_saw_is_told_so() -> None:
    line = told(a_record(a_file_rejected()), a_tenant_with(a_rule()))

    assert line.text == "no rule wants it: “Jeder Zahlungsstatus” waits for the other event"


def test_an_event_for_nobody_is_told_with_who_was_left_out() -> None:
    user = a_user(active=False)

    line = told(a_record(a_status_update()), a_tenant_with(a_rule(), users={user.user_id: user}))

    assert line.tone is Tone.QUIET
    assert line.text.endswith("wants it, but nobody is left: u-anna inactive")


@pytest.mark.parametrize(
    ("event", "outcome"),
    [
        (a_status_update(tenant_id=TenantId("m-stranger")), Outcome.NO_RULES),
        (a_status_update(status="FIN_NEXT_YEAR"), Outcome.UNKNOWN_STATUS),
        (a_status_update(previous_status="FIN_REJECTED"), Outcome.UNCHANGED),
    ],
)
def test_an_event_that_no_rule_is_asked_about_is_told_by_its_outcome(
    event: PaymentEvent, outcome: Outcome
) -> None:
    line = told(a_record(event), a_tenant_with(a_rule()))

    assert line.tone is Tone.QUIET
    assert line.share.outcome is outcome


def test_a_damaged_record_is_told_as_a_dead_letter() -> None:
    record = a_record(a_status_update())

    line = told(record._replace(value=(record.value or b"")[:40]), a_tenant_with(a_rule()))

    assert line.tone is Tone.TROUBLE
    assert line.text.startswith("dead letter, undecodable: ")


def test_an_event_that_is_published_again_is_told_to_be_known() -> None:
    line = told(a_record(a_status_update()), a_tenant_with(a_rule()), again=True)

    assert line.tone is Tone.QUIET
    assert line.text == "published again: 1 mail known, none is made twice"


def test_foreign_text_is_no_markup_and_plain_output_has_no_colours() -> None:
    out = StringIO()
    line = Told(Tone.MAIL, "rule “[red]x[/red] :smile:”", Share(Outcome.MAILED))

    Screen(out).decided(timedelta(seconds=0.44), "FIN_REJECTED", "m-10482", line)

    assert out.getvalue() == (
        "00.4s  FIN_REJECTED            m-10482  rule “[red]x[/red] :smile:”\n"
    )


def test_the_demo_shows_both_event_types_and_every_kind_of_outcome_it_promises() -> None:
    played = scenes(NOW)

    assert {scene.event_type for scene in played} == set(EventType)
    assert len({scene.event_id for scene in played}) == len(played) - 1  # one comes again
    assert sum(len(scene.mails_to) for scene in played) == 13
    assert [scene.refused for scene in played if scene.refused] == [("refused@alpenblick.example",)]


def test_each_further_event_is_a_new_one() -> None:
    further = [encore(number, NOW) for number in range(6)]

    assert len({scene.event_id for scene in further}) == 6


def test_the_demos_rules_use_every_field_of_the_form() -> None:
    content = (resources.files("consumer.demo") / "rules.yaml").read_bytes()

    filed = read_rules_files([RulesFile("rules.yaml", content)])

    rules = [rule for tenant in filed.tenants for rule in tenant.rules]
    assert [note.partition("note: ")[2] for note in filed.notes] == [
        "nobody is left to get its mails: 1 no_address"  # which the demo shows
    ]
    assert len(filed.tenants) == 3
    assert any(not rule.enabled for rule in rules)
    assert any(rule.subject_may_show for rule in rules)
    assert any(not user.active for tenant in filed.tenants for user in tenant.users.values())
    schema = json.loads((resources.files("rules_store") / "rules.schema.json").read_bytes())
    assert _properties(schema) - set(re.findall(r"(\w+):", content.decode())) == set()


def _properties(schema: object) -> set[str]:
    """Return the name of every field that the form has."""
    if isinstance(schema, list):
        return {name for part in schema for name in _properties(part)}
    if not isinstance(schema, dict):
        return set()
    own = {str(name) for name in schema.get("properties", ())}
    return own | _properties(list(schema.values()))


def a_scene(*mails_to: str, refused: tuple[str, ...] = ()) -> Scene:
    return Scene(
        event_type=EventType.PAYMENT_STATUS_UPDATED,
        event_id=EventId("e-1"),
        key=b"",
        value=b"",
        name="FIN_REJECTED",
        tenant_id=TenantId("m-10482"),
        mails_to=mails_to,
        refused=refused,
    )


def a_score(scene: Scene, *arrived: str, refused: tuple[str, ...] = ()) -> Score:
    mailbox = Mailbox()
    for recipient in arrived:
        mailbox.put("bounce@demo.example", recipient, b"X-Push-Event-Id: e-1\r\n\r\n")
    for recipient in refused:
        mailbox.note_refusal(recipient, "550 5.1.1 no such mailbox here")
    mailbox.note_refusal("later@x.example", "451 4.7.1 greylisted")
    return Score.of([scene], mailbox.mails(), mailbox.refusals())


def test_exactly_the_expected_mails_are_right() -> None:
    score = a_score(a_scene("a@x.example", refused=("r@x.example",)), "a@x.example",
                    refused=("r@x.example",))  # fmt: skip

    assert score.is_right
    assert list(score.faults()) == []


@pytest.mark.parametrize(
    ("arrived", "fault"),
    [
        pytest.param((), "missing 1: to a@x.example for event e-1", id="a missing mail"),
        pytest.param(
            ("a@x.example", "a@x.example"),
            "too many 1: to a@x.example for event e-1",
            id="a doubled mail",
        ),
        pytest.param(
            ("a@x.example", "b@x.example"),
            "too many 1: to b@x.example for event e-1",
            id="a stranger's mail",
        ),
    ],
)
def test_a_mail_too_few_or_too_many_is_a_fault(arrived: tuple[str, ...], fault: str) -> None:
    score = a_score(a_scene("a@x.example"), *arrived)

    assert not score.is_right
    assert list(score.faults()) == [fault]


@pytest.mark.parametrize("refused", [(), ("r@x.example", "r@x.example")])
def test_a_refusal_too_few_or_too_many_is_a_fault(refused: tuple[str, ...]) -> None:
    score = a_score(a_scene(refused=("r@x.example",)), refused=refused)

    assert not score.is_right
    assert list(score.faults()) == [f"refused {len(refused)}, expected 1"]
