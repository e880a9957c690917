"""A ledger and a relay in memory, for tests and trying out: the same promises, kept in a dict."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from mailer.ports import LEASE, Arrival, Claim, Standing
from mailer.replies import Phase, Reply
from mailer.results import Fate, Result, State
from schemas.addresses import EmailAddress
from schemas.vocabulary import MailId, TenantId

_Key = tuple[TenantId, MailId]


@dataclass(slots=True)
class MemoryLedger:
    """A `Ledger` that lasts as long as its process. `now` gives aware UTC."""

    now: Callable[[], datetime]
    lease: timedelta = LEASE
    _standings: dict[_Key, Standing] = field(default_factory=dict, init=False)
    _values: dict[_Key, bytes] = field(default_factory=dict, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def take_in(self, arrivals: Sequence[Arrival]) -> int:
        """Add the mails that are not there yet."""
        with self._lock:
            now, known = self.now(), len(self._standings)
            for arrival in arrivals:
                key = (arrival.tenant_id, arrival.mail_id)
                if key not in self._standings:
                    self._standings[key] = _fresh(arrival, now)
                    self._values[key] = arrival.value
            return len(self._standings) - known

    def claim(self, owner: str) -> Claim | None:
        """Claim the mail that has been due longest."""
        with self._lock:
            now = self.now()
            self._fall_back(now, lambda mail: mail.lease_until is None or mail.lease_until <= now)
            due = [m for m in self._in(State.WAITING) if m.next_attempt_at <= now]
            if not due:
                return None
            first = min(due, key=lambda mail: (mail.next_attempt_at, mail.offset))
            return self._claimed(first, owner, now)

    def _claimed(self, mail: Standing, owner: str, now: datetime) -> Claim:
        number = mail.claim_number + 1
        self._keep(
            replace(
                mail,
                state=State.CLAIMED,
                owner=owner,
                claim_number=number,
                lease_until=now + self.lease,
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
            value=self._values[mail.tenant_id, mail.mail_id],
        )

    def note_start(self, claim: Claim) -> bool:
        """Note that the content goes out, and renew the lease."""
        with self._ours(claim) as mail:
            if mail is None or mail.state is not State.CLAIMED:
                return False
            now = self.now()
            self._keep(replace(mail, data_started_at=now, lease_until=now + self.lease))
            return True

    def note(self, claim: Claim, result: Result) -> bool:
        """Note what came of a claim."""
        with self._ours(claim) as mail:
            if mail is not None and mail.state is State.CLAIMED:
                self._keep(self._noted(mail, result))
            return mail is not None

    def _noted(self, mail: Standing, result: Result) -> Standing:
        fate, now = result.fate, self.now()
        noted = replace(
            mail,
            state=fate.state,
            lease_until=None,
            attempts=mail.attempts + fate.is_attempt,
            in_doubt_count=mail.in_doubt_count + result.adds_doubt,
            fate=fate,
            reply_code=result.code,
            reply_text=result.text,
        )
        if fate.state.is_final:
            del self._values[mail.tenant_id, mail.mail_id]
            return replace(noted, finished_at=now, has_value=False)
        due_at = now + result.pause if fate.is_attempt else mail.next_attempt_at
        return replace(noted, next_attempt_at=due_at, data_started_at=None)

    def take_over(self, owner: str) -> int:
        """End every claim of a dead owner."""
        with self._lock:
            return self._fall_back(self.now(), lambda mail: mail.owner == owner)

    def _fall_back(self, now: datetime, which: Callable[[Standing], bool]) -> int:
        """Make claims wait again; without an owner nobody notes them."""
        fallen = [mail for mail in self._in(State.CLAIMED) if which(mail)]
        for mail in fallen:
            started = mail.data_started_at is not None
            self._keep(
                replace(
                    mail,
                    state=State.WAITING,
                    owner=None,
                    lease_until=None,
                    next_attempt_at=now,
                    attempts=mail.attempts + started,
                    in_doubt_count=mail.in_doubt_count + started,
                    fate=Fate.IN_DOUBT if started else mail.fate,
                    data_started_at=None,
                )
            )
        return len(fallen)

    def counts(self) -> Mapping[State, int]:
        """Return how many mails stand in each state that is not final."""
        with self._lock:
            return {s: len(self._in(s)) for s in State if not s.is_final}

    def standing(self, tenant_id: TenantId, mail_id: MailId) -> Standing | None:
        """Return where a mail stands."""
        with self._lock:
            return self._standings.get((tenant_id, mail_id))

    def _in(self, state: State) -> list[Standing]:
        return [mail for mail in self._standings.values() if mail.state is state]

    def _keep(self, mail: Standing) -> None:
        self._standings[mail.tenant_id, mail.mail_id] = mail

    @contextmanager
    def _ours(self, claim: Claim) -> Iterator[Standing | None]:
        with self._lock:
            mail = self._standings.get((claim.tenant_id, claim.mail_id))
            ours = mail and (mail.owner, mail.claim_number) == (claim.owner, claim.number)
            yield mail if ours else None


def _fresh(arrival: Arrival, now: datetime) -> Standing:
    return Standing(
        tenant_id=arrival.tenant_id,
        mail_id=arrival.mail_id,
        event_id=arrival.event_id,
        rule_id=arrival.rule_id,
        state=State.WAITING,
        attempts=0,
        in_doubt_count=0,
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
        reply_text=None,
        topic=arrival.topic,
        partition=arrival.partition,
        offset=arrival.offset,
        has_value=True,
    )


@dataclass(frozen=True, slots=True)
class Taken:
    """A mail that arrived."""

    sender: EmailAddress
    recipient: EmailAddress
    content: bytes = field(repr=False)


ACCEPTED = Reply(250, "2.0.0", "2.0.0 kept in memory", Phase.CONTENT)


@dataclass(slots=True)
class MemoryRelay:
    """A `Relay` that gives the answers it was told to, one per mail, and then accepts all."""

    answers: deque[Reply] = field(default_factory=deque)
    arrived: list[Taken] = field(default_factory=list)
    connections: int = 0
    _connected: bool = False

    def hand_over(
        self,
        sender: EmailAddress,
        recipient: EmailAddress,
        content: bytes,
        starting: Callable[[], bool],
    ) -> Reply | None:
        """Give the next answer; a mail whose answer gets lost in phase CONTENT has arrived."""
        reply = self.answers.popleft() if self.answers else ACCEPTED
        if not reply.phase.within_transaction:
            return reply
        self.connections += not self._connected
        self._connected = False
        if reply.phase is Phase.CONTENT:
            if not starting():
                return None
            if reply.code is None or reply.code < 300:
                self.arrived.append(Taken(sender, recipient, content))
            self._connected = reply.code is not None and reply.code < 300
        return reply

    def close(self) -> None:
        """Give the connection back."""
        self._connected = False
