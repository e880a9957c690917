"""The ledger in SQLite or PostgreSQL: `SqlLedger`.

Time is the database's: processes on several machines then agree on when a lease ends. Every
change is one short transaction; none stays open while a mail is handed over.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    Engine,
    Float,
    Integer,
    LargeBinary,
    String,
    and_,
    case,
    exists,
    func,
    literal,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from mailer.bulk import Columns, table_of
from mailer.ports import TERMS, Arrival, Claim, MailKey, Standing, Start, Terms, Written
from mailer.results import Fate, InDoubt, Result, State
from mailer.rows import arrival_values, claim_from_row, standing_from_row
from mailer.sql_suppressions import is_suppressed, suppress_dead
from mailer.tables import after_seconds, deliveries, from_now, ledger_errors
from schemas.vocabulary import MailId, TenantId

_c = deliveries.c
_KEY: Columns = {"tenant_id": String(), "mail_id": String()}
_CLAIM: Columns = {**_KEY, "owner": String(), "number": Integer()}
_RESULT: Columns = {
    **_CLAIM,
    "state": String(),
    "is_final": Boolean(),
    "on_trial": Boolean(),
    "owes_report": Boolean(),
    "attempts": Integer(),
    "doubts": Integer(),
    "was_answered": Boolean(),
    "fate": String(),
    "says_something": Boolean(),
    "code": Integer(),
    "detail": String(),
    "text": String(),
    "pause": Float(),
}
_ARRIVAL: Columns = {
    **_KEY,
    "event_id": String(),
    "rule_id": String(),
    "in_doubt_count": Integer(),
    "expires_at": _c.expires_at.type,
    "recipient": String(),
    "address_hash": String(),
    "envelope_token": String(),
    "record_topic": String(),
    "record_partition": Integer(),
    "record_offset": _c.record_offset.type,
    "value": LargeBinary(),
}
#: How long another slot's report is left to it: it may be about to give it.
_NOT_OURS = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class SqlLedger:
    """A `Ledger` and `Reports` in SQLite (one process) or PostgreSQL (any number)."""

    engine: Engine
    terms: Terms = TERMS

    def take_in(self, arrivals: Sequence[Arrival]) -> int:
        """Add the mails that are not there yet, in one transaction."""
        if not arrivals:
            return 0
        with self._changing() as connection:
            if self.engine.dialect.name == "sqlite":
                return self._take_in_one_by_one(connection, arrivals)
            return self._take_in_at_once(connection, arrivals)

    def _take_in_one_by_one(self, connection: Connection, arrivals: Sequence[Arrival]) -> int:
        """Add rows by SQLite's own loop: bytes do not go through JSON."""
        rows = [dict(zip(_ARRIVAL, row, strict=True)) for row in arrival_values(arrivals)]
        insert = sqlite.insert(deliveries).on_conflict_do_nothing().values(self._fresh())
        counted = insert.execution_options(preserve_rowcount=True)
        return connection.execute(counted, rows).rowcount

    def _take_in_at_once(self, connection: Connection, arrivals: Sequence[Arrival]) -> int:
        given = table_of(self.engine, _ARRIVAL, arrival_values(arrivals))
        fresh = self._fresh()
        insert = postgresql.insert(deliveries).from_select(
            [*_ARRIVAL, *fresh],
            select(*given.c, *(value.label(name) for name, value in fresh.items())),
        )
        counted = insert.on_conflict_do_nothing().execution_options(preserve_rowcount=True)
        return connection.execute(counted).rowcount

    def _fresh(self) -> dict[str, ColumnElement[Any]]:
        """Return what every mail starts with."""
        return {
            "state": literal(State.WAITING.value),
            "attempts": literal(0),
            "claim_number": literal(0),
            "taken_in_at": self._from_now(),
            "next_attempt_at": self._from_now(),
        }

    def claim(self, owner: str, most: int) -> Sequence[Claim]:
        """Claim the mails that have been due longest, in one statement."""
        now = self._from_now()
        due = (
            select(_c.tenant_id, _c.mail_id)
            .where(_c.state == State.WAITING.value, _c.next_attempt_at <= now)
            .order_by(_c.next_attempt_at, _c.record_offset)
            .limit(most)
            .with_for_update(skip_locked=True)  # SQLite has one writer at a time and needs none
            .cte("due")
        )
        claimed = (
            update(deliveries)
            .where(_c.tenant_id == due.c.tenant_id, _c.mail_id == due.c.mail_id)
            .values(
                state=State.CLAIMED.value,
                owner=owner,
                claim_number=_c.claim_number + 1,
                lease_until=self._from_now(self.terms.lease),
            )
            .returning(*_c, self._from_now().label("claimed_at"))
        )
        with self._changing() as connection:
            self._fall_back(connection, _c.lease_until <= now)
            rows = connection.execute(claimed).all()
            stopped = self._suppressed(connection, rows)
        rows = sorted(rows, key=lambda row: (row.next_attempt_at, row.record_offset))
        return [claim_from_row(row, (row.tenant_id, row.mail_id) in stopped) for row in rows]

    def _suppressed(self, connection: Connection, rows: Sequence[Any]) -> set[tuple[str, str]]:
        """Return which of these mails go to nobody; RETURNING cannot say, it knows one table."""
        if not rows:
            return set()
        given = table_of(self.engine, _KEY, [(row.tenant_id, row.mail_id) for row in rows])
        query = select(_c.tenant_id, _c.mail_id).where(
            _c.tenant_id == given.c.tenant_id,
            _c.mail_id == given.c.mail_id,
            is_suppressed(self.engine),
        )
        return {(row.tenant_id, row.mail_id) for row in connection.execute(query)}

    def write(
        self, results: Sequence[tuple[Claim, Result]], starts: Sequence[Claim] = ()
    ) -> Written:
        """Note results and starts in one transaction of a statement each."""
        with self._changing() as connection:
            noted = self._note(connection, results) if results else set[MailKey]()
            started = self._note_starts(connection, starts) if starts else {}
        return Written(
            [claim.key in noted for claim, _ in results],
            [started.get(claim.key, Start.LOST) for claim in starts],
        )

    def _note(
        self, connection: Connection, results: Sequence[tuple[Claim, Result]]
    ) -> set[MailKey]:
        rows = sorted(self._result_row(claim, result) for claim, result in results)
        given = table_of(self.engine, _RESULT, rows)
        ends = and_(given.c.is_final, ~given.c.on_trial)
        says, old = given.c.says_something, None
        changed = (
            update(deliveries)
            .where(_same_claim(given), _c.state == State.CLAIMED.value)
            .values(
                state=given.c.state,
                lease_until=None,
                attempts=_c.attempts + given.c.attempts,
                in_doubt_count=_c.in_doubt_count + given.c.doubts,
                was_answered=or_(_c.was_answered, given.c.was_answered),
                fate=given.c.fate,
                reply_code=case((says, given.c.code), else_=_c.reply_code),
                reply_detail=case((says, given.c.detail), else_=_c.reply_detail),
                reply_text=case((says, given.c.text), else_=_c.reply_text),
                next_attempt_at=case(
                    (given.c.pause.is_not(None), after_seconds(self.engine, given.c.pause)),
                    else_=_c.next_attempt_at,
                ),
                data_started_at=case((given.c.is_final, _c.data_started_at), else_=old),
                finished_at=case((given.c.is_final, self._from_now()), else_=old),
                trial_until=case((given.c.on_trial, self._from_now(self.terms.trial)), else_=old),
                owes_report=given.c.owes_report,
                value=case((ends, None), else_=_c.value),
            )
            .returning(_c.tenant_id, _c.mail_id)
        )
        noted = {MailKey(*row) for row in connection.execute(changed)}
        if len(noted) < len(rows):
            before = select(_c.tenant_id, _c.mail_id).where(
                _same_claim(given), _c.state != State.CLAIMED.value
            )
            noted |= {MailKey(*row) for row in connection.execute(before)}
        return noted

    def _result_row(self, claim: Claim, result: Result) -> tuple[Any, ...]:
        """Return a result in the order of `_RESULT`."""
        state = self._state_after(result.fate)
        return (
            *_claim_row(claim),
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

    def _state_after(self, fate: Fate) -> State:
        if fate is Fate.IN_DOUBT and self.terms.in_doubt is InDoubt.HOLD:
            return State.HELD
        return fate.state

    def _note_starts(
        self, connection: Connection, starts: Sequence[Claim]
    ) -> Mapping[MailKey, Start]:
        given = table_of(self.engine, _CLAIM, sorted(_claim_row(claim) for claim in starts))
        started = (
            update(deliveries)
            .where(_same_claim(given), _c.state == State.CLAIMED.value)
            .values(
                data_started_at=case((is_suppressed(self.engine), None), else_=self._from_now()),
                lease_until=self._from_now(self.terms.lease),
            )
            .returning(_c.tenant_id, _c.mail_id, _c.data_started_at)
        )
        return {
            MailKey(tenant_id, mail_id): Start.GO if started_at else Start.SUPPRESSED
            for tenant_id, mail_id, started_at in connection.execute(started)
        }

    def take_over(self, owner: str, known: Collection[Claim] = ()) -> int:
        """End every claim of an owner but the known ones."""
        with self._changing() as connection:
            return self._fall_back(connection, and_(_c.owner == owner, self._none_of(known)))

    def _none_of(self, claims: Collection[Claim]) -> ColumnElement[bool]:
        if not claims:
            return true()
        given = table_of(self.engine, _CLAIM, [_claim_row(claim) for claim in claims])
        return ~exists(select(given.c.number).where(_same_claim(given)))

    def _fall_back(self, connection: Connection, which: ColumnElement[bool]) -> int:
        """Make claims wait again; without an owner nobody notes them."""
        started = _c.data_started_at.is_not(None)
        in_doubt = self._state_after(Fate.IN_DOUBT).value
        fallen = (
            update(deliveries)
            .where(_c.state == State.CLAIMED.value, which)
            .values(
                state=case((started, in_doubt), else_=State.WAITING.value),
                owner=None,
                lease_until=None,
                next_attempt_at=self._from_now(),
                attempts=_c.attempts + case((started, 1), else_=0),
                in_doubt_count=_c.in_doubt_count + case((started, 1), else_=0),
                was_answered=case((started, true()), else_=_c.was_answered),
                fate=case((started, Fate.IN_DOUBT.value), else_=_c.fate),
                data_started_at=None,
            )
        )
        return connection.execute(fallen).rowcount

    def end_trials(self, owner: str | None, but: Collection[Claim] = ()) -> int:
        """End trials, and suppress the addresses that are dead."""
        over = self._trial_is_over() if owner is None else _c.owner == owner
        over = and_(over, self._none_of(but))
        ended = (
            update(deliveries)
            .where(_c.state == State.FAILED.value, _c.trial_until.is_not(None), over)
            .values(trial_until=None, value=None)
            .returning(_c.tenant_id, _c.mail_id, _c.address_hash, _c.fate)
        )
        with self._changing() as connection:
            rows = connection.execute(ended).all()
            dead = [row for row in rows if row.fate == Fate.DEAD_ADDRESS.value and row.address_hash]
            for row in dead:
                suppress_dead(connection, self.engine, row, self.terms.dead_address)
        return len(rows)

    def _trial_is_over(self) -> ColumnElement[bool]:
        now, other = self._from_now(), deliveries.alias("other")
        still_refused = select(other.c.owner).where(
            other.c.state == State.FAILED.value, other.c.trial_until > now
        )
        too_long = _c.finished_at <= self._from_now(-self.terms.longest_trial)
        return and_(_c.trial_until <= now, or_(_c.owner.not_in(still_refused), too_long))

    def hold_trials(self, owner: str) -> int:
        """Hold the mails whose refusals are on trial."""
        held = (
            update(deliveries)
            .where(_c.state == State.FAILED.value, _c.trial_until.is_not(None), _c.owner == owner)
            .values(
                state=State.HELD.value,
                trial_until=None,
                finished_at=None,
                data_started_at=None,
                owes_report=False,
            )
        )
        with self._changing() as connection:
            return connection.execute(held).rowcount

    def counts(self) -> Mapping[State, int]:
        """Return how many mails stand in each state that is not final."""
        unfinished = [state for state in State if not state.is_final]
        query = (
            select(_c.state, func.count())
            .where(_c.state.in_([state.value for state in unfinished]))
            .group_by(_c.state)
        )
        with self._reading() as connection:
            counted = {State(state): count for state, count in connection.execute(query)}
        return dict.fromkeys(unfinished, 0) | counted

    def standing(self, tenant_id: TenantId, mail_id: MailId) -> Standing | None:
        """Return where a mail stands."""
        query = standings().where(_c.tenant_id == tenant_id, _c.mail_id == mail_id)
        with self._reading() as connection:
            row = connection.execute(query).first()
        return None if row is None else standing_from_row(row)

    def owed_reports(self, owner: str, most: int) -> Sequence[Standing]:
        """Return mails whose reports are due, the oldest first."""
        mine = or_(_c.owner == owner, _c.finished_at <= self._from_now(-_NOT_OURS))
        query = (
            standings()
            .where(_c.owes_report, _c.trial_until.is_(None), mine)
            .order_by(_c.finished_at)
            .limit(most)
        )
        with self._reading() as connection:
            return [standing_from_row(row) for row in connection.execute(query)]

    def reported(self, keys: Sequence[MailKey]) -> None:
        """Note that reports were given."""
        if not keys:
            return
        given = table_of(self.engine, _KEY, sorted(tuple(key) for key in keys))
        same = and_(_c.tenant_id == given.c.tenant_id, _c.mail_id == given.c.mail_id)
        with self._changing() as connection:
            connection.execute(update(deliveries).where(same).values(owes_report=False))

    @contextmanager
    def _changing(self) -> Iterator[Connection]:
        with ledger_errors(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        reading = self.engine.execution_options(push_reading=True)
        with ledger_errors(), reading.connect() as connection:
            yield connection

    def _from_now(self, pause: timedelta = timedelta(0)) -> ColumnElement[Any]:
        return from_now(self.engine, pause)


def standings() -> Any:
    """Return the query of everything but the bytes."""
    columns = (column for column in _c if column is not _c.value)
    return select(*columns, _c.value.is_not(None).label("has_value"))


def _claim_row(claim: Claim) -> tuple[Any, ...]:
    return (claim.tenant_id, claim.mail_id, claim.owner, claim.number)


def _same_claim(given: Any) -> ColumnElement[bool]:
    return and_(
        _c.tenant_id == given.c.tenant_id,
        _c.mail_id == given.c.mail_id,
        _c.owner == given.c.owner,
        _c.claim_number == given.c.number,
    )
