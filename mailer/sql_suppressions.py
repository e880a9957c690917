"""The suppression list in SQLite or PostgreSQL, and how the ledger's statements ask it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    and_,
    case,
    delete,
    exists,
    or_,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from mailer.suppressing import Reason, Suppression
from mailer.tables import EVERY_RULE, deliveries, from_now, ledger_errors, suppressions
from schemas.vocabulary import MailId, RuleId, TenantId

_s = suppressions.c
_KEY = ("tenant_id", "address_hash", "rule_id")


def is_suppressed(engine: Engine) -> ColumnElement[bool]:
    """Return the condition that a delivery's recipient is on its tenant's list at this moment."""
    mail = deliveries.c
    return exists(
        select(_s.reason)
        .where(
            _s.tenant_id == mail.tenant_id,
            _s.address_hash == mail.address_hash,
            _s.rule_id.in_([EVERY_RULE, mail.rule_id]),
            _holds(engine),
        )
        .correlate(deliveries)
    )


def suppress(
    connection: Connection, engine: Engine, mail: Any, reason: Reason, lasts: timedelta
) -> None:
    """Put a mail's address on its tenant's list, within the transaction that says why."""
    row = {
        "tenant_id": mail.tenant_id,
        "address_hash": mail.address_hash,
        "rule_id": EVERY_RULE,
        "reason": reason.value,
        "mail_id": mail.mail_id,
    }
    values = {**row, "since": from_now(engine), "until": from_now(engine, lasts)}
    connection.execute(_put(engine, values))


def _put(engine: Engine, values: dict[str, Any]) -> Any:
    """Return the statement that adds one, or makes one that is there last longer."""
    insert: Any = sqlite.insert if engine.dialect.name == "sqlite" else postgresql.insert
    added = insert(suppressions).values(values)
    longer = case(
        (or_(_s.until.is_(None), added.excluded.until.is_(None)), None),
        (_s.until > added.excluded.until, _s.until),
        else_=added.excluded.until,
    )
    return added.on_conflict_do_update(index_elements=list(_KEY), set_={"until": longer})


def _holds(engine: Engine) -> ColumnElement[bool]:
    return or_(_s.until.is_(None), _s.until > from_now(engine))


@dataclass(frozen=True, slots=True)
class SqlSuppressions:
    """`Suppressions` beside a `SqlLedger`."""

    engine: Engine

    def add(self, suppressions: Sequence[Suppression]) -> int:
        """Put them on the list, in one transaction."""
        with ledger_errors(), self.engine.begin() as connection:
            return sum(self._add(connection, one) for one in suppressions)

    def _add(self, connection: Connection, one: Suppression) -> bool:
        values = {
            "tenant_id": one.tenant_id,
            "address_hash": one.address_hash,
            "rule_id": one.rule_id or EVERY_RULE,
            "reason": one.reason.value,
            "since": from_now(self.engine),
            "until": one.until,
            "mail_id": one.mail_id,
        }
        known = connection.execute(select(_s.reason).where(_same(values), _holds(self.engine)))
        was_there = known.first() is not None
        connection.execute(_put(self.engine, values))
        return not was_there

    def remove(self, tenant_id: TenantId, address_hash: str, rule_id: RuleId | None) -> bool:
        """Take one off the list."""
        key = {
            "tenant_id": tenant_id,
            "address_hash": address_hash,
            "rule_id": rule_id or EVERY_RULE,
        }
        with ledger_errors(), self.engine.begin() as connection:
            return connection.execute(delete(suppressions).where(_same(key))).rowcount > 0

    def of_tenant(self, tenant_id: TenantId) -> Sequence[Suppression]:
        """Return a tenant's suppressions that hold."""
        query = (
            select(suppressions)
            .where(_s.tenant_id == tenant_id, _holds(self.engine))
            .order_by(_s.since.desc(), _s.address_hash, _s.rule_id)
        )
        reading = self.engine.execution_options(push_reading=True)
        with ledger_errors(), reading.connect() as connection:
            return [_suppression(row) for row in connection.execute(query)]

    def forget_suppressions(self, most: int) -> int:
        """Delete suppressions that are over, up to `most`."""
        over = select(*(_s[name] for name in _KEY)).where(~_holds(self.engine)).limit(most)
        found = over.subquery("found")
        same = and_(*(_s[name] == found.c[name] for name in _KEY))
        forgotten = delete(suppressions).where(exists(select(found.c.rule_id).where(same)))
        with ledger_errors(), self.engine.begin() as connection:
            return connection.execute(forgotten).rowcount


def _same(key: dict[str, Any]) -> ColumnElement[bool]:
    return and_(*(_s[name] == key[name] for name in _KEY))


def _suppression(row: Any) -> Suppression:
    return Suppression(
        tenant_id=TenantId(row.tenant_id),
        address_hash=row.address_hash,
        rule_id=RuleId(row.rule_id) if row.rule_id != EVERY_RULE else None,
        reason=Reason(row.reason),
        until=row.until,
        mail_id=None if row.mail_id is None else MailId(row.mail_id),
        since=row.since,
    )
