"""Bounces in a ledger on SQLite or PostgreSQL: `SqlBounces`."""

from dataclasses import dataclass

from sqlalchemy import Engine, and_, select, true, update

from mailer.ports import TERMS, MailKey, Standing, Terms
from mailer.replies import Reply
from mailer.results import Fate, State
from mailer.rows import standing_from_row
from mailer.sql_statements import standings
from mailer.sql_suppressions import suppress
from mailer.suppressing import Reason
from mailer.tables import deliveries, from_now, ledger_errors

_c = deliveries.c


@dataclass(frozen=True, slots=True)
class SqlBounces:
    """`Bounces` of a `SqlLedger`."""

    engine: Engine
    terms: Terms = TERMS

    def bearing(self, token: str) -> Standing | None:
        """Return the mail with this token."""
        reading = self.engine.execution_options(push_reading=True)
        with ledger_errors(), reading.connect() as connection:
            row = connection.execute(standings().where(_c.envelope_token == token)).first()
        return None if row is None else standing_from_row(row)

    def note_bounce(self, key: MailKey, reply: Reply) -> State:
        """Note the bounce and suppress the address, in one transaction."""
        this = and_(_c.tenant_id == key.tenant_id, _c.mail_id == key.mail_id)
        found = select(_c.tenant_id, _c.mail_id, _c.address_hash, _c.state).where(this)
        ended = (
            update(deliveries)
            .where(this, _c.state == State.SENT.value)
            .values(
                state=State.FAILED.value,
                fate=Fate.BOUNCED.value,
                reply_code=reply.code,
                reply_detail=reply.detail,
                reply_text=reply.text,
                finished_at=from_now(self.engine),
                owes_report=true(),
            )
        )
        with ledger_errors(), self.engine.begin() as connection:
            row = connection.execute(found.with_for_update()).first()
            if row is None:  # its row has just grown too old
                return State.FAILED
            state = State(row.state)
            if state not in (State.FAILED, State.SUPPRESSED):
                connection.execute(ended)
                if row.address_hash:
                    lasts = self.terms.dead_address
                    suppress(connection, self.engine, row, Reason.BOUNCED, lasts)
        return state
