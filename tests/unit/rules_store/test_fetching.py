"""The same rows come whichever way they are fetched, whatever raw SQL made of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from rules_store import tables
from rules_store.breaks import no_break
from rules_store.fetching import Tenants, fetch, fetch_beside_others
from rules_store.migrating import upgrade
from rules_store.sql import SqlRulesStore, engine_for
from schemas.vocabulary import RuleId, TenantId
from tests.builders import a_rule, a_tenant, a_tenant_with, an_external_recipient

READ = [
    tables.tenants,
    tables.users,
    tables.rules,
    tables.rule_statuses,
    tables.rule_accounts,
    tables.internal_recipients,
    tables.external_recipients,
]
TENANTS = [TenantId("m-10482"), TenantId("M-ä"), TenantId("m-none")]


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    url = f"sqlite:///{tmp_path / 'rules.db'}"
    upgrade(url)
    engine = engine_for(url)
    SqlRulesStore(engine).apply(
        [
            a_tenant_with(
                a_rule(external_recipients=(an_external_recipient(),)),
                a_rule(rule_id=RuleId("r-2"), description='"Ä"\\ \U0001f600\n', subject="\x7f'"),
            ),
            a_tenant_with(
                a_rule(tenant_id=TENANTS[1]), tenant=a_tenant(tenant_id=TENANTS[1], name="Ä")
            ),
        ]
    )
    with engine.connect().execution_options(writes=True) as connection:
        connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
        yield connection
    engine.dispose()


@pytest.mark.parametrize(
    "spoilt",
    [
        pytest.param("subject = subject", id="as it should be"),
        pytest.param("subject = x'00ff'", id="bytes in place of a text"),
        pytest.param("subject = CAST(x'ff41' AS TEXT)", id="a text that is none"),
        pytest.param("subject = 'a' || char(0) || 'b'", id="a NUL"),
        pytest.param("enabled = 'perhaps'", id="a text in place of a flag"),
        pytest.param("enabled = 0.1", id="a fraction in place of a flag"),
        pytest.param("enabled = 9e999", id="infinity"),
        pytest.param("enabled = 9223372036854775807", id="a number no float can hold"),
    ],
)
def test_rows_fetched_beside_others_are_the_rows(connection: Connection, spoilt: str) -> None:
    connection.exec_driver_sql(f"UPDATE push_rules SET {spoilt} WHERE rule_id = 'r-2'")
    chosen = Tenants.one_of(TENANTS)

    for table in READ:
        found = fetch_beside_others(connection, chosen, table, no_break)

        assert sorted(found, key=repr) == sorted(fetch(connection, chosen, table), key=repr)
        assert all(isinstance(row, tuple) for row in found)
