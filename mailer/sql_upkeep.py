"""What is deleted of the ledger with time, in slices: no statement holds many rows for long."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Engine, Select, and_, delete, exists, select, update

from mailer.results import State
from mailer.sql_suppressions import SqlSuppressions
from mailer.tables import deliveries, from_now, ledger_errors

_c = deliveries.c
_ENDED = [state.value for state in State if state.is_final]


@dataclass(frozen=True, slots=True)
class SqlUpkeep:
    """`Upkeep` of a `SqlLedger`."""

    engine: Engine

    def forget_addresses(self, after: timedelta, most: int) -> int:
        """Delete the addresses of mails that ended so long ago."""
        found = self._ended(after).where(_c.recipient.is_not(None)).limit(most)
        return self._change(update(deliveries).where(_among(found)).values(recipient=None))

    def forget_mails(self, after: timedelta, most: int) -> int:
        """Delete the rows of mails that ended so long ago and owe no report."""
        found = self._ended(after).where(~_c.owes_report).limit(most)
        return self._change(delete(deliveries).where(_among(found)))

    def forget_suppressions(self, most: int) -> int:
        """Delete suppressions that are over."""
        return SqlSuppressions(self.engine).forget_suppressions(most)

    def _ended(self, after: timedelta) -> Select[Any]:
        old = _c.finished_at <= from_now(self.engine, -after)
        return select(_c.tenant_id, _c.mail_id).where(_c.state.in_(_ENDED), old)

    def _change(self, statement: Any) -> int:
        with ledger_errors(), self.engine.begin() as connection:
            return int(connection.execute(statement).rowcount)


def _among(found: Select[Any]) -> ColumnElement[bool]:
    those = found.subquery("those")
    same = and_(_c.tenant_id == those.c.tenant_id, _c.mail_id == those.c.mail_id)
    return exists(select(those.c.mail_id).where(same))
