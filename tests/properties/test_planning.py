"""Planning is pure, failure is contained, every record is accounted for, tenants are strangers."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.planning import Planner, Render
from consumer.redrives import Redrive, redrive_headers
from consumer.registry import PublishedSchemas
from rules_store.snapshot import Snapshot
from schemas.addresses import EmailAddress
from schemas.codec import Codec, encode_event, encode_mail
from schemas.errors import RenderFailed
from schemas.events import PaymentEvent, PaymentStatusUpdated, Routing
from schemas.framing import single_object_prefix
from schemas.mails import OutgoingMail, mail_id
from schemas.plans import Decision, Plan, Share
from schemas.published import published
from schemas.records import Batch, Record
from schemas.rules import (
    AllAccounts,
    OnFileRejected,
    OnStatusUpdated,
    Recipient,
    RulesAt,
    TenantRules,
    WantedRule,
)
from schemas.vocabulary import (
    TICKABLE,
    DeadLetterReason,
    EventType,
    Generation,
    Outcome,
    RuleId,
    TenantId,
    UserId,
)
from tests.builders import a_file_rejected, a_rule, a_status_update, a_tenant, a_user

DECISION = Decision(datetime(2026, 11, 24, tzinfo=UTC), Generation(7))
TENANT_IDS = ("m-1", "m-2")


def render(event: PaymentEvent, wanted: WantedRule, to: Recipient, at: Decision) -> OutgoingMail:
    """Render the least that is a mail."""
    rule = wanted.rule
    sender = EmailAddress("push@push.example")
    name = mail_id(event.event_id, rule.rule_id, to.address)
    return OutgoingMail(
        mail_id=name,
        event_id=event.event_id,
        rule_id=rule.rule_id,
        tenant_id=rule.tenant_id,
        file_id=event.file_id,
        event_type=event.routing.event_type,
        audience=to.audience,
        language=to.language,
        recipient=to.address,
        subject=rule.description,
        text=wanted.tenant.name,
        html="",
        from_address=sender,
        from_name=None,
        reply_to=None,
        date=at.at,
        message_id=f"<{name}@push.example>",
        thread_root=None,
        list_id=None,
        unsubscribe_url=None,
        unsubscribe_mailto=None,
        expires_at=at.at + timedelta(days=1),
        template_revision="1",
        rules_generation=at.generation,
    )


def refusing(rule_id: str) -> Render:
    """Render all but the mails of one rule."""

    def render_others(
        event: PaymentEvent, wanted: WantedRule, to: Recipient, at: Decision
    ) -> OutgoingMail:
        if wanted.rule.rule_id == rule_id:
            raise RenderFailed("spoilt")
        return render(event, wanted, to, at)

    return render_others


def rules_of(tenant_id: str) -> TenantRules:
    """Return two tenants' rules: the same ids, users and texts on purpose."""
    tenant = a_tenant(tenant_id=TenantId(tenant_id), name=f"Tenant {tenant_id}")
    user = a_user(email=f"anna@{tenant_id}.example")
    every = partial(a_rule, tenant_id=TenantId(tenant_id))
    rules = (
        every(rule_id=RuleId("r-all")),
        every(rule_id=RuleId("r-file"), trigger=OnFileRejected()),
        every(
            rule_id=RuleId("r-gone"),
            trigger=OnStatusUpdated(frozenset(TICKABLE[:5]), AllAccounts()),
            internal_recipients=(UserId("u-gone"),),
        ),
        every(
            rule_id=RuleId("r-few"),
            trigger=OnStatusUpdated(frozenset(TICKABLE[5:]), AllAccounts()),
        ),
    )
    return TenantRules(tenant=tenant, users={user.user_id: user}, rules=rules)


RULES = Snapshot.compile(RulesAt(Generation(7), tuple(map(rules_of, TENANT_IDS))))


def planner(rules: Snapshot = RULES, render_: Render = render) -> Planner:
    prefix = single_object_prefix(published("outgoing-mail").fingerprint)
    return Planner(
        rules=rules,
        codec=Codec(PublishedSchemas()),
        render=render_,
        encode=partial(encode_mail, prefix=prefix),
        event_types={str(event_type): event_type for event_type in EventType},
        group_id="group",
        engine_version="test",
        decision=DECISION,
    )


def a_record(event: PaymentEvent, offset: int = 0, partition: int = 0) -> Record:
    name = event.routing.event_type
    value = encode_event(event, single_object_prefix(published(name).fingerprint))
    return Record(str(name), partition, offset, -1, b"key", value)


tenant_ids = st.sampled_from([*TENANT_IDS, "m-nobody"]).map(TenantId)
statuses = st.sampled_from([*map(str, TICKABLE), "FIN_BRAND_NEW", "KON_REJECTED"])
updates: st.SearchStrategy[PaymentEvent] = st.builds(
    a_status_update,
    tenant_id=tenant_ids,
    status=statuses,
    previous_status=st.none() | statuses,
    event_id=st.uuids().map(str),
)
refusals: st.SearchStrategy[PaymentEvent] = st.builds(
    a_file_rejected, tenant_id=tenant_ids, event_id=st.uuids().map(str)
)


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """Draw up to twelve events, some of them damaged, over two partitions."""
    events = draw(st.lists(updates | refusals, max_size=12))
    damaged = draw(st.lists(st.booleans(), min_size=len(events), max_size=len(events)))
    records = [a_record(event, at, at % 2) for at, event in enumerate(events)]
    return Batch(
        tuple(
            record._replace(value=(record.value or b"")[:-3]) if cut else record
            for record, cut in zip(records, damaged, strict=True)
        )
    )


def mail_ids(plan: Plan) -> list[str]:
    return [mail.mail_id for _, share in plan.shares for mail, _ in share.mails]


def counts(plans: Sequence[Plan]) -> Counter[Outcome]:
    return sum(
        (Counter(evaluation.outcomes) for plan in plans for evaluation in plan.evaluations),
        Counter(),
    )


@given(batches())
def test_asked_twice_the_plan_is_the_same(batch: Batch) -> None:
    # Would catch a mail id or a date out of a clock or out of chance.
    assert planner().plan(batch) == planner().plan(batch)


@given(batches(), st.integers(0, 12))
def test_a_batch_split_anywhere_gives_the_same_mails_and_counts(batch: Batch, at: int) -> None:
    # Would catch state that one record of a batch leaves for the next.
    whole = planner().plan(batch)
    parts = [planner().plan(Batch(part)) for part in (batch.records[:at], batch.records[at:])]

    assert [name for part in parts for name in mail_ids(part)] == mail_ids(whole)
    assert counts(parts) == counts([whole])


@given(batches())
def test_every_record_is_in_exactly_one_range(batch: Batch) -> None:
    # Would catch an outcome that is counted twice, or a partition that is left out.
    plan = planner().plan(batch)

    assert sum(counts([plan]).values()) == len(batch.records)
    for evaluation in plan.evaluations:
        own = [
            r.offset
            for r in batch.records
            if r.partition == evaluation.partition and r.topic == evaluation.topic
        ]
        assert (evaluation.first_offset, evaluation.last_offset) == (min(own), max(own))
        assert sum(evaluation.outcomes.values()) == len(own)


@given(batches())
def test_a_spoilt_rule_loses_its_own_mails_and_nothing_else(batch: Batch) -> None:
    # Would catch one rule's failure that takes the event's other mails along.
    whole, spoilt = planner().plan(batch), planner(render_=refusing("r-all")).plan(batch)

    kept = [m for _, share in whole.shares for m in share.mails if m[0].rule_id != "r-all"]
    assert [m for _, share in spoilt.shares for m in share.mails] == kept
    for (_, before), (_, after) in zip(whole.shares, spoilt.shares, strict=True):
        lost = [m for m in before.mails if m[0].rule_id == "r-all"]
        named = [d.rule_id for d in after.dead_letters if d.rule_id is not None]
        assert named == (["r-all"] if lost else [])
        assert (after.outcome is Outcome.FAILED) == bool(lost)


@given(batches())
def test_no_word_of_one_tenant_reaches_a_mail_of_another(batch: Batch) -> None:
    # Would catch rules that are found by an id which two tenants share.
    plan = planner().plan(batch)

    for record, share in plan.shares:
        for mail, _ in share.mails:
            event = Codec(PublishedSchemas()).decode(EventType(record.topic), record)
            assert mail.tenant_id == event.tenant_id
            assert mail.text == f"Tenant {event.tenant_id}"
            assert mail.recipient.domain == f"{event.tenant_id}.example"


@given(updates)
def test_a_rule_of_another_tenant_is_refused_even_if_the_snapshot_hands_it_over(
    event: PaymentStatusUpdated,
) -> None:
    # Would catch a last gate that trusts what it is given.
    foreign = RULES.wanting(replace(event, tenant_id=TenantId("m-2")).routing)
    handed_over = _Lying(foreign)
    share = planner(rules=handed_over).share(  # type: ignore[arg-type]  # it lies on purpose
        a_record(replace(event, tenant_id=TenantId("m-1")))
    )

    assert share.mails == ()
    assert share.foreign_rules == len(foreign)


class _Lying:
    """A snapshot that hands out another tenant's rules."""

    def __init__(self, foreign: tuple[WantedRule, ...]) -> None:
        self._foreign = foreign

    def answer(self, _: object) -> tuple[WantedRule, ...] | Outcome:
        return self._foreign or Outcome.NO_MATCH


def outcome_of(event: PaymentEvent, **changes: object) -> Outcome:
    return planner().share(a_record(replace(event, **changes))).outcome  # type: ignore[arg-type]


def test_outcomes_follow_the_order_of_the_reference() -> None:
    update = a_status_update(tenant_id=TenantId("m-1"), status="FIN_REJECTED", previous_status=None)

    assert outcome_of(update) is Outcome.MAILED
    assert outcome_of(update, tenant_id="m-nobody", status="NEW") is Outcome.NO_RULES
    assert outcome_of(update, status="NEW", previous_status="NEW") is Outcome.UNKNOWN_STATUS
    assert outcome_of(update, previous_status="FIN_REJECTED") is Outcome.UNCHANGED
    assert outcome_of(update, status="KON_REJECTED") is Outcome.NO_MATCH


def test_an_event_whose_recipients_are_all_left_out_has_no_recipient() -> None:
    tenant = rules_of("m-1")
    gone = replace(tenant, rules=tuple(r for r in tenant.rules if r.rule_id == "r-gone"))
    rules = Snapshot.compile(RulesAt(Generation(1), (gone,)))
    event = a_status_update(
        tenant_id=TenantId("m-1"), status=str(TICKABLE[0]), previous_status=None
    )

    share = planner(rules=rules).share(a_record(event))

    assert share == Share(Outcome.NO_RECIPIENT)


def test_a_mail_larger_than_a_record_may_be_is_a_dead_letter_of_its_rule() -> None:
    event = a_file_rejected(tenant_id=TenantId("m-1"), file_id="x" * 300_000)

    share = planner().share(a_record(event))

    assert share.outcome is Outcome.FAILED
    assert [letter.rule_id for letter in share.dead_letters] == ["r-file"]
    assert "bytes" in share.dead_letters[0].detail


def test_damage_behind_the_routing_fields_is_unseen_where_no_rule_wants_the_event() -> None:
    record = a_record(a_status_update(tenant_id=TenantId("m-nobody")))

    share = planner().share(record._replace(value=(record.value or b"")[:-3]))

    assert share.outcome is Outcome.NO_RULES


def test_a_fault_that_nobody_foresaw_costs_one_rule_its_mails_and_is_said() -> None:
    def render_badly(
        event: PaymentEvent, wanted: WantedRule, to: Recipient, at: Decision
    ) -> OutgoingMail:
        if wanted.rule.rule_id == "r-all":
            raise KeyError(to.address.text)
        return render(event, wanted, to, at)

    event = a_status_update(
        tenant_id=TenantId("m-1"), status=str(TICKABLE[-1]), previous_status=None
    )

    share = planner(render_=render_badly).share(a_record(event))

    (letter,) = share.dead_letters
    assert (share.outcome, letter.reason) == (Outcome.FAILED, DeadLetterReason.INTERNAL)
    assert letter.rule_id == "r-all"
    assert "KeyError" in letter.detail
    assert "anna" not in letter.detail
    assert [mail.rule_id for mail, _ in share.mails] == ["r-few"]


def test_a_record_at_which_our_own_code_fails_is_a_dead_letter_and_not_the_end() -> None:
    # Would catch one record that ends the process, comes again, and ends it again.
    class Broken(Codec):
        def peek(self, event_type: EventType, record: Record) -> Routing:
            raise ZeroDivisionError

    share = replace(planner(), codec=Broken(PublishedSchemas())).share(a_record(a_status_update()))

    assert share.outcome is Outcome.UNREADABLE
    assert [letter.reason for letter in share.dead_letters] == [DeadLetterReason.INTERNAL]


# --- redriven records -----------------------------------------------------------------------------


def redriven(event: PaymentEvent, rule_id: str | None = None, group: str = "group") -> Record:
    rule = None if rule_id is None else RuleId(rule_id)
    headers = redrive_headers(Redrive("dead-letter/0/7", rule), group)
    return a_record(event)._replace(headers=headers)


@given(updates)
def test_a_redriven_share_gives_its_rules_mails_and_no_others(event: PaymentStatusUpdated) -> None:
    # Would catch a redrive that mails what the other rules have mailed before.
    whole = planner().share(a_record(event))

    share = planner().share(redriven(event, "r-all"))

    assert share.mails == tuple(m for m in whole.mails if m[0].rule_id == "r-all")


@given(updates)
def test_a_redriven_record_is_judged_wholly(event: PaymentStatusUpdated) -> None:
    # Would catch a record that was unreadable before and is mailed in part.
    assert planner().share(redriven(event)) == planner().share(a_record(event))


@given(updates)
def test_another_groups_redrive_is_an_ordinary_record(event: PaymentStatusUpdated) -> None:
    # Would catch a group that mails because another one had a dead letter.
    share = planner().share(redriven(event, "r-all", group="another"))

    assert share == planner().share(a_record(event))


def test_a_share_whose_rule_is_gone_gives_no_mail() -> None:
    event = a_status_update(tenant_id=TenantId("m-1"), previous_status=None)

    assert planner().share(redriven(event, "r-gone-since")) == Share(Outcome.NO_MATCH)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        pytest.param(lambda value: value[:20], "undecodable", id="its routing fields"),
        pytest.param(lambda value: value[:-3], "undecodable", id="its end"),
    ],
)
def test_a_share_that_cannot_be_read_stays_its_rules_share(
    spoil: Callable[[bytes], bytes], reason: str
) -> None:
    # Without its rule the next redrive would judge it wholly and mail for the other rules again.
    record = redriven(a_status_update(tenant_id=TenantId("m-1"), previous_status=None), "r-all")

    share = planner().share(record._replace(value=spoil(record.value or b"")))

    (letter,) = share.dead_letters
    assert (letter.reason, letter.rule_id) == (reason, "r-all")
