"""What an operator asks of the ledger, and tells it: lists of mails, and trying them again."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, and_, exists, select, update

from mailer.ports import Standing
from mailer.results import State
from mailer.rows import standing_from_row
from mailer.sql_statements import standings
from mailer.tables import deliveries, from_now, ledger_errors
from schemas.vocabulary import MailId, TenantId

_c = deliveries.c
#: The states from which a mail can be tried again at once: its bytes are still there.
AGAIN = (State.HELD, State.WAITING)


@dataclass(frozen=True, slots=True)
class SqlOperators:
    """The ledger as an operator sees it. Raise `LedgerUnavailable` as `Ledger` does."""

    engine: Engine

    def mails(
        self, state: State | None, tenant_id: TenantId | None, most: int
    ) -> Sequence[Standing]:
        """Return mails, the latest taken in first."""
        query = standings().order_by(_c.taken_in_at.desc(), _c.record_offset.desc()).limit(most)
        if state is not None:
            query = query.where(_c.state == state.value)
        if tenant_id is not None:
            query = query.where(_c.tenant_id == tenant_id)
        reading = self.engine.execution_options(push_reading=True)
        with ledger_errors(), reading.connect() as connection:
            return [standing_from_row(row) for row in connection.execute(query)]

    def retry(
        self,
        state: State,
        tenant_id: TenantId | None,
        mail_id: MailId | None,
        most: int,
    ) -> int:
        """Let mails of a state of `AGAIN` be due at once, up to `most`; return how many."""
        wanted = [_c.state == state.value, _c.value.is_not(None)]
        if tenant_id is not None:
            wanted.append(_c.tenant_id == tenant_id)
        if mail_id is not None:
            wanted.append(_c.mail_id == mail_id)
        found = select(_c.tenant_id, _c.mail_id).where(*wanted).limit(most).subquery("found")
        same = and_(_c.tenant_id == found.c.tenant_id, _c.mail_id == found.c.mail_id)
        due = (
            update(deliveries)
            .where(exists(select(found.c.mail_id).where(same)), _c.state == state.value)
            .values(state=State.WAITING.value, next_attempt_at=from_now(self.engine))
        )
        with ledger_errors(), self.engine.begin() as connection:
            return connection.execute(due).rowcount
