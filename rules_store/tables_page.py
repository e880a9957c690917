"""The tables as docs/rules.md shows them: what the model says, and a sentence for each column."""

from collections.abc import Iterator

from sqlalchemy import CheckConstraint, Column, ForeignKeyConstraint, Table, UniqueConstraint
from sqlalchemy.schema import Constraint

from rules_store import tables

#: What a table is, and what a column means where its name does not say it all.
_MEANS = {
    "push_tenants": "A tenant (*Mandant*). Everything else belongs to one and goes with it.",
    "push_tenants.tenant_id": "as events name it, compared exactly",
    "push_tenants.name": "printed in mails",
    "push_tenants.language": "of external recipients that have none",
    "push_tenants.time_zone": "IANA name; mails print times in it. Unknown: as if Europe/Berlin",
    "push_users": "A user of the tenant: whom its rules can name as internal recipients.",
    "push_users.user_id": "as rules name it",
    "push_users.name": "for people who look at rules",
    "push_users.email": "none or not an address: no mail (`no_address`, `bad_address`)",
    "push_users.language": "of the user's mails; none: German",
    "push_users.active": "not active: no mail (`inactive`)",
    "push_bank_accounts": "A bank account of the tenant: what its rules can choose.",
    "push_bank_accounts.account_id": "as events name it, compared exactly",
    "push_bank_accounts.iban": "shown masked, never compared",
    "push_bank_accounts.description": "shown beside it",
    "push_rules": "A rule (*Benachrichtigungsregel*): an event, and a mail about it.",
    "push_rules.rule_id": "part of a mail's identity: keep it, or an event read again mails again",
    "push_rules.description": "the rule's name, printed in its mails",
    "push_rules.event_type": "*… abgelehnt*, or *Zahlungsstatus wurde aktualisiert*",
    "push_rules.all_accounts": "also those added later; without it the chosen ones",
    "push_rules.subject": "may hold placeholders; empty or with an unknown one: the default",
    "push_rules.subject_may_show_amount": "allows `{{ amount }}`, where the detail shows it",
    "push_rules.subject_may_show_reference": "allows `{{ reference }}`, likewise",
    "push_rules.detail_internal": "how much mails to users show",
    "push_rules.detail_external": "how much external mails show; `full` counts as `standard`",
    "push_rules.enabled": "a disabled rule is kept and mails nothing",
    "push_rule_statuses": "What `payment-status-updated` waits for. None ticked: nothing.",
    "push_rule_statuses.status": "a code of the platform; an unknown one matches nothing",
    "push_rule_accounts": "What a rule without `all_accounts` is about. None chosen: nothing.",
    "push_rule_accounts.account_id": "one that does not exist is ignored",
    "push_rule_internal_recipients": "The users whom a rule mails to.",
    "push_rule_internal_recipients.user_id": "deleted: left out, with the reason (`deleted`)",
    "push_rule_internal_recipients.position": "order in lists",
    "push_rule_external_recipients": "The addresses outside the tenant that a rule mails to.",
    "push_rule_external_recipients.address": "not an address: left out (`bad_address`)",
    "push_rule_external_recipients.position": "order in lists",
    "push_rule_external_recipients.language": "none: the tenant's",
    "push_rule_external_recipients.verified_at": "counts where the platform asks for it",
}
_KEYS = {
    "tenant_id": "the tenant",
    "rule_id": "the rule",
}


def tables_in_words() -> str:
    """Return the tables that the admin service writes, as Markdown."""
    return "\n\n".join("\n".join(_table_in_words(table)) for table in tables.COUNTED)


def _table_in_words(table: Table) -> Iterator[str]:
    yield f"### `{table.name}`"
    yield _MEANS[table.name]
    yield ""
    yield "| Column | Type | Left out | Meaning |"
    yield "|---|---|---|---|"
    yield from (_column_in_words(table, column) for column in table.columns)
    yield ""
    yield from filter(None, map(_constraint_in_words, sorted(table.constraints, key=_order)))


def _column_in_words(table: Table, column: "Column[object]") -> str:
    name = f"**{column.name}**" if column.primary_key else column.name
    means = _MEANS.get(f"{table.name}.{column.name}")
    return (
        f"| {name} | {_type(column)} | {_default(column)} | {means or _KEYS.get(column.name, '')} |"
    )


def _type(column: "Column[object]") -> str:
    """Say a type as PostgreSQL names it."""
    return "timestamptz" if isinstance(column.type, tables.Instant) else str(column.type).lower()


def _default(column: "Column[object]") -> str:
    """Say what a row gets that does not name the column."""
    if column.server_default is None:
        return "NULL" if column.nullable else "refused"
    text = str(getattr(column.server_default, "arg", ""))
    return f"`{text}`" if text else "empty"


def _order(constraint: Constraint) -> str:
    return f"{type(constraint).__name__} {constraint.name}"


def _constraint_in_words(constraint: Constraint) -> str | None:
    """Say what a constraint demands; the database names it where it refuses a row."""
    if isinstance(constraint, CheckConstraint) and "_is_flag" not in str(constraint.name):
        return f"- `{constraint.name}`: `{constraint.sqltext}`"
    if isinstance(constraint, UniqueConstraint):
        return f"- `{constraint.name}`: one row for each {', '.join(constraint.columns.keys())}"
    if isinstance(constraint, ForeignKeyConstraint):
        return f"- goes with its `{constraint.referred_table.name}`, deleted or renamed"
    return None
