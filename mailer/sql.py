"""The ledger in SQLite or PostgreSQL: `SqlLedger`.

Time is the database's: processes on several machines then agree on when a lease ends. Every
change is one short transaction; none stays open while a mail is handed over.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, Engine

from mailer.bulk import GIVEN, Columns, Parameters, rows_of
from mailer.ports import TERMS, Arrival, Claim, MailKey, Standing, Start, Terms, Written
from mailer.results import Fate, Result, State
from mailer.rows import arrival_values, claim_from_row, standing_from_row
from mailer.sql_statements import (
    ARRIVAL,
    CLAIM,
    KEY,
    RESULT,
    STARTED,
    Statements,
    claim_row,
    standings,
)
from mailer.sql_suppressions import suppress
from mailer.suppressing import Reason
from mailer.tables import deliveries, ledger_errors
from schemas.vocabulary import MailId, TenantId


@dataclass(frozen=True)
class SqlLedger:
    """A `Ledger` and `Reports` in SQLite (one process) or PostgreSQL (any number)."""

    engine: Engine
    terms: Terms = TERMS

    @cached_property
    def _statements(self) -> Statements:
        return Statements(self.engine, self.terms)

    def take_in(self, arrivals: Sequence[Arrival]) -> int:
        """Add the mails that are not there yet, in one transaction."""
        if not arrivals:
            return 0
        rows = arrival_values(arrivals)
        with self._changing() as connection:
            return connection.execute(self._statements.take_in, self._given(rows)).rowcount

    def _given(self, rows: Sequence[tuple[Any, ...]]) -> Parameters | list[Parameters]:
        """Return arrivals as parameters; SQLite has a loop of its own."""
        if self.engine.dialect.name == "sqlite":
            return [dict(zip(ARRIVAL, row, strict=True)) for row in rows]
        return self._rows(ARRIVAL, rows)

    def claim(self, owner: str, most: int) -> Sequence[Claim]:
        """Claim the mails that have been due longest, in one statement."""
        wanted = {"new_owner": owner, "most": most}
        with self._changing() as connection:
            connection.execute(self._statements.fall_back)
            rows = connection.execute(self._statements.claim, wanted).all()
            stopped = self._suppressed(connection, rows)
        rows = sorted(rows, key=lambda row: (row.next_attempt_at, row.record_offset))
        return [claim_from_row(row, (row.tenant_id, row.mail_id) in stopped) for row in rows]

    def _suppressed(self, connection: Connection, rows: Sequence[Any]) -> set[tuple[str, str]]:
        """Return which of these mails go to nobody."""
        if not rows:
            return set()
        given = self._rows(KEY, [(row.tenant_id, row.mail_id) for row in rows])
        found = connection.execute(self._statements.suppressed, given)
        return {(row.tenant_id, row.mail_id) for row in found}

    def write(
        self, results: Sequence[tuple[Claim, Result]], starts: Sequence[Claim] = ()
    ) -> Written:
        """Note results and starts in one transaction."""
        noting = self._rows(RESULT, sorted(self._result_row(*each) for each in results))
        starting = self._rows(CLAIM, sorted(map(claim_row, starts)), STARTED)
        rows = self._written(noting, starting)
        noted = {MailKey(*key) for is_start, *key, _ in rows if not is_start}
        if len(noted) < len(results):
            noted |= self._noted_before(noting)
        started = {
            MailKey(*key): Start.GO if started_at else Start.SUPPRESSED
            for is_start, *key, started_at in rows
            if is_start
        }
        return Written(
            [claim.key in noted for claim, _ in results],
            [started.get(claim.key, Start.LOST) for claim in starts],
        )

    def _written(self, noting: Parameters, starting: Parameters) -> Sequence[Any]:
        """Return (is it a start, tenant, mail, when it started) of what the ledger took."""
        if self.engine.dialect.name == "sqlite":
            with self._changing() as connection:
                noted = connection.execute(self._statements.note, noting).all()
                return [*noted, *connection.execute(self._statements.start, starting).all()]
        with ledger_errors(), self._committing.connect() as connection:
            return connection.execute(self._statements.note_and_start, noting | starting).all()

    @cached_property
    def _committing(self) -> Engine:
        """Return an engine whose every statement is a transaction, without any round trip more."""
        return self.engine.execution_options(isolation_level="AUTOCOMMIT")

    def _noted_before(self, noting: Parameters) -> set[MailKey]:
        with self._reading() as connection:
            rows = connection.execute(self._statements.noted_before, noting)
            return {MailKey(*row) for row in rows}

    def _result_row(self, claim: Claim, result: Result) -> tuple[Any, ...]:
        """Return a result in the order of `RESULT`."""
        state = self._statements.state_after(result.fate)
        return (
            *claim_row(claim),
            state.value,
            state.is_final,
            result.fate.is_refusal,
            result.fate.owes_report,
            int(result.fate.is_attempt),
            int(result.adds_doubt),
            result.was_answered,
            result.fate.value,
            result.reply is not None or bool(result.why),
            result.code,
            result.detail,
            result.text,
            None if result.pause is None else result.pause.total_seconds(),
        )

    def take_over(self, owner: str, known: Collection[Claim] = ()) -> int:
        """End every claim of an owner but the known ones."""
        given = {"former_owner": owner, **self._rows(CLAIM, [claim_row(one) for one in known])}
        with self._changing() as connection:
            return connection.execute(self._statements.take_over, given).rowcount

    def end_trials(self, owner: str | None, but: Collection[Claim] = ()) -> int:
        """End trials, and suppress the addresses that are dead."""
        ending, given = self._statements.end_trials, dict[str, Any]()
        if owner is not None:
            ending = self._statements.end_trials_of
            given = {"refused": owner, **self._rows(CLAIM, [claim_row(one) for one in but])}
        with self._changing() as connection:
            rows = connection.execute(ending, given).all()
            dead = [row for row in rows if row.fate == Fate.DEAD_ADDRESS.value and row.address_hash]
            for row in dead:
                lasts = self.terms.dead_address
                suppress(connection, self.engine, row, Reason.DEAD_ADDRESS, lasts)
        return len(rows)

    def hold_trials(self, owner: str) -> int:
        """Hold the mails whose refusals are on trial."""
        with self._changing() as connection:
            return connection.execute(self._statements.hold_trials, {"refused": owner}).rowcount

    def counts(self) -> Mapping[State, int]:
        """Return how many mails stand in each state that is not final."""
        with self._reading() as connection:
            rows = connection.execute(self._statements.counts)
            counted = {State(state): count for state, count in rows}
        return {state: counted.get(state, 0) for state in State if not state.is_final}

    def standing(self, tenant_id: TenantId, mail_id: MailId) -> Standing | None:
        """Return where a mail stands."""
        columns = deliveries.c
        query = standings().where(columns.tenant_id == tenant_id, columns.mail_id == mail_id)
        with self._reading() as connection:
            row = connection.execute(query).first()
        return None if row is None else standing_from_row(row)

    def owed_reports(self, owner: str, most: int) -> Sequence[Standing]:
        """Return mails whose reports are due, the oldest first."""
        given = {"reporter": owner, "most": most}
        with self._reading() as connection:
            rows = connection.execute(self._statements.owed_reports, given)
            return [standing_from_row(row) for row in rows]

    def reported(self, keys: Sequence[MailKey]) -> None:
        """Note that reports were given."""
        if not keys:
            return
        given = self._rows(KEY, sorted(tuple(key) for key in keys))
        with self._changing() as connection:
            connection.execute(self._statements.reported, given)

    def _rows(
        self, columns: Columns, rows: Sequence[tuple[Any, ...]], table: str = GIVEN
    ) -> Parameters:
        return rows_of(self.engine, columns, rows, table)

    @contextmanager
    def _changing(self) -> Iterator[Connection]:
        with ledger_errors(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        reading = self.engine.execution_options(push_reading=True)
        with ledger_errors(), reading.connect() as connection:
            yield connection
