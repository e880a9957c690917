from typing import Any

import pytest

from rules_store.hints import hints_for
from schemas.rules import AllAccounts, ChosenAccounts, OnFileRejected, OnStatusUpdated, Rule
from schemas.vocabulary import (
    AccountId,
    DetailLevel,
    PaymentStatus,
    RuleId,
    SubjectFact,
    TenantId,
    UserId,
)
from tests.builders import a_rule, a_tenant_with, a_user, an_external_recipient

GONE = ChosenAccounts(frozenset({AccountId("acc-gone")}))
REJECTED = frozenset({PaymentStatus.FIN_REJECTED})
AMOUNT = frozenset({SubjectFact.AMOUNT})


def hints(*rules: Rule, **changes: Any) -> list[tuple[str, str]]:
    return [(hint.key, hint.text) for hint in hints_for(a_tenant_with(*rules, **changes))]


def users(**changes: Any) -> dict[UserId, Any]:
    return {UserId("u-anna"): a_user(**changes)}


def test_a_rule_that_can_be_meant_in_full_gives_no_hint() -> None:
    assert hints(a_rule(external_recipients=(an_external_recipient(),))) == []


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        pytest.param({"users": users(active=False)}, "1 inactive", id="inactive"),
        pytest.param({"users": users(email=None)}, "1 no_address", id="no address"),
        pytest.param({"users": {}}, "1 deleted", id="deleted"),
    ],
)
def test_an_enabled_rule_with_nobody_left_to_mail_to_is_told(
    changes: dict[str, Any], why: str
) -> None:
    told = hints(a_rule(), **changes)

    assert told == [("internal_recipients", f"nobody is left to get its mails: {why}")]


def test_a_disabled_rule_and_one_with_somebody_left_are_not() -> None:
    external = a_rule(
        rule_id=RuleId("r-2"), description="b", external_recipients=(an_external_recipient(),)
    )

    assert hints(a_rule(enabled=False), external, users={}) == []


def test_a_fact_that_no_detail_level_shows_is_told() -> None:
    rule = a_rule(subject_may_show=AMOUNT, detail_internal=DetailLevel.MINIMAL)

    ((key, text),) = hints(rule)

    assert key == "subject_may_show"
    assert text == "amount is never shown: the detail level of every reader is minimal"


def test_a_fact_that_some_reader_is_shown_is_not() -> None:
    external = (an_external_recipient(),)

    assert hints(a_rule(subject_may_show=AMOUNT, external_recipients=external)) == []


def test_chosen_accounts_that_are_all_gone_are_told() -> None:
    ((key, text),) = hints(a_rule(trigger=OnStatusUpdated(REJECTED, GONE)))

    assert key == "bank_accounts"
    assert text == "none of these bank accounts is there any more; it never fires"


def test_an_external_domain_one_slip_from_the_tenants_own_is_told() -> None:
    external = an_external_recipient(address="a@kanzlei.example; b@mustre.example")

    ((key, text),) = hints(a_rule(external_recipients=(external,)))

    assert key == "external_recipients"
    assert text.startswith('the domain "mustre.example" is close to "muster.example"; ')


def test_rules_that_want_the_same_for_the_same_readers_are_told() -> None:
    twin = a_rule(rule_id=RuleId("r-twin"), description="anders", subject="auch anders")

    ((key, text),) = hints(a_rule(), twin)

    assert (key, text[:51]) == ("", 'wants the same and mails the same as rule "r-every-')


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"enabled": False}, id="disabled"),
        pytest.param({"trigger": OnFileRejected()}, id="another event"),
        pytest.param({"trigger": OnStatusUpdated(REJECTED, AllAccounts())}, id="other statuses"),
        pytest.param({"external_recipients": (an_external_recipient(),)}, id="more readers"),
    ],
)
def test_rules_that_differ_in_what_they_do_are_not(other: dict[str, Any]) -> None:
    assert hints(a_rule(), a_rule(rule_id=RuleId("r-2"), description="b", **other)) == []


def test_hints_name_the_rule() -> None:
    (hint,) = hints_for(a_tenant_with(a_rule(tenant_id=TenantId("m-1")), users={}))

    assert hint.rule_id == "r-every-status"
