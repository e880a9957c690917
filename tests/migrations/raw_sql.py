"""Raw SQL: what the admin service may do with any client."""

import contextlib
from collections.abc import Iterator

from sqlalchemy import Engine, text

from rules_store.sql import SqlRulesStore, engine_for

RULE = "INSERT INTO push_rules (tenant_id, rule_id, description, event_type) VALUES "
UPDATED = "payment-status-updated"


@contextlib.contextmanager
def disposed(url: str) -> Iterator[Engine]:
    engine = engine_for(url)
    yield engine
    engine.dispose()


def raw(engine: Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def filled(engine: Engine) -> SqlRulesStore:
    """Return the store with a rule `r` of the tenant `m` that has a row in every table."""
    raw(
        engine,
        "INSERT INTO push_tenants (tenant_id, name) VALUES ('m', 'Muster')",
        "INSERT INTO push_users (tenant_id, user_id, name) VALUES ('m', 'u', 'Anna')",
        "INSERT INTO push_bank_accounts (tenant_id, account_id) VALUES ('m', 'a')",
        f"{RULE} ('m', 'r', 'Regel', '{UPDATED}')",
        "INSERT INTO push_rule_statuses VALUES ('m', 'r', 'FIN_REJECTED')",
        "INSERT INTO push_rule_accounts VALUES ('m', 'r', 'a')",
        "INSERT INTO push_rule_internal_recipients VALUES ('m', 'r', 'u', 0)",
        "INSERT INTO push_rule_external_recipients (tenant_id, rule_id, address)"
        " VALUES ('m', 'r', 'x@y.example')",
    )
    return SqlRulesStore(engine)
