"""A ledger in memory, for tests and trying out: the same promises, kept in a dict."""

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from mailer.ports import TERMS, Arrival, Claim, MailKey, Standing, Start, Terms, Written
from mailer.replies import Reply
from mailer.results import Fate, InDoubt, Result, State
from mailer.suppressing import Reason, Suppression
from schemas.vocabulary import MailId, RuleId, TenantId

_NOT_OURS = timedelta(minutes=2)
_SuppressionKey = tuple[TenantId, str, RuleId | None]


@dataclass(slots=True)
class MemoryLedger:
    """All that a ledger promises, as long as its process lasts.

    A `Ledger`, and its `Upkeep`, `Bounces`, `Replays`, `Reports` and `Suppressions`. `now` gives
    aware UTC.
    """

    now: Callable[[], datetime]
    terms: Terms = TERMS
    _standings: dict[MailKey, Standing] = field(default_factory=dict, init=False)
    _values: dict[MailKey, bytes] = field(default_factory=dict, init=False, repr=False)
    _tokens: dict[str, MailKey] = field(default_factory=dict, init=False, repr=False)
    _replayed: dict[MailKey, datetime] = field(default_factory=dict, init=False)
    _list: dict[_SuppressionKey, Suppression] = field(default_factory=dict, init=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False, repr=False)

    def take_in(self, arrivals: Sequence[Arrival]) -> int:
        """Add the mails that are not there yet."""
        with self._lock:
            now, known = self.now(), len(self._standings)
            for arrival in arrivals:
                if arrival.key not in self._standings:
                    self._standings[arrival.key] = self._fresh(arrival, now)
                    self._values[arrival.key] = arrival.value
                    self._tokens[arrival.names.envelope_token or ""] = arrival.key
            return len(self._standings) - known

    def _fresh(self, arrival: Arrival, now: datetime) -> Standing:
        mail = _fresh(arrival, now)
        return mail if arrival.in_doubt_count == 0 else self._doubted(mail)

    def _doubted(self, mail: Standing) -> Standing:
        """Return a mail that a ledger that is lost may have sent."""
        doubted = replace(mail, was_answered=True)
        if mail.state is not State.WAITING:
            return doubted
        return replace(doubted, fate=Fate.IN_DOUBT, state=self._state_after(Fate.IN_DOUBT))

    def claim(self, owner: str, most: int) -> Sequence[Claim]:
        """Claim the mails that have been due longest."""
        with self._lock:
            now = self.now()
            self._fall_back(now, lambda mail: mail.lease_until is None or mail.lease_until <= now)
            due = [m for m in self._in(State.WAITING) if m.next_attempt_at <= now]
            due.sort(key=lambda mail: (mail.next_attempt_at, mail.offset))
            return [self._claimed(mail, owner, now) for mail in due[:most]]

    def _claimed(self, mail: Standing, owner: str, now: datetime) -> Claim:
        number = mail.claim_number + 1
        self._keep(
            replace(
                mail,
                state=State.CLAIMED,
                owner=owner,
                claim_number=number,
                lease_until=now + self.terms.lease,
            )
        )
        return Claim(
            tenant_id=mail.tenant_id,
            mail_id=mail.mail_id,
            event_id=mail.event_id,
            rule_id=mail.rule_id,
            owner=owner,
            number=number,
            attempts=mail.attempts,
            in_doubt_count=mail.in_doubt_count,
            was_answered=mail.was_answered,
            is_suppressed=self._is_suppressed(mail, now),
            claimed_at=now,
            taken_in_at=mail.taken_in_at,
            expires_at=mail.expires_at,
            value=self._values[mail.key],
        )

    def write(
        self, results: Sequence[tuple[Claim, Result]], starts: Sequence[Claim] = ()
    ) -> Written:
        """Note results, then starts."""
        with self._lock:
            noted = [self._note(claim, result) for claim, result in results]
            return Written(noted, [self._start(claim) for claim in starts])

    def _start(self, claim: Claim) -> Start:
        mail = self._ours(claim)
        if mail is None or mail.state is not State.CLAIMED:
            return Start.LOST
        now = self.now()
        suppressed = self._is_suppressed(mail, now)
        started_at = None if suppressed else now
        self._keep(replace(mail, data_started_at=started_at, lease_until=now + self.terms.lease))
        return Start.SUPPRESSED if suppressed else Start.GO

    def _note(self, claim: Claim, result: Result) -> bool:
        mail = self._ours(claim)
        if mail is not None and mail.state is State.CLAIMED:
            self._keep(self._noted(mail, result))
        return mail is not None

    def _noted(self, mail: Standing, result: Result) -> Standing:
        fate, now = result.fate, self.now()
        noted = replace(
            mail,
            state=self._state_after(fate),
            lease_until=None,
            attempts=mail.attempts + fate.is_attempt,
            in_doubt_count=mail.in_doubt_count + result.adds_doubt,
            was_answered=mail.was_answered or result.was_answered,
            fate=fate,
            owes_report=fate.owes_report,
            data_started_at=mail.data_started_at if fate.state.is_final else None,
        )
        if result.reply is not None or result.why:
            noted = replace(
                noted,
                reply_code=result.code,
                reply_detail=result.detail,
                reply_text=result.text,
            )
        if fate.is_refusal:
            return replace(noted, finished_at=now, trial_until=now + self.terms.trial)
        if fate.state.is_final:
            return self._without_value(replace(noted, finished_at=now))
        if result.pause is not None:
            return replace(noted, next_attempt_at=now + result.pause)
        return noted

    def _without_value(self, mail: Standing) -> Standing:
        self._values.pop(mail.key, None)
        return replace(mail, has_value=False, trial_until=None)

    def _state_after(self, fate: Fate) -> State:
        if fate is Fate.IN_DOUBT and self.terms.in_doubt is InDoubt.HOLD:
            return State.HELD
        return fate.state

    def take_over(self, owner: str, known: Collection[Claim] = ()) -> int:
        """End every claim of an owner but the known ones."""
        numbers = {claim.key: claim.number for claim in known if claim.owner == owner}
        with self._lock:
            return self._fall_back(
                self.now(),
                lambda mail: mail.owner == owner and numbers.get(mail.key) != mail.claim_number,
            )

    def _fall_back(self, now: datetime, which: Callable[[Standing], bool]) -> int:
        """Make claims wait again; without an owner nobody notes them."""
        fallen = [mail for mail in self._in(State.CLAIMED) if which(mail)]
        for mail in fallen:
            started = mail.data_started_at is not None
            self._keep(
                replace(
                    mail,
                    state=self._state_after(Fate.IN_DOUBT) if started else State.WAITING,
                    owner=None,
                    lease_until=None,
                    next_attempt_at=now,
                    attempts=mail.attempts + started,
                    in_doubt_count=mail.in_doubt_count + started,
                    was_answered=mail.was_answered or started,
                    fate=Fate.IN_DOUBT if started else mail.fate,
                    data_started_at=None,
                )
            )
        return len(fallen)

    def end_trials(self, owner: str | None, but: Collection[Claim] = ()) -> int:
        """End trials, and suppress the addresses that are dead."""
        kept = {claim.key: claim.number for claim in but}
        with self._lock:
            now = self.now()
            over = [m for m in self._on_trial() if m.owner == owner] if owner else self._over(now)
            ended = [mail for mail in over if kept.get(mail.key) != mail.claim_number]
            for mail in ended:
                self._keep(self._without_value(mail))
                if mail.fate is Fate.DEAD_ADDRESS and mail.address_hash:
                    self._suppress(mail, Reason.DEAD_ADDRESS)
            return len(ended)

    def _over(self, now: datetime) -> list[Standing]:
        on_trial = self._on_trial()
        still_refused = {mail.owner for mail in on_trial if (mail.trial_until or now) > now}
        too_long = now - self.terms.longest_trial
        return [
            mail
            for mail in on_trial
            if (mail.trial_until or now) <= now
            and (mail.owner not in still_refused or (mail.finished_at or now) <= too_long)
        ]

    def hold_trials(self, owner: str) -> int:
        """Hold the mails whose refusals are on trial."""
        with self._lock:
            held = [mail for mail in self._on_trial() if mail.owner == owner]
            for mail in held:
                self._keep(
                    replace(
                        mail,
                        state=State.HELD,
                        trial_until=None,
                        finished_at=None,
                        data_started_at=None,
                        owes_report=False,
                    )
                )
            return len(held)

    def counts(self) -> Mapping[State, int]:
        """Return how many mails stand in each state that is not final."""
        with self._lock:
            return {s: len(self._in(s)) for s in State if not s.is_final}

    def standing(self, tenant_id: TenantId, mail_id: MailId) -> Standing | None:
        """Return where a mail stands."""
        with self._lock:
            return self._standings.get(MailKey(tenant_id, mail_id))

    # Bounces

    def bearing(self, token: str) -> Standing | None:
        """Return the mail with this token."""
        with self._lock:
            key = self._tokens.get(token)
            return None if key is None else self._standings.get(key)

    def note_bounce(self, key: MailKey, reply: Reply) -> State:
        """Note the bounce and suppress the address."""
        with self._lock:
            mail = self._standings[key]
            if mail.state is State.SENT:
                self._keep(_bounced(mail, reply, self.now()))
            if mail.state not in (State.FAILED, State.SUPPRESSED) and mail.address_hash:
                self._suppress(mail, Reason.BOUNCED)
            return mail.state

    # Replays

    def taken_until(self, topic: str, at: datetime) -> Mapping[int, int]:
        """Return where intake was at that instant."""
        until = dict[int, int]()
        with self._lock:
            for mail in self._standings.values():
                if mail.topic == topic and mail.taken_in_at <= at:
                    until[mail.partition] = max(until.get(mail.partition, 0), mail.offset + 1)
        return until

    def known(self, keys: Sequence[MailKey]) -> Collection[MailKey]:
        """Return which of these mails are there."""
        with self._lock:
            return {key for key in keys if key in self._standings}

    def open_at(self, backup: datetime) -> int:
        """Return how many mails had not come to their end."""
        with self._lock:
            return len(self._open_at(backup))

    def doubt_open_at(self, backup: datetime) -> int:
        """Count each of these as in doubt once."""
        with self._lock:
            found = self._open_at(backup)
            for mail in found:
                more = replace(mail, in_doubt_count=mail.in_doubt_count + 1)
                self._keep(self._doubted(more))
                self._replayed[mail.key] = backup
            return len(found)

    def _open_at(self, backup: datetime) -> list[Standing]:
        return [
            mail
            for mail in self._standings.values()
            if mail.taken_in_at <= backup
            and (mail.finished_at is None or mail.finished_at > backup or mail.trial_until)
            and self._replayed.get(mail.key, datetime.min.replace(tzinfo=UTC)) < backup
        ]

    # Reports

    def owed_reports(self, owner: str, most: int) -> Sequence[Standing]:
        """Return mails whose reports are due, the oldest first."""
        with self._lock:
            old = self.now() - _NOT_OURS
            due = [
                (mail.finished_at, mail)
                for mail in self._standings.values()
                if mail.owes_report and mail.trial_until is None and mail.finished_at is not None
            ]
            mine = [(at, mail) for at, mail in due if mail.owner == owner or at <= old]
            return [mail for _, mail in sorted(mine, key=lambda one: one[0])[:most]]

    def reported(self, keys: Sequence[MailKey]) -> None:
        """Note that reports were given."""
        with self._lock:
            for key in set(keys) & set(self._standings):
                self._keep(replace(self._standings[key], owes_report=False))

    # Upkeep

    def forget_addresses(self, after: timedelta, most: int) -> int:
        """Delete the addresses of mails that ended so long ago."""
        with self._lock:
            old = [mail for mail in self._ended(after) if mail.recipient is not None][:most]
            for mail in old:
                self._keep(replace(mail, recipient=None))
            return len(old)

    def forget_mails(self, after: timedelta, most: int) -> int:
        """Delete the mails that ended so long ago and owe no report."""
        with self._lock:
            old = [mail for mail in self._ended(after) if not mail.owes_report][:most]
            for mail in old:
                del self._standings[mail.key]
            return len(old)

    def forget_suppressions(self, most: int) -> int:
        """Delete suppressions that are over."""
        with self._lock:
            now = self.now()
            over = [key for key, one in self._list.items() if not _holds(one, now)][:most]
            for key in over:
                del self._list[key]
            return len(over)

    # Suppressions

    def add(self, suppressions: Sequence[Suppression]) -> int:
        """Put them on the list."""
        with self._lock:
            now = self.now()
            return sum(self._add(replace(one, since=now), now) for one in suppressions)

    def _add(self, one: Suppression, now: datetime) -> bool:
        key = (one.tenant_id, one.address_hash, one.rule_id)
        known = self._list.get(key)
        if known is None:
            self._list[key] = one
            return True
        longer = (
            None if None in (known.until, one.until) else max(known.until or now, one.until or now)
        )
        self._list[key] = replace(known, until=longer)
        return not _holds(known, now)

    def remove(self, tenant_id: TenantId, address_hash: str, rule_id: RuleId | None) -> bool:
        """Take one off the list."""
        with self._lock:
            return self._list.pop((tenant_id, address_hash, rule_id), None) is not None

    def of_tenant(self, tenant_id: TenantId) -> Sequence[Suppression]:
        """Return a tenant's suppressions that hold, the newest first."""
        with self._lock:
            now = self.now()
            theirs = [s for s in self._list.values() if s.tenant_id == tenant_id and _holds(s, now)]
            return sorted(theirs, key=lambda one: one.since or now, reverse=True)

    def _suppress(self, mail: Standing, reason: Reason) -> None:
        until = self.now() + self.terms.dead_address
        self.add([_suppression(mail, reason, until)])

    def _is_suppressed(self, mail: Standing, now: datetime) -> bool:
        name = mail.address_hash or ""
        found = (self._list.get((mail.tenant_id, name, rule)) for rule in (None, mail.rule_id))
        return any(one is not None and _holds(one, now) for one in found)

    def _ended(self, after: timedelta) -> Iterator[Standing]:
        before = self.now() - after
        for mail in list(self._standings.values()):
            if mail.state.is_final and mail.finished_at is not None and mail.finished_at <= before:
                yield mail

    def _on_trial(self) -> list[Standing]:
        return [mail for mail in self._in(State.FAILED) if mail.trial_until is not None]

    def _in(self, state: State) -> list[Standing]:
        return [mail for mail in self._standings.values() if mail.state is state]

    def _keep(self, mail: Standing) -> None:
        self._standings[mail.key] = mail

    def _ours(self, claim: Claim) -> Standing | None:
        mail = self._standings.get(claim.key)
        ours = mail and (mail.owner, mail.claim_number) == (claim.owner, claim.number)
        return mail if ours else None


def _holds(one: Suppression, now: datetime) -> bool:
    return one.until is None or one.until > now


def _bounced(mail: Standing, reply: Reply, now: datetime) -> Standing:
    return replace(
        mail,
        state=State.FAILED,
        fate=Fate.BOUNCED,
        reply_code=reply.code,
        reply_detail=reply.detail,
        reply_text=reply.text,
        finished_at=now,
        owes_report=True,
    )


def _suppression(mail: Standing, reason: Reason, until: datetime) -> Suppression:
    return Suppression(
        tenant_id=mail.tenant_id,
        address_hash=mail.address_hash or "",
        reason=reason,
        until=until,
        mail_id=mail.mail_id,
    )


def _fresh(arrival: Arrival, now: datetime) -> Standing:
    return Standing(
        tenant_id=arrival.tenant_id,
        mail_id=arrival.mail_id,
        event_id=arrival.event_id,
        rule_id=arrival.rule_id,
        state=State.WAITING,
        attempts=0,
        in_doubt_count=arrival.in_doubt_count,
        owner=None,
        claim_number=0,
        lease_until=None,
        next_attempt_at=now,
        expires_at=arrival.expires_at,
        data_started_at=None,
        taken_in_at=now,
        finished_at=None,
        fate=None,
        reply_code=None,
        reply_detail=None,
        reply_text=None,
        was_answered=False,
        trial_until=None,
        owes_report=False,
        recipient=arrival.recipient,
        address_hash=arrival.names.address_hash,
        topic=arrival.topic,
        partition=arrival.partition,
        offset=arrival.offset,
        has_value=True,
    )
