"""The tables of the rules, as the newest migration leaves them (a test compares the two).

Ids are unique within their tenant only, so every key begins with the tenant. A rule's recipients
and accounts do not refer to users and bank accounts: those may be deleted under it, and the
reference that stays gives the reason (R10, R22).
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    DateTime,
    Dialect,
    ForeignKeyConstraint,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    true,
)
from sqlalchemy.types import TypeEngine

#: The migration that these tables are the result of.
REVISION = "0002"

VERSION_TABLE = "push_alembic_version"

#: What PostgreSQL notifies at the commit of every change, with its generation as the payload.
CHANNEL = "push_rules"

metadata = MetaData()


class Instant(TypeDecorator[datetime]):
    """An aware instant: a timestamp with time zone, in SQLite ISO 8601 text.

    Text that is no instant reads as None: one bad row must not keep all others from loading.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the column type of a database."""
        kind: TypeEngine[Any] = Text() if dialect.name == "sqlite" else DateTime(timezone=True)
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> object:
        """Return what the driver is given."""
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).isoformat()

    def process_result_value(self, value: object, _dialect: Dialect) -> datetime | None:
        """Return what a query gives."""
        return read_instant(value)


def read_instant(value: object) -> datetime | None:
    """Return the instant that a driver gives, aware and UTC, or None where it is none."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _flag(name: str, default: ColumnElement[bool]) -> Column[bool]:
    return Column(name, Boolean, nullable=False, server_default=default)


def _is_flag(table: str, name: str) -> CheckConstraint:
    """Keep SQLite, which has no boolean, from storing a third value."""
    check = CheckConstraint(f"{name} IN (0, 1)", name=f"push_{table}_{name}_is_flag")
    return check.ddl_if(dialect="sqlite")


def _is_not_empty(table: str, name: str) -> CheckConstraint:
    return CheckConstraint(f"{name} <> ''", name=f"push_{table}_{name}_is_given")


def _of_tenant() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["tenant_id"], ["push_tenants.tenant_id"], ondelete="CASCADE", onupdate="CASCADE"
    )


def _of_rule() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["tenant_id", "rule_id"],
        ["push_rules.tenant_id", "push_rules.rule_id"],
        ondelete="CASCADE",
        onupdate="CASCADE",
    )


def _is_language(table: str) -> CheckConstraint:
    return CheckConstraint("language IN ('de', 'en')", name=f"push_{table}_language_is_known")


tenants = Table(
    "push_tenants",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("language", Text, nullable=False, server_default="de"),
    Column("time_zone", Text, nullable=False, server_default="Europe/Berlin"),
    _is_not_empty("tenants", "tenant_id"),
    _is_not_empty("tenants", "name"),
    _is_language("tenants"),
)

users = Table(
    "push_users",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("user_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("email", Text),
    Column("language", Text),
    _flag("active", true()),
    _of_tenant(),
    _is_not_empty("users", "user_id"),
    _is_language("users"),
    _is_flag("users", "active"),
)

bank_accounts = Table(
    "push_bank_accounts",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("account_id", Text, primary_key=True),
    Column("iban", Text),
    Column("description", Text),
    _of_tenant(),
    _is_not_empty("bank_accounts", "account_id"),
    # ISO 13616 in its electronic spelling; the check digits are the program's part
    CheckConstraint(
        "length(iban) BETWEEN 15 AND 34 AND iban = upper(replace(iban, ' ', ''))",
        name="push_bank_accounts_iban_is_electronic",
    ),
)

rules = Table(
    "push_rules",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("rule_id", Text, primary_key=True),
    Column("description", Text, nullable=False),
    Column("event_type", Text, nullable=False),
    _flag("all_accounts", false()),
    Column("subject", Text, nullable=False, server_default=""),
    _flag("subject_may_show_amount", false()),
    _flag("subject_may_show_reference", false()),
    Column("detail_internal", Text, nullable=False, server_default="standard"),
    Column("detail_external", Text, nullable=False, server_default="minimal"),
    _flag("enabled", true()),
    _of_tenant(),
    UniqueConstraint("tenant_id", "description", name="push_rules_description_is_unique"),
    _is_not_empty("rules", "rule_id"),
    _is_not_empty("rules", "description"),
    CheckConstraint(
        "event_type IN ('payment-file-rejected', 'payment-status-updated')",
        name="push_rules_event_type_is_known",
    ),
    CheckConstraint(
        "detail_internal IN ('minimal', 'standard', 'full')",
        name="push_rules_detail_internal_is_known",
    ),
    # `full` is lowered for externals, not refused (R30)
    CheckConstraint(
        "detail_external IN ('minimal', 'standard', 'full')",
        name="push_rules_detail_external_is_known",
    ),
    _is_flag("rules", "all_accounts"),
    _is_flag("rules", "subject_may_show_amount"),
    _is_flag("rules", "subject_may_show_reference"),
    _is_flag("rules", "enabled"),
)

rule_statuses = Table(
    "push_rule_statuses",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("rule_id", Text, primary_key=True),
    Column("status", Text, primary_key=True),  # any code: an unknown one matches nothing (R12)
    _of_rule(),
    _is_not_empty("rule_statuses", "status"),
)

rule_accounts = Table(
    "push_rule_accounts",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("rule_id", Text, primary_key=True),
    Column("account_id", Text, primary_key=True),
    _of_rule(),
    _is_not_empty("rule_accounts", "account_id"),
)

internal_recipients = Table(
    "push_rule_internal_recipients",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("rule_id", Text, primary_key=True),
    Column("user_id", Text, primary_key=True),
    Column("position", Integer, nullable=False, server_default="0"),
    _of_rule(),
    _is_not_empty("rule_internal_recipients", "user_id"),
)

external_recipients = Table(
    "push_rule_external_recipients",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("rule_id", Text, primary_key=True),
    Column("address", Text, primary_key=True),
    Column("position", Integer, nullable=False, server_default="0"),
    Column("language", Text),
    Column("verified_at", Instant),
    _of_rule(),
    _is_not_empty("rule_external_recipients", "address"),
    _is_language("rule_external_recipients"),
)

#: The tables whose changes form generations; the history keeps every version of their rows.
COUNTED = (
    tenants,
    users,
    bank_accounts,
    rules,
    rule_statuses,
    rule_accounts,
    internal_recipients,
    external_recipients,
)

#: One row: how many generations there were. Triggers count, nobody else writes it.
rules_generation = Table(
    "push_rules_generation",
    metadata,
    Column("only_row", Boolean, primary_key=True, server_default=true()),
    Column("generation", BigInteger, nullable=False, server_default="0"),
    CheckConstraint("only_row", name="push_rules_generation_has_one_row"),
)
