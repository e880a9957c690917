import pytest

from rules_store.matching import judge
from schemas.rules import AllAccounts, ChosenAccounts, OnFileRejected, OnStatusUpdated
from schemas.vocabulary import AccountId, PaymentStatus, TenantId, Verdict
from tests.builders import a_file_routing, a_routing, a_rule

FIN_REJECTED = PaymentStatus.FIN_REJECTED
ON_REJECTED = OnStatusUpdated(frozenset({FIN_REJECTED}), AllAccounts())
CHOSEN = ChosenAccounts(frozenset({AccountId("acc-1"), AccountId("acc-2")}))


def test_a_ticked_status_of_any_account_is_wanted() -> None:
    assert judge(a_rule(trigger=ON_REJECTED), a_routing(status=FIN_REJECTED)) is Verdict.WANTED


def test_a_rejected_file_is_always_wanted() -> None:
    assert judge(a_rule(trigger=OnFileRejected()), a_file_routing()) is Verdict.WANTED


def test_one_chosen_account_of_several_is_enough() -> None:
    rule = a_rule(trigger=OnStatusUpdated(frozenset({FIN_REJECTED}), CHOSEN))
    routing = a_routing(account_ids=(AccountId("acc-9"), AccountId("acc-2")))

    assert judge(rule, routing) is Verdict.WANTED


@pytest.mark.parametrize(
    ("accounts", "verdict"),
    [
        pytest.param(AllAccounts(), Verdict.WANTED, id="all accounts"),
        pytest.param(CHOSEN, Verdict.OTHER_ACCOUNT, id="chosen accounts"),
    ],
)
def test_an_event_without_accounts_is_for_rules_of_all_accounts(
    accounts: AllAccounts | ChosenAccounts, verdict: Verdict
) -> None:
    rule = a_rule(trigger=OnStatusUpdated(frozenset({FIN_REJECTED}), accounts))

    assert judge(rule, a_routing(account_ids=())) is verdict


def test_no_account_chosen_means_none() -> None:
    rule = a_rule(trigger=OnStatusUpdated(frozenset({FIN_REJECTED}), ChosenAccounts(frozenset())))

    assert judge(rule, a_routing()) is Verdict.OTHER_ACCOUNT


def test_a_missing_previous_status_is_a_change() -> None:
    assert judge(a_rule(), a_routing(previous_status=None)) is Verdict.WANTED


def test_a_ticked_kon_rejected_is_ignored() -> None:
    ticked = OnStatusUpdated(frozenset(PaymentStatus), AllAccounts())

    verdict = judge(a_rule(trigger=ticked), a_routing(status="KON_REJECTED"))

    assert verdict is Verdict.OTHER_STATUS


def test_the_first_reason_wins_in_the_order_of_verdicts() -> None:
    rule = a_rule(enabled=False, trigger=OnStatusUpdated(frozenset(), ChosenAccounts(frozenset())))
    unknown = a_routing(status="FIN_NEW", previous_status="FIN_NEW")
    unchanged = a_routing(status="FIN_ACCEPTED", previous_status="FIN_ACCEPTED")
    enabled = a_rule(trigger=rule.trigger)

    verdicts = [
        judge(rule, unknown._replace(tenant_id=TenantId("m-2"))),
        judge(rule, unknown),
        judge(enabled, a_file_routing()),
        judge(enabled, unknown),
        judge(enabled, unchanged),
        judge(enabled, a_routing()),
        judge(a_rule(trigger=OnStatusUpdated(frozenset({FIN_REJECTED}), CHOSEN)), a_routing()),
        judge(a_rule(), a_routing()),
    ]

    assert verdicts == list(Verdict)
