"""The statements of `SqlLedger`, built once each: only their parameters change from call to call.

Building one costs SQLAlchemy several times what running it does, and there are thousands a second.
"""

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Engine,
    Executable,
    Float,
    Integer,
    LargeBinary,
    Select,
    String,
    and_,
    bindparam,
    case,
    exists,
    false,
    func,
    literal,
    null,
    or_,
    select,
    true,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningUpdate

from mailer.bulk import Columns, table_of
from mailer.ports import Claim, Terms
from mailer.results import Fate, InDoubt, State
from mailer.sql_suppressions import is_suppressed
from mailer.tables import after_seconds, deliveries, from_now

_c = deliveries.c
KEY: Columns = {"tenant_id": String(), "mail_id": String()}
CLAIM: Columns = {**KEY, "owner": String(), "number": Integer()}
RESULT: Columns = {
    **CLAIM,
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
ARRIVAL: Columns = {
    **KEY,
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
#: What a claim is made of, and what it is sorted by.
_OF_A_CLAIM = (
    _c.tenant_id,
    _c.mail_id,
    _c.event_id,
    _c.rule_id,
    _c.owner,
    _c.claim_number,
    _c.attempts,
    _c.in_doubt_count,
    _c.was_answered,
    _c.taken_in_at,
    _c.expires_at,
    _c.value,
    _c.next_attempt_at,
    _c.record_offset,
)
STARTED = "started"  #: how the rows of starts are called beside those of results
_NEVER = null().cast(_c.data_started_at.type).label("data_started_at")
#: How long another slot's report is left to it: it may be about to give it.
_NOT_OURS = timedelta(minutes=2)


@dataclass(frozen=True)
class Statements:
    """The statements for one database and these terms."""

    engine: Engine
    terms: Terms

    @cached_property
    def take_in(self) -> Executable:
        """Add mails that are not there yet: rows of `ARRIVAL`, in SQLite one by one."""
        if self.engine.dialect.name == "sqlite":  # bytes do not go through JSON
            row = {name: bindparam(name, type_=kind) for name, kind in ARRIVAL.items()}
            fresh = self._fresh(row["in_doubt_count"])
            one = sqlite.insert(deliveries).values({**row, **fresh}).on_conflict_do_nothing()
            return one.execution_options(preserve_rowcount=True)
        given = table_of(self.engine, ARRIVAL)
        fresh = self._fresh(given.c.in_doubt_count)
        rows = select(*given.c, *(value.label(name) for name, value in fresh.items()))
        many = postgresql.insert(deliveries).from_select([*ARRIVAL, *fresh], rows)
        return many.on_conflict_do_nothing().execution_options(preserve_rowcount=True)

    def _fresh(self, in_doubt_count: ColumnElement[int]) -> dict[str, ColumnElement[Any]]:
        """Return what every mail starts with, and what one in doubt starts with."""
        doubtful, in_doubt = in_doubt_count > 0, Fate.IN_DOUBT
        return {
            "state": case((doubtful, self.state_after(in_doubt).value), else_=State.WAITING.value),
            "fate": case((doubtful, in_doubt.value), else_=None),
            "was_answered": case((doubtful, true()), else_=false()),
            "attempts": literal(0),
            "claim_number": literal(0),
            "taken_in_at": self._from_now(),
            "next_attempt_at": self._from_now(),
        }

    @cached_property
    def claim(self) -> Executable:
        """Claim up to `most` due mails for `new_owner`, those first that have been due longest."""
        due = (
            select(_c.tenant_id, _c.mail_id)
            .where(_c.state == State.WAITING.value, _c.next_attempt_at <= self._from_now())
            .order_by(_c.next_attempt_at, _c.record_offset)
            .limit(bindparam("most", type_=Integer()))
            .with_for_update(skip_locked=True)  # SQLite has one writer at a time and needs none
            .cte("due")
        )
        return (
            update(deliveries)
            .where(_c.tenant_id == due.c.tenant_id, _c.mail_id == due.c.mail_id)
            .values(
                state=State.CLAIMED.value,
                owner=bindparam("new_owner", type_=String()),
                claim_number=_c.claim_number + 1,
                lease_until=self._from_now(self.terms.lease),
            )
            .returning(*_OF_A_CLAIM, self._from_now().label("claimed_at"))
        )

    @cached_property
    def suppressed(self) -> Executable:
        """Find which of the given mails (`KEY`) go to nobody; RETURNING knows one table only."""
        given = table_of(self.engine, KEY)
        return select(_c.tenant_id, _c.mail_id).where(
            _c.tenant_id == given.c.tenant_id,
            _c.mail_id == given.c.mail_id,
            is_suppressed(self.engine),
        )

    @cached_property
    def note(self) -> ReturningUpdate[Any]:
        """Note results, rows of `RESULT`, and return those whose claims held until now."""
        given = table_of(self.engine, RESULT)
        ends = and_(given.c.is_final, ~given.c.on_trial)
        says, old = given.c.says_something, None
        return (
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
            .returning(false().label("is_start"), _c.tenant_id, _c.mail_id, _NEVER)
        )

    @cached_property
    def noted_before(self) -> Executable:
        """Find which results (`RESULT`) were noted by an earlier call."""
        given = table_of(self.engine, RESULT)
        return select(_c.tenant_id, _c.mail_id).where(
            _same_claim(given), _c.state != State.CLAIMED.value
        )

    @cached_property
    def start(self) -> ReturningUpdate[Any]:
        """Note starts, rows of `CLAIM` called `STARTED`.

        There is no `data_started_at` where the recipient is suppressed.
        """
        given = table_of(self.engine, CLAIM, STARTED)
        return (
            update(deliveries)
            .where(_same_claim(given), _c.state == State.CLAIMED.value)
            .values(
                data_started_at=case((is_suppressed(self.engine), None), else_=self._from_now()),
                lease_until=self._from_now(self.terms.lease),
            )
            .returning(true().label("is_start"), _c.tenant_id, _c.mail_id, _c.data_started_at)
        )

    @cached_property
    def note_and_start(self) -> Executable:
        """Do both at once; a start's row says that it is one.

        A statement is a transaction by itself: one round trip and not four. PostgreSQL alone has
        such statements. No mail is in both, since it is claimed anew before it starts again.
        """
        return union_all(select(self.note.cte("noted")), select(self.start.cte("started")))

    @cached_property
    def fall_back(self) -> Executable:
        """Make claims wait again whose lease has ended."""
        return self._falling(_c.lease_until <= self._from_now())

    @cached_property
    def take_over(self) -> Executable:
        """Make claims wait again that `former_owner` has, but for the given ones (`CLAIM`)."""
        theirs = _c.owner == bindparam("former_owner", type_=String())
        return self._falling(and_(theirs, self._none_of_the_given()))

    def _falling(self, which: ColumnElement[bool]) -> Executable:
        """Without an owner nobody notes them."""
        started = _c.data_started_at.is_not(None)
        in_doubt = self.state_after(Fate.IN_DOUBT).value
        return (
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

    @cached_property
    def end_trials(self) -> Executable:
        """End the trials that are over."""
        return self._ending(self._trial_is_over())

    @cached_property
    def end_trials_of(self) -> Executable:
        """End the trials of `refused`, their owner, but for the given claims (`CLAIM`)."""
        theirs = _c.owner == bindparam("refused", type_=String())
        return self._ending(and_(theirs, self._none_of_the_given()))

    def _ending(self, which: ColumnElement[bool]) -> Executable:
        return (
            update(deliveries)
            .where(_c.state == State.FAILED.value, _c.trial_until.is_not(None), which)
            .values(trial_until=None, value=None)
            .returning(_c.tenant_id, _c.mail_id, _c.address_hash, _c.fate)
        )

    def _trial_is_over(self) -> ColumnElement[bool]:
        now, other = self._from_now(), deliveries.alias("other")
        still_refused = select(other.c.owner).where(
            other.c.state == State.FAILED.value, other.c.trial_until > now
        )
        too_long = _c.finished_at <= self._from_now(-self.terms.longest_trial)
        return and_(_c.trial_until <= now, or_(_c.owner.not_in(still_refused), too_long))

    @cached_property
    def hold_trials(self) -> Executable:
        """Hold the mails of `refused`, their owner, whose refusals are on trial."""
        theirs = _c.owner == bindparam("refused", type_=String())
        return (
            update(deliveries)
            .where(_c.state == State.FAILED.value, _c.trial_until.is_not(None), theirs)
            .values(
                state=State.HELD.value,
                trial_until=None,
                finished_at=None,
                data_started_at=None,
                owes_report=False,
            )
        )

    @cached_property
    def counts(self) -> Executable:
        """Count the mails in each state that is not final."""
        unfinished = [state.value for state in State if not state.is_final]
        return select(_c.state, func.count()).where(_c.state.in_(unfinished)).group_by(_c.state)

    @cached_property
    def owed_reports(self) -> Select[Any]:
        """Find up to `most` mails whose reports `reporter` is to give, the oldest first."""
        mine = _c.owner == bindparam("reporter", type_=String())
        forsaken = _c.finished_at <= self._from_now(-_NOT_OURS)
        return (
            standings()
            .where(_c.owes_report, _c.trial_until.is_(None), or_(mine, forsaken))
            .order_by(_c.finished_at)
            .limit(bindparam("most", type_=Integer()))
        )

    @cached_property
    def reported(self) -> Executable:
        """Note that the reports of the given mails (`KEY`) were given."""
        given = table_of(self.engine, KEY)
        same = and_(_c.tenant_id == given.c.tenant_id, _c.mail_id == given.c.mail_id)
        return update(deliveries).where(same).values(owes_report=False)

    def state_after(self, fate: Fate) -> State:
        """Return where a mail stands after an attempt, by the terms."""
        if fate is Fate.IN_DOUBT and self.terms.in_doubt is InDoubt.HOLD:
            return State.HELD
        return fate.state

    def _none_of_the_given(self) -> ColumnElement[bool]:
        given = table_of(self.engine, CLAIM)
        return ~exists(select(given.c.number).where(_same_claim(given)))

    def _from_now(self, pause: timedelta = timedelta(0)) -> ColumnElement[Any]:
        return from_now(self.engine, pause)


def standings() -> Select[Any]:
    """Return the query of everything but the bytes."""
    columns = (column for column in _c if column is not _c.value)
    return select(*columns, _c.value.is_not(None).label("has_value"))


def claim_row(claim: Claim) -> tuple[Any, ...]:
    """Return a claim in the order of `CLAIM`."""
    return (claim.tenant_id, claim.mail_id, claim.owner, claim.number)


def _same_claim(given: Any) -> ColumnElement[bool]:
    return and_(
        _c.tenant_id == given.c.tenant_id,
        _c.mail_id == given.c.mail_id,
        _c.owner == given.c.owner,
        _c.claim_number == given.c.number,
    )
