"""A ledger restored from a backup, in SQLite or PostgreSQL: `SqlReplays`."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Engine, and_, case, func, or_, select, true, update

from mailer.bulk import rows_of, table_of
from mailer.ports import TERMS, MailKey, Terms
from mailer.results import Fate, State
from mailer.sql_statements import KEY, Statements
from mailer.tables import deliveries, ledger_errors
from schemas.vocabulary import MailId, TenantId

_c = deliveries.c


@dataclass(frozen=True, slots=True)
class SqlReplays:
    """`Replays` of a `SqlLedger` with the same terms."""

    engine: Engine
    terms: Terms = TERMS

    def taken_until(self, topic: str, at: datetime) -> Mapping[int, int]:
        """Return where intake was at that instant."""
        query = (
            select(_c.record_partition, func.max(_c.record_offset) + 1)
            .where(_c.record_topic == topic, _c.taken_in_at <= at)
            .group_by(_c.record_partition)
        )
        reading = self.engine.execution_options(push_reading=True)
        with ledger_errors(), reading.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def known(self, keys: Sequence[MailKey]) -> Collection[MailKey]:
        """Return which of these mails have a row."""
        given = table_of(self.engine, KEY)
        same = and_(_c.tenant_id == given.c.tenant_id, _c.mail_id == given.c.mail_id)
        query = select(_c.tenant_id, _c.mail_id).where(same)
        rows = rows_of(self.engine, KEY, [tuple(key) for key in keys])
        reading = self.engine.execution_options(push_reading=True)
        with ledger_errors(), reading.connect() as connection:
            found = connection.execute(query, rows)
            return {MailKey(TenantId(row.tenant_id), MailId(row.mail_id)) for row in found}

    def open_at(self, backup: datetime) -> int:
        """Return how many mails had not come to their end."""
        query = select(func.count()).where(_was_open(backup))
        reading = self.engine.execution_options(push_reading=True)
        with ledger_errors(), reading.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def doubt_open_at(self, backup: datetime) -> int:
        """Count each of these as in doubt once."""
        in_doubt = Statements(self.engine, self.terms).state_after(Fate.IN_DOUBT).value
        waits = _c.state == State.WAITING.value
        counted = (
            update(deliveries)
            .where(_was_open(backup))
            .values(
                in_doubt_count=_c.in_doubt_count + 1,
                was_answered=true(),
                fate=case((waits, Fate.IN_DOUBT.value), else_=_c.fate),
                state=case((waits, in_doubt), else_=_c.state),
                replayed_since=backup,
            )
        )
        with ledger_errors(), self.engine.begin() as connection:
            return int(connection.execute(counted).rowcount)


def _was_open(backup: datetime) -> ColumnElement[bool]:
    """Whatever became of it since: what ended before the backup ended with the ledger's knowledge.

    A refusal that was on trial then had its bytes, and could have been held and tried again.
    """
    still_open = or_(_c.finished_at.is_(None), _c.finished_at > backup, _c.trial_until.is_not(None))
    not_counted = or_(_c.replayed_since.is_(None), _c.replayed_since < backup)
    return and_(_c.taken_in_at <= backup, still_open, not_counted)
