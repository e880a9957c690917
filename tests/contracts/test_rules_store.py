"""The sentences of `RulesStore` and `RulesWriter`, on every adapter."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import pytest

from rules_store.changes import CHUNK, Change, ChangeKind, Extent, Thing
from rules_store.memory import MemoryRulesStore
from rules_store.migrating import upgrade
from rules_store.ports import RulesHistory, RulesStore, RulesWriter
from rules_store.sql import SqlRulesStore, engine_for
from schemas.bank_accounts import BankAccount
from schemas.errors import InvalidInput
from schemas.rules import (
    AllAccounts,
    ChosenAccounts,
    ExternalRecipient,
    OnFileRejected,
    OnStatusUpdated,
    TenantRules,
)
from schemas.vocabulary import (
    AccountId,
    DetailLevel,
    Generation,
    Language,
    PaymentStatus,
    RuleId,
    SubjectFact,
    TenantId,
    UserId,
)
from tests.builders import (
    a_bank_account,
    a_rule,
    a_tenant,
    a_tenant_with,
    a_user,
    an_external_recipient,
)


class Store(RulesStore, RulesWriter, RulesHistory, Protocol):
    """All at once, as every adapter has it."""


@pytest.fixture(
    params=["memory", "sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]
)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "memory":
        yield MemoryRulesStore()
        return
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'rules.db'}"
    else:
        url = request.getfixturevalue("postgresql").url()
    upgrade(url)
    engine = engine_for(url)
    yield SqlRulesStore(engine)
    engine.dispose()


def test_an_empty_store_has_no_tenants(store: Store) -> None:
    loaded = store.load()

    assert (loaded.rules.tenants, loaded.rejected) == ((), ())


def test_every_field_comes_back_as_it_was_given(store: Store) -> None:
    users = [
        a_user(),
        a_user(user_id=UserId("u-2"), email=None, language=Language.EN, active=False),
    ]
    accounts = [a_bank_account(), BankAccount(AccountId("acc-2"))]
    rules = (
        a_rule(
            rule_id=RuleId("r-1"),
            description="Alles genutzt",
            trigger=OnStatusUpdated(
                frozenset({PaymentStatus.FIN_REJECTED, PaymentStatus.FIN_ACCEPTED}),
                ChosenAccounts(frozenset({AccountId("acc-2"), AccountId("acc-7731")})),
            ),
            subject="",
            subject_may_show=frozenset(SubjectFact),
            detail_internal=DetailLevel.FULL,
            detail_external=DetailLevel.STANDARD,
            enabled=False,
            internal_recipients=(UserId("u-2"), UserId("u-anna")),
            external_recipients=(
                ExternalRecipient(
                    address="z@kanzlei.example",
                    language=Language.EN,
                    verified_at=datetime(2026, 3, 1, 12, 30, tzinfo=UTC),
                ),
                an_external_recipient(),
            ),
        ),
        a_rule(rule_id=RuleId("r-2"), description="Abgelehnt", trigger=OnFileRejected()),
    )
    tenant = a_tenant(name="Ärger & Söhne 🏦", language=Language.EN, time_zone="Europe/Vienna")
    wanted = a_tenant_with(
        *rules,
        tenant=tenant,
        users={user.user_id: user for user in users},
        bank_accounts={account.account_id: account for account in accounts},
    )

    store.apply([wanted])

    assert store.load().rules.tenants == (wanted,)


def test_tenants_and_rules_are_sorted_by_id(store: Store) -> None:
    rules = [a_rule(rule_id=RuleId(i), description=i) for i in ("r-b", "R-a", "r-ä", "r-1")]
    other = a_tenant_with(tenant=a_tenant(tenant_id=TenantId("M-9")))

    store.apply([a_tenant_with(*rules), other])

    first, second = store.load().rules.tenants
    assert (first.tenant.tenant_id, second.tenant.tenant_id) == ("M-9", "m-10482")
    assert [rule.rule_id for rule in second.rules] == ["R-a", "r-1", "r-b", "r-ä"]


def test_a_change_forms_a_greater_generation(store: Store) -> None:
    store.apply([a_tenant_with(a_rule())])
    before = store.generation()

    store.apply([a_tenant_with(a_rule(enabled=False))])

    assert store.generation() > before
    assert store.load().rules.generation == store.generation()


def test_where_nothing_differs_the_generation_stays(store: Store) -> None:
    store.apply([a_tenant_with(a_rule(external_recipients=(an_external_recipient(),)))])
    before = store.generation()

    changes = store.apply([a_tenant_with(a_rule(external_recipients=(an_external_recipient(),)))])

    assert (changes, store.generation()) == ((), before)


def test_comparing_tells_what_applying_would_change_and_changes_nothing(
    store: Store,
) -> None:
    store.apply([a_tenant_with(a_rule())])
    before = store.load()
    wanted = [a_tenant_with(a_rule(subject="anders"))]

    compared = store.compare(wanted)

    assert store.load() == before
    assert compared == store.apply(wanted)


def test_what_is_not_given_is_deleted_and_other_tenants_stay(store: Store) -> None:
    other = a_tenant_with(
        a_rule(tenant_id=TenantId("m-2")), tenant=a_tenant(tenant_id=TenantId("m-2"))
    )
    store.apply([a_tenant_with(a_rule()), other])
    emptied = a_tenant_with(users={}, bank_accounts={})

    changes = store.apply([emptied])

    tenant_id = TenantId("m-10482")
    assert changes == (
        Change(ChangeKind.DELETED, Thing.USER, tenant_id, "u-anna"),
        Change(ChangeKind.DELETED, Thing.BANK_ACCOUNT, tenant_id, "acc-7731"),
        Change(ChangeKind.DELETED, Thing.RULE, tenant_id, "r-every-status", "Jeder Zahlungsstatus"),
    )
    assert store.load().rules.tenants == (emptied, other)


def test_two_rules_can_exchange_their_descriptions(store: Store) -> None:
    one = a_rule(rule_id=RuleId("r-1"), description="eins")
    two = a_rule(rule_id=RuleId("r-2"), description="zwei")
    store.apply([a_tenant_with(one, two)])
    exchanged = a_tenant_with(replace(one, description="zwei"), replace(two, description="eins"))

    store.apply([exchanged])

    assert store.load().rules.tenants == (exchanged,)


def test_a_changed_rule_has_the_new_parts_only(store: Store) -> None:
    chosen = ChosenAccounts(frozenset({AccountId("acc-1"), AccountId("acc-2")}))
    trigger = OnStatusUpdated(frozenset({PaymentStatus.FIN_REJECTED}), chosen)
    before = a_rule(trigger=trigger, external_recipients=(an_external_recipient(),))
    store.apply([a_tenant_with(before)])
    everything = OnStatusUpdated(frozenset({PaymentStatus.FIN_ACCEPTED}), AllAccounts())
    wanted = a_tenant_with(a_rule(trigger=everything, internal_recipients=(UserId("u-2"),)))

    store.apply([wanted])

    assert store.load().rules.tenants == (wanted,)


def test_tenants_may_share_every_id(store: Store) -> None:
    twins = tuple(
        a_tenant_with(a_rule(tenant_id=tenant_id), tenant=a_tenant(tenant_id=tenant_id))
        for tenant_id in (TenantId("m-1"), TenantId("m-2"))
    )

    store.apply(twins)

    assert store.load().rules.tenants == twins


def test_two_accounts_may_have_one_iban(store: Store) -> None:
    accounts = {
        account_id: a_bank_account(account_id=account_id)
        for account_id in (AccountId("acc-1"), AccountId("acc-2"))
    }

    store.apply([a_tenant_with(bank_accounts=accounts)])

    assert store.load().rules.tenants[0].bank_accounts == accounts


def test_a_deleted_rule_is_gone_and_the_others_stay(store: Store) -> None:
    kept = a_rule(rule_id=RuleId("r-kept"), description="bleibt")
    store.apply([a_tenant_with(a_rule(), kept)])
    before = store.generation()

    changes = store.delete_rule(TenantId("m-10482"), RuleId("r-every-status"))

    assert [change.kind for change in changes] == [ChangeKind.DELETED]
    assert store.load().rules.tenants[0].rules == (kept,)
    assert store.generation() > before


def test_deleting_what_is_not_there_changes_nothing(store: Store) -> None:
    store.apply([a_tenant_with(a_rule())])
    before = store.generation()

    changes = store.delete_rule(TenantId("m-2"), RuleId("r-every-status"))

    assert (changes, store.generation()) == ((), before)


def test_a_tenant_is_what_it_was_at_every_generation(store: Store) -> None:
    states = [
        a_tenant_with(a_rule(external_recipients=(an_external_recipient(),))),
        a_tenant_with(a_rule(enabled=False, internal_recipients=())),
        a_tenant_with(users={}, bank_accounts={}),
        a_tenant_with(a_rule(rule_id=RuleId("r-new"), trigger=OnFileRejected())),
    ]

    generations = [applied(store, state) for state in states]
    other = a_tenant_with(tenant=a_tenant(tenant_id=TenantId("m-2")))
    last = applied(store, other)

    tenant_id = TenantId("m-10482")
    assert [store.load_as_of(tenant_id, at) for at in generations] == states
    assert store.load_as_of(tenant_id, last) == states[-1]


def applied(store: Store, tenant: TenantRules) -> Generation:
    store.apply([tenant])
    return store.generation()


def test_a_tenant_was_not_there_before_it_came(store: Store) -> None:
    before = store.generation()

    store.apply([a_tenant_with(a_rule())])

    assert store.load_as_of(TenantId("m-10482"), before) is None


@pytest.mark.parametrize("generation", [-1, 1000])
def test_a_generation_that_the_history_does_not_know_is_refused(
    store: Store, generation: int
) -> None:
    store.apply([a_tenant_with(a_rule())])

    with pytest.raises(InvalidInput, match=f"generation {generation}: "):
        store.load_as_of(TenantId("m-10482"), Generation(generation))


def test_what_is_not_given_stays_where_a_part_is_applied(store: Store) -> None:
    before = a_rule(rule_id=RuleId("r-1"), description="eins")
    store.apply([a_tenant_with(before)])
    added = a_rule(rule_id=RuleId("r-2"), description="zwei")
    ben = a_user(user_id=UserId("u-ben"))

    given = a_tenant_with(added, users={ben.user_id: ben}, bank_accounts={})
    changes = store.apply([given], Extent.PART)

    assert [(change.kind, change.thing, change.thing_id) for change in changes] == [
        (ChangeKind.CREATED, Thing.USER, "u-ben"),
        (ChangeKind.CREATED, Thing.RULE, "r-2"),
    ]
    (tenant,) = store.load().rules.tenants
    assert tenant.rules == (before, added)
    assert tenant.users.keys() == {"u-anna", "u-ben"}


def a_tenant_described(rule_id: str, description: str) -> TenantRules:
    return a_tenant_with(a_rule(rule_id=RuleId(rule_id), description=description))


def test_a_part_cannot_take_the_description_of_a_rule_that_stays(store: Store) -> None:
    store.apply([a_tenant_described("r-1", "\u00e9ins")])
    before = store.load()
    taking = a_tenant_described("r-2", "e\u0301ins")

    with pytest.raises(InvalidInput, match='description "e\u0301ins": rule "r-1" has it'):
        store.apply([taking], Extent.PART)

    assert store.load() == before


def test_many_tenants_are_brought_in_some_at_a_time(store: Store) -> None:
    numbers = range(CHUNK // 4 + 1)  # a tenant, a user, an account and a rule each
    tenants = [TenantId(f"m-{number:05}") for number in numbers]
    told: list[Sequence[Change]] = []

    store.bring_in(
        (a_tenant_with(a_rule(tenant_id=t), tenant=a_tenant(tenant_id=t)) for t in tenants),
        Extent.WHOLE,
        told.append,
    )

    assert sum(map(len, told)) == 4 * len(tenants)
    assert [found.tenant.tenant_id for found in store.load().rules.tenants] == tenants


def test_what_fails_half_way_changes_nothing(store: Store) -> None:
    store.apply([a_tenant_with(a_rule())])
    before = store.load()

    def failing() -> Iterator[TenantRules]:
        for number in range(CHUNK + 1):
            yield TenantRules(tenant=a_tenant(tenant_id=TenantId(f"m-{number}")))
        raise InvalidInput(["a fault at the end"])

    with pytest.raises(InvalidInput):
        store.apply(failing())

    assert store.load() == before


def test_a_rule_is_edited_on_what_its_tenant_has_and_the_rest_stays(store: Store) -> None:
    one = a_rule(rule_id=RuleId("r-1"), description="eins")
    two = a_rule(rule_id=RuleId("r-2"), description="zwei")
    store.apply([a_tenant_with(one, two)])

    changes = store.edit_rules(
        one.tenant_id, lambda held: [replace(held.rules[1], subject=held.tenant.name)]
    )

    assert [(change.kind, change.thing_id) for change in changes] == [(ChangeKind.CHANGED, "r-2")]
    edited = replace(two, subject="Muster Maschinenbau GmbH")
    assert store.load().rules.tenants == (a_tenant_with(one, edited),)


def test_a_rule_of_no_tenant_cannot_be_edited(store: Store) -> None:
    with pytest.raises(InvalidInput):
        store.edit_rules(TenantId("m-2"), lambda held: held.rules[:1])


def test_a_dry_run_tells_the_same_and_changes_nothing(store: Store) -> None:
    store.apply([a_tenant_with(a_rule())])
    before = store.load()
    tenant_id, rule_id = TenantId("m-10482"), RuleId("r-every-status")

    edited = store.edit_rules(tenant_id, lambda _: [a_rule(enabled=False)], dry_run=True)
    deleted = store.delete_rule(tenant_id, rule_id, dry_run=True)

    assert store.load() == before
    assert deleted == store.delete_rule(tenant_id, rule_id)
    assert [change.kind for change in edited] == [ChangeKind.CHANGED]
