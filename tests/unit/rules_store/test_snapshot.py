import logging

import pytest

from rules_store.ports import RejectedRule
from rules_store.snapshot import Snapshot
from schemas.events import Routing
from schemas.rules import OnFileRejected
from schemas.vocabulary import Generation, Outcome, RuleId, TenantId, UserId
from tests.builders import (
    a_file_routing,
    a_routing,
    a_rule,
    a_tenant,
    a_tenant_with,
    a_user,
    rules_at,
)

REJECTED = RejectedRule(TenantId("m-10482"), RuleId("r-9"), "event_type is unknown")


def test_wanting_rules_come_by_id() -> None:
    rules = [a_rule(rule_id=RuleId(name)) for name in ("r-2", "r-1", "r-10")]

    wanting = Snapshot.compile(rules_at(a_tenant_with(*rules))).wanting(a_routing())

    assert [wanted.rule.rule_id for wanted in wanting] == ["r-1", "r-10", "r-2"]


def test_a_rule_with_nobody_left_to_mail_to_is_wanted_all_the_same() -> None:
    rule = a_rule(internal_recipients=(UserId("u-gone"),))

    (wanted,) = Snapshot.compile(rules_at(a_tenant_with(rule))).wanting(a_routing())

    assert (wanted.recipients, len(wanted.left_out)) == ((), 1)


@pytest.mark.parametrize(
    ("routing", "outcome"),
    [
        pytest.param(
            a_routing(tenant_id=TenantId("m-2"), status="NEW"), Outcome.NO_RULES, id="no tenant"
        ),
        pytest.param(
            a_routing(status="NEW", previous_status="NEW"), Outcome.UNKNOWN_STATUS, id="unknown"
        ),
        pytest.param(a_routing(previous_status="FIN_REJECTED"), Outcome.UNCHANGED, id="unchanged"),
        pytest.param(a_routing(status="KON_REJECTED"), Outcome.NO_MATCH, id="kon rejected"),
        pytest.param(a_file_routing(), Outcome.NO_MATCH, id="other event"),
    ],
)
def test_an_unwanted_event_has_an_outcome(routing: Routing, outcome: Outcome) -> None:
    snapshot = Snapshot.compile(rules_at(a_tenant_with(a_rule())))

    assert (snapshot.wanting(routing), snapshot.answer(routing)) == ((), outcome)


def test_a_tenant_whose_rules_are_all_disabled_has_rules() -> None:
    snapshot = Snapshot.compile(rules_at(a_tenant_with(a_rule(enabled=False))))

    assert snapshot.answer(a_routing()) is Outcome.NO_MATCH


def test_a_tenant_without_rules_has_none() -> None:
    snapshot = Snapshot.compile(rules_at(a_tenant_with()))

    assert snapshot.answer(a_file_routing()) is Outcome.NO_RULES


def test_a_rejected_rule_is_counted_and_the_tenants_others_go_on() -> None:
    rules = rules_at(a_tenant_with(a_rule()))

    snapshot = Snapshot.compile(rules, [REJECTED])

    assert snapshot.rejected_rules == 1
    assert len(snapshot.wanting(a_routing())) == 1


def test_a_tenant_whose_only_rule_is_rejected_has_rules() -> None:
    snapshot = Snapshot.compile(rules_at(a_tenant_with()), [REJECTED])

    assert snapshot.answer(a_routing()) is Outcome.NO_MATCH


def test_a_rule_of_another_tenant_is_refused_counted_and_alarmed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    strange = a_rule(tenant_id=TenantId("m-2"), trigger=OnFileRejected())

    snapshot = Snapshot.compile(rules_at(a_tenant_with(strange)))

    assert snapshot.foreign_rules == 1
    assert snapshot.wanting(a_file_routing(tenant_id=TenantId("m-2"))) == ()
    assert snapshot.wanting(a_file_routing()) == ()
    assert [(r.levelno, r.getMessage()) for r in caplog.records] == [
        (logging.ERROR, "foreign_rule_refused")
    ]


def test_a_time_zone_nobody_knows_is_the_default_one() -> None:
    tenant = a_tenant_with(a_rule(), tenant=a_tenant(time_zone="Europe"))

    (wanted,) = Snapshot.compile(rules_at(tenant)).wanting(a_routing())

    assert wanted.tenant.time_zone == "Europe/Berlin"


def test_a_rule_is_unpacked_once_and_anew_when_its_tenant_changes() -> None:
    # Would catch: mails to yesterday's readers, since the rule's own bytes are what they were.
    old, new = (
        Snapshot.compile(rules_at(a_tenant_with(a_rule(), users={user.user_id: user})))
        for user in (a_user(email="old@muster.example"), a_user(email="new@muster.example"))
    )
    tenant_id = a_routing().tenant_id

    (first,), (again,) = old.wanting(a_routing()), old.wanting(a_routing())
    changed = old.with_entries(Generation(2), {tenant_id: new.entries[tenant_id]})
    (wanted,) = changed.wanting(a_routing())

    assert first is again
    assert [one.address.text for one in wanted.recipients] == ["new@muster.example"]


def test_rules_that_wanted_an_event_are_kept_up_to_a_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rules_store.snapshot._MOST_UNPACKED", 2)
    rules = [a_rule(rule_id=RuleId(f"r-{number}")) for number in range(3)]
    snapshot = Snapshot.compile(rules_at(a_tenant_with(*rules)))

    wanting = [[wanted.rule.rule_id for wanted in snapshot.wanting(a_routing())] for _ in "ab"]

    assert wanting == [["r-0", "r-1", "r-2"]] * 2
    assert len(snapshot._unpacked) <= 2


def test_a_rule_with_very_many_readers_is_not_kept_unpacked() -> None:
    # Would catch: a worker that grows by hundreds of megabytes, since rules may name thousands.
    many = tuple(UserId(f"u-{number}") for number in range(1000))
    snapshot = Snapshot.compile(rules_at(a_tenant_with(a_rule(internal_recipients=many))))

    (wanted,) = snapshot.wanting(a_routing())

    assert len(wanted.left_out) == 1000
    assert snapshot._unpacked == {}
