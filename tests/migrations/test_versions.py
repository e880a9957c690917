"""What the history lists: what of a tenant changed when and by whom, whoever changed it."""

import pytest
from sqlalchemy import Engine

from rules_store.changes import ChangeKind, Thing
from rules_store.sql import SqlRulesStore
from schemas.vocabulary import Generation, TenantId
from tests.migrations.raw_sql import filled, raw

CREATED, CHANGED, DELETED = ChangeKind.CREATED, ChangeKind.CHANGED, ChangeKind.DELETED


def listed(store: SqlRulesStore, since: int) -> list[tuple[ChangeKind, Thing, str, str]]:
    """Return what is listed as changed after a generation."""
    return [
        (
            version.change.kind,
            version.change.thing,
            version.change.thing_id,
            version.change.description,
        )
        for version in store.versions(TenantId("m"), Generation(since))
    ]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        pytest.param(
            "UPDATE push_tenants SET name = 'Neu'", (CHANGED, Thing.TENANT, "", ""), id="tenant"
        ),
        pytest.param(
            "INSERT INTO push_users (tenant_id, user_id, name) VALUES ('m', 'v', 'V')",
            (CREATED, Thing.USER, "v", ""),
            id="new user",
        ),
        pytest.param(
            "DELETE FROM push_bank_accounts", (DELETED, Thing.BANK_ACCOUNT, "a", ""), id="account"
        ),
        pytest.param(
            "UPDATE push_rules SET description = 'Neu'",
            (CHANGED, Thing.RULE, "r", "Neu"),
            id="rule",
        ),
        pytest.param(
            "INSERT INTO push_rule_statuses VALUES ('m', 'r', 'FIN_ACCEPTED')",
            (CHANGED, Thing.RULE, "r", "Regel"),
            id="status of a rule",
        ),
        pytest.param(
            "DELETE FROM push_rule_external_recipients",
            (CHANGED, Thing.RULE, "r", "Regel"),
            id="recipient of a rule",
        ),
    ],
)
def test_a_statement_is_listed_as_what_it_did(
    engine: Engine, statement: str, expected: tuple[ChangeKind, Thing, str, str]
) -> None:
    store = filled(engine)
    before = store.generation()

    raw(engine, statement)

    assert listed(store, before) == [expected]


def test_a_deleted_rule_is_listed_with_the_description_it_had(engine: Engine) -> None:
    store = filled(engine)
    before = store.generation()

    raw(engine, "DELETE FROM push_rules")

    assert (DELETED, Thing.RULE, "r", "Regel") in listed(store, before)


def test_nothing_of_another_tenant_is_listed(engine: Engine) -> None:
    store = filled(engine)
    before = store.generation()

    raw(engine, "INSERT INTO push_tenants (tenant_id, name) VALUES ('n', 'N')")

    assert listed(store, before) == []


def test_what_our_own_command_changes_bears_the_name_it_was_given(engine: Engine) -> None:
    store = filled(engine)
    before = store.generation()
    tenant = store.load_as_of(TenantId("m"), before)
    assert tenant is not None
    ours = SqlRulesStore(engine, changed_by="Eva (Support)")

    ours.delete_rule(TenantId("m"), tenant.rules[0].rule_id)
    raw(engine, "DELETE FROM push_users")

    *by_us, by_others = store.versions(TenantId("m"), before)
    assert {version.changed_by for version in by_us} == {"Eva (Support)"}
    assert by_others.changed_by is None
    assert by_us[0].changed_at <= by_others.changed_at


@pytest.mark.postgresql
def test_a_transaction_is_listed_by_what_it_comes_to(on_postgresql: Engine) -> None:
    store = filled(on_postgresql)
    before = store.generation()

    raw(
        on_postgresql,
        "INSERT INTO push_users (tenant_id, user_id, name) VALUES ('m', 'v', 'V'), ('m', 'w', 'W')",
        "UPDATE push_users SET active = false WHERE user_id = 'v'",
        "DELETE FROM push_users WHERE user_id = 'w'",
        "DELETE FROM push_users WHERE user_id = 'u'",
        "INSERT INTO push_users (tenant_id, user_id, name) VALUES ('m', 'u', 'Wieder')",
    )

    assert listed(store, before) == [
        (CREATED, Thing.USER, "v", ""),
        (CHANGED, Thing.USER, "u", ""),
    ]
    assert {version.database_user for version in store.versions(TenantId("m"), before)} == {"push"}
