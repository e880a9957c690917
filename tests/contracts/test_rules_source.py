"""The sentences of `RulesSource`, on every adapter."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest
from sqlalchemy import text

from rules_store.history import changed_tenants
from rules_store.loading import SqlRulesSource
from rules_store.memory import MemoryRulesStore
from rules_store.memory_source import MemoryRulesSource
from rules_store.migrating import upgrade
from rules_store.ports import RulesWriter
from rules_store.recipients import Verification
from rules_store.snapshot import Snapshot
from rules_store.sources import Progress, RulesSource
from rules_store.sql import SqlRulesStore, engine_for, generation_of, reading
from schemas.rules import AllAccounts, ChosenAccounts, OnFileRejected, OnStatusUpdated, TenantRules
from schemas.vocabulary import AccountId, Generation, LeftOut, PaymentStatus, RuleId, TenantId
from tests.builders import (
    a_routing,
    a_rule,
    a_tenant,
    a_tenant_with,
    a_user,
    an_external_recipient,
    rules_at,
)
from tests.real.postgresql import PostgreSQL


class Store(NamedTuple):
    """A source, and the way to write what it reads."""

    source: RulesSource
    writer: RulesWriter

    def apply(self, *tenants: TenantRules) -> None:
        self.writer.apply(tenants)

    def load(self) -> Snapshot:
        return self.source.load(lambda _: None)


Stores = Callable[[Verification], Store]


@pytest.fixture(
    params=["memory", "sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]
)
def store_with(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stores]:
    if request.param == "memory":
        held = MemoryRulesStore()
        yield lambda verification: Store(MemoryRulesSource(held, verification), held)
        return
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'rules.db'}"
    else:
        url = request.getfixturevalue("postgresql").url()
    upgrade(url)
    engine = engine_for(url)
    yield lambda verification: Store(SqlRulesSource(engine, verification), SqlRulesStore(engine))
    engine.dispose()


@pytest.fixture
def store(store_with: Stores) -> Store:
    return store_with(Verification.OFF)


def named(name: str, **changes: object) -> TenantRules:
    """Return a tenant with one rule of its own."""
    tenant_id = TenantId(name)
    rule = a_rule(tenant_id=tenant_id, **changes)
    return a_tenant_with(rule, tenant=a_tenant(tenant_id=tenant_id))


def every_kind() -> TenantRules:
    """Return a tenant whose rules differ in all that an entry holds."""
    chosen = ChosenAccounts(frozenset({AccountId("acc-2"), AccountId("acc-1")}))
    rejected = frozenset({PaymentStatus.FIN_REJECTED})
    rules = (
        a_rule(external_recipients=(an_external_recipient(), an_external_recipient(address="?"))),
        a_rule(rule_id=RuleId("r-1"), description="1", trigger=OnFileRejected()),
        a_rule(rule_id=RuleId("R-2"), description="2", trigger=OnStatusUpdated(rejected, chosen)),
        a_rule(
            rule_id=RuleId("r-ä"),
            description="3",
            trigger=OnStatusUpdated(frozenset(), AllAccounts()),
        ),
        a_rule(rule_id=RuleId("r-off"), description="4", enabled=False),
    )
    return a_tenant_with(*rules)


def test_an_empty_store_has_no_entries(store: Store) -> None:
    assert dict(store.load().entries) == {}


def test_a_load_gives_what_compiling_the_rules_does(store: Store) -> None:
    tenants = [every_kind(), named("m-2"), named("M-1")]
    store.apply(*tenants)

    loaded = store.load()

    compiled = Snapshot.compile(rules_at(*tenants))
    assert dict(loaded.entries) == dict(compiled.entries)
    assert loaded.wanting(a_routing()) == compiled.wanting(a_routing())


def test_a_load_carries_its_generation_and_tells_its_end(store: Store) -> None:
    store.apply(named("m-1"), named("m-2"))
    told: list[Progress] = []

    loaded = store.source.load(told.append)

    assert loaded.generation == store.source.generation() > 0
    assert told[-1] == Progress(tenants=2, of_tenants=2, rules=2)


def test_changes_are_those_after_the_generation_and_no_other(store: Store) -> None:
    store.apply(named("m-1"), named("m-2"), named("m-3"))
    before = store.load()
    store.apply(named("m-2", enabled=False))
    store.apply(named("m-3", subject="neu"))

    changes = store.source.changes(before.generation)

    assert set(changes.entries) == {"m-2", "m-3"}
    changed = before.with_entries(changes.generation, changes.entries)
    assert dict(changed.entries) == dict(store.load().entries)
    assert changes.generation == store.source.generation()


def test_without_a_change_there_are_none(store: Store) -> None:
    store.apply(named("m-1"))

    assert store.source.changes(store.source.generation()).entries == {}


def test_a_tenant_that_lost_all_its_rules_has_no_entry(store: Store) -> None:
    store.apply(named("m-1"))
    before = store.load()
    tenant = a_tenant(tenant_id=TenantId("m-1"))
    store.apply(a_tenant_with(tenant=tenant))

    assert store.source.changes(before.generation).entries == {"m-1": None}


def test_a_user_who_is_switched_off_changes_the_tenant(store: Store) -> None:
    store.apply(a_tenant_with(a_rule()))
    before = store.load()
    off = a_user(active=False)
    store.apply(a_tenant_with(a_rule(), users={off.user_id: off}))

    changes = store.source.changes(before.generation)

    (wanted,) = before.with_entries(changes.generation, changes.entries).wanting(a_routing())
    assert (wanted.recipients, wanted.left_out) == ((), (("u-anna", LeftOut.INACTIVE),))


def test_entries_come_for_every_tenant_asked_for(store: Store) -> None:
    store.apply(named("m-1"), named("m-2"))

    read = store.source.entries([TenantId("m-2"), TenantId("m-none")])

    loaded = store.load()
    assert read.entries == {"m-2": loaded.entries[TenantId("m-2")], "m-none": None}
    assert read.generation == loaded.generation


def test_the_tenants_can_be_walked_through(store: Store) -> None:
    store.apply(*(named(f"m-{number}") for number in range(5)))

    first = store.source.tenants_after(None, 3)
    rest = store.source.tenants_after(first[-1], 3)

    assert (len(first), len(rest)) == (3, 2)
    assert {*first, *rest} == {f"m-{number}" for number in range(5)}


@pytest.mark.parametrize(
    ("verification", "left_out"),
    [
        pytest.param(Verification.OFF, (), id="off"),
        pytest.param(Verification.REQUIRED, (("external 1", LeftOut.UNVERIFIED),), id="required"),
    ],
)
def test_unverified_externals_are_left_out_where_the_platform_asks_for_it(
    store_with: Stores, verification: Verification, left_out: tuple[tuple[str, LeftOut], ...]
) -> None:
    store = store_with(verification)
    rule = a_rule(internal_recipients=(), external_recipients=(an_external_recipient(),))
    store.apply(a_tenant_with(rule))

    (wanted,) = store.load().wanting(a_routing())

    assert wanted.left_out == left_out
    assert len(wanted.recipients) == 1 - len(left_out)


@pytest.mark.postgresql
def test_what_changed_is_found_without_reading_the_history(postgresql: PostgreSQL) -> None:
    # Would catch: a planner that takes every change set for as large as the one of a migration, in
    # which all rows stand; a refresh then took half a second among a million rules.
    url = postgresql.url()
    upgrade(url, "0001")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO push_tenants (tenant_id, name) "
            "SELECT 'm-' || number, 'Eins' FROM generate_series(1, 20000) AS number"
        )
        upgrade(url)
        connection.execute("ANALYZE")
        connection.execute("UPDATE push_tenants SET name = 'Zwei' WHERE tenant_id = 'm-7'")
    engine = engine_for(url)

    with reading(engine) as asking:
        found = changed_tenants(asking, Generation(generation_of(asking) - 1))
        read = asking.scalar(
            text(
                "SELECT sum(seq_tup_read) FROM pg_stat_xact_user_tables "
                "WHERE relname LIKE 'push\\_%\\_history'"
            )
        )

    engine.dispose()
    assert found == {TenantId("m-7")}
    assert read == 0
