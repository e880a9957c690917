"""The fast answer is the readable one, tenants are strangers, and wider is never less."""

from collections.abc import Iterable
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from rules_store.matching import judge
from rules_store.snapshot import Snapshot
from schemas.events import Routing
from schemas.rules import (
    AllAccounts,
    ChosenAccounts,
    ExternalRecipient,
    OnFileRejected,
    OnStatusUpdated,
    Rule,
    RulesAt,
    TenantRules,
    WantedRule,
)
from schemas.vocabulary import (
    AccountId,
    EventId,
    EventType,
    Generation,
    Outcome,
    PaymentStatus,
    RuleId,
    TenantId,
    UserId,
    Verdict,
)
from tests.builders import a_file_routing, a_tenant, a_user, rules_at
from tests.examples import examples

# Few of everything: ids, accounts and addresses are shared between tenants on purpose.
TENANTS = [TenantId("m-1"), TenantId("m-2"), TenantId("M-1")]
ACCOUNTS = [AccountId("acc-1"), AccountId("acc-2"), AccountId("acc-3")]
USERS = [UserId("u-1"), UserId("u-2"), UserId("u-3")]
RULES = [RuleId("r-1"), RuleId("r-2"), RuleId("r-3"), RuleId("r-4")]
STATUSES = [PaymentStatus.FIN_REJECTED, PaymentStatus.FIN_ACCEPTED, PaymentStatus.KON_REJECTED]
IDENTITIES = {
    "a@x.example": "a@x.example",
    "A@X.example": "A@x.example",
    " a@X.example": "a@x.example",
}
ADDRESSES = [*IDENTITIES, "not an address", ""]

account_choices = st.builds(AllAccounts) | st.builds(
    ChosenAccounts, st.frozensets(st.sampled_from(ACCOUNTS))
)
on_update = st.builds(OnStatusUpdated, st.frozensets(st.sampled_from(STATUSES)), account_choices)
triggers = on_update | on_update | st.builds(OnFileRejected)
externals = st.builds(ExternalRecipient, address=st.sampled_from(ADDRESSES))


def rules_of(tenant_id: TenantId) -> st.SearchStrategy[tuple[Rule, ...]]:
    one = st.builds(
        Rule,
        tenant_id=st.just(tenant_id),
        rule_id=st.sampled_from(RULES),
        description=st.just("Regel"),
        trigger=triggers,
        enabled=st.sampled_from([True, True, False]),
        internal_recipients=st.lists(st.sampled_from(USERS), max_size=3).map(tuple),
        external_recipients=st.lists(externals, max_size=3).map(tuple),
    )
    return st.lists(one, min_size=1, max_size=4, unique_by=lambda rule: rule.rule_id).map(tuple)


def tenant_rules_of(tenant_id: TenantId) -> st.SearchStrategy[TenantRules]:
    user = st.builds(
        a_user,
        user_id=st.sampled_from(USERS),
        email=st.sampled_from([*ADDRESSES, None]),
        active=st.booleans(),
    )
    users = st.lists(user, max_size=3).map(lambda found: {user.user_id: user for user in found})
    tenant = st.just(a_tenant(tenant_id=tenant_id))
    return st.builds(TenantRules, tenant=tenant, users=users, rules=rules_of(tenant_id))


some_rules = st.tuples(*map(tenant_rules_of, TENANTS[:2])).map(lambda found: rules_at(*found))

updates_and_rejections = st.builds(
    Routing,
    event_type=st.sampled_from([*EventType, EventType.PAYMENT_STATUS_UPDATED]),
    event_id=st.just(EventId("edff93a5-8932-4d1e-b0d0-32e37b6464f8")),
    tenant_id=st.sampled_from([*TENANTS, TENANTS[0]]),
    status=st.sampled_from([*map(str, STATUSES), "FIN_NEW", "fin_rejected"]),
    previous_status=st.none() | st.sampled_from([*map(str, STATUSES), "FIN_NEW"]),
    account_ids=st.lists(st.sampled_from(ACCOUNTS), max_size=3).map(tuple),
)


unchanged = updates_and_rejections.map(
    lambda routing: routing._replace(previous_status=routing.status)
)
routings = updates_and_rejections | updates_and_rejections | unchanged


def all_rules(found: RulesAt) -> list[Rule]:
    rules = [rule for tenant in found.tenants for rule in tenant.rules]
    return sorted(rules, key=lambda rule: rule.rule_id)


# Would catch: a mask bit lost or shared, an empty choice read as all, KON_REJECTED or an unknown
# status let through, a rule of another tenant with the same id.
@examples(3)
@given(some_rules, routings)
def test_the_fast_answer_is_the_readable_one(found: RulesAt, routing: Routing) -> None:
    wanting = Snapshot.compile(found).wanting(routing)

    judged = [rule for rule in all_rules(found) if judge(rule, routing) is Verdict.WANTED]
    assert [wanted.rule for wanted in wanting] == judged


# Would catch: what the judge itself gets wrong; another tenant's rule, user or address, whose ids
# are the same on purpose. Shares no code with the product.
@examples(2)
@given(some_rules, routings)
def test_a_naive_scan_of_all_rules_expects_the_same_mails(found: RulesAt, routing: Routing) -> None:
    assert mails(Snapshot.compile(found).wanting(routing)) == naively_expected(found, routing)


def naively_expected(found: RulesAt, routing: Routing) -> set[tuple[str, str]]:
    """Scan all rules of all tenants, sentence by sentence (R1 to R13, R20 to R24)."""
    expected: set[tuple[str, str]] = set()
    for tenant in found.tenants:
        for rule in tenant.rules:
            if (
                rule.tenant_id == routing.tenant_id
                and rule.enabled
                and naively_fires(rule, routing)
            ):
                users = [tenant.users.get(user_id) for user_id in rule.internal_recipients]
                internal = [user.email for user in users if user is not None and user.active]
                external = [one.address for one in rule.external_recipients]
                for address in internal + external:
                    if address in IDENTITIES:
                        expected.add((rule.rule_id, IDENTITIES[address]))
    return expected


def naively_fires(rule: Rule, routing: Routing) -> bool:
    """Say whether an enabled rule of the event's tenant fires."""
    trigger = rule.trigger
    if routing.event_type == "payment-file-rejected":
        return isinstance(trigger, OnFileRejected)
    return (
        isinstance(trigger, OnStatusUpdated)
        and routing.status != routing.previous_status
        and routing.status in {"FIN_REJECTED", "FIN_ACCEPTED"}
        and routing.status in {status.value for status in trigger.ticked}
        and (
            isinstance(trigger.accounts, AllAccounts)
            or any(name in trigger.accounts.account_ids for name in routing.account_ids)
        )
    )


# Would catch: an outcome taken from a verdict of another tenant's rule, or in another order.
@given(some_rules, routings)
def test_an_event_that_nothing_wants_has_the_first_outcome_that_holds(
    found: RulesAt, routing: Routing
) -> None:
    snapshot = Snapshot.compile(found)
    if snapshot.wanting(routing):
        return

    verdicts = {judge(rule, routing) for rule in all_rules(found)} - {Verdict.OTHER_TENANT}

    outcome = snapshot.answer(routing)
    assert (outcome is Outcome.NO_RULES) == (not verdicts)
    if Verdict.UNKNOWN_STATUS in verdicts:
        assert outcome is Outcome.UNKNOWN_STATUS
    elif Verdict.UNCHANGED in verdicts:
        assert outcome is Outcome.UNCHANGED


# Would catch: a recipient resolved in another tenant's users, who share ids and addresses.
@given(tenant_rules_of(TENANTS[0]), tenant_rules_of(TENANTS[1]), routings)
def test_tenants_are_strangers(one: TenantRules, two: TenantRules, routing: Routing) -> None:
    own = routing._replace(tenant_id=TENANTS[0])

    together = Snapshot.compile(rules_at(one, two)).wanting(own)
    alone = Snapshot.compile(rules_at(one)).wanting(own)

    assert together == alone


# Would catch: a rule asked under the tenant it was stored with instead of its own.
@given(tenant_rules_of(TENANTS[0]), rules_of(TENANTS[1]), routings)
def test_a_rule_handed_over_under_another_tenant_wants_nothing(
    tenant: TenantRules, strange: tuple[Rule, ...], routing: Routing
) -> None:
    mixed = rules_at(replace(tenant, rules=(*tenant.rules, *strange)))

    snapshot = Snapshot.compile(mixed)

    assert snapshot.wanting(routing) == Snapshot.compile(rules_at(tenant)).wanting(routing)
    assert snapshot.foreign_rules == len(strange)


# Would catch: an exclusive comparison where one more status or account switches a rule off.
@given(
    rules_of(TENANTS[0]),
    st.sampled_from(STATUSES),
    st.sampled_from([*ACCOUNTS, None]),
    routings,
)
def test_wider_is_never_less(
    rules: tuple[Rule, ...], status: PaymentStatus, account: AccountId | None, routing: Routing
) -> None:
    tenant = TenantRules(tenant=a_tenant(tenant_id=TENANTS[0]), rules=rules)
    wider = replace(tenant, rules=tuple(widened(rule, status, account) for rule in rules))

    before = Snapshot.compile(rules_at(tenant)).wanting(routing)
    after = Snapshot.compile(rules_at(wider)).wanting(routing)

    assert mails(before) <= mails(after)


def mails(wanting: Iterable[WantedRule]) -> set[tuple[str, str]]:
    """Return who would get a mail of which rule."""
    return {(each.rule.rule_id, to.address.text) for each in wanting for to in each.recipients}


def widened(rule: Rule, status: PaymentStatus, account: AccountId | None) -> Rule:
    """Return the rule with one more status and one more account, or with all of them."""
    if not isinstance(rule.trigger, OnStatusUpdated):
        return rule
    accounts = rule.trigger.accounts
    if account is None:
        accounts = AllAccounts()
    elif isinstance(accounts, ChosenAccounts):
        accounts = ChosenAccounts(accounts.account_ids | {account})
    return replace(rule, trigger=OnStatusUpdated(rule.trigger.ticked | {status}, accounts))


# Would catch: folding before leaving out, two mails to one mailbox, or somebody lost without word.
@examples(2)
@given(tenant_rules_of(TENANTS[0]))
def test_everybody_gets_one_mail_or_a_reason(tenant: TenantRules) -> None:
    rules = tuple(replace(rule, enabled=True, trigger=OnFileRejected()) for rule in tenant.rules)
    wanting = Snapshot.compile(rules_at(replace(tenant, rules=rules))).wanting(
        a_file_routing(tenant_id=TENANTS[0])
    )

    for wanted in wanting:
        rule = wanted.rule
        users = [tenant.users.get(user_id) for user_id in rule.internal_recipients]
        emails = [user.email if user and user.active else None for user in users]
        addresses = [*emails, *(external.address for external in rule.external_recipients)]
        meant = [IDENTITIES.get(address or "") for address in addresses]
        assert [one.address.text for one in wanted.recipients] == list(
            dict.fromkeys(identity for identity in meant if identity)
        )
        assert len(wanted.left_out) == meant.count(None)


def test_the_generation_is_that_of_the_rules() -> None:
    assert Snapshot.compile(RulesAt(Generation(42), ())).generation == 42
