"""Hands one claimed mail to a mail server: the steps in their order, and what each may end in.

SMTP knows no transaction, so the ledger remembers: a mail is claimed before, its start is durable
before the first byte of content, and its result is noted after.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from time import sleep

from mailer.deciding import may_go_elsewhere
from mailer.mime import mime_bytes
from mailer.ports import Claim, Envelope, Relay, Start
from mailer.replies import Reply
from mailer.results import PAUSES, Fate, Result, after
from mailer.routes import Routes
from schemas.addresses import EmailAddress
from schemas.errors import InvalidValue, LedgerUnavailable
from schemas.mails import OutgoingMail


@dataclass(slots=True, kw_only=True)
class Delivery:
    """Hands mails over, each at least once and always as the same bytes. One per thread.

    `relays` are this thread's connections, in the order of `routes`. `start` notes a start and may
    raise `LedgerUnavailable`.
    """

    relays: Sequence[Relay]
    routes: Routes
    start: Callable[[Claim], Start]
    sender_of: Callable[[OutgoingMail], EmailAddress] = lambda mail: mail.from_address
    build: Callable[[OutgoingMail], bytes] = mime_bytes
    schedule: Sequence[timedelta] = PAUSES
    chance: Callable[[], float] = random.random
    pause: Callable[[float], None] = sleep

    def deliver(self, claim: Claim, mail: OutgoingMail) -> Result:
        """Take a claimed mail one step further and say what came of it."""
        try:
            content = self.build(mail)
        except InvalidValue:
            return Result(Fate.UNREADABLE, why="no message can be made of it")
        envelope = Envelope(
            sender=self.sender_of(mail), recipient=mail.recipient, mail_id=mail.mail_id
        )
        return self._hand_over(claim, envelope, content)

    def _hand_over(self, claim: Claim, envelope: Envelope, content: bytes) -> Result:
        """Ask one server after the other until one has something to say about the mail."""
        last = None
        for number, relay in enumerate(self.relays):
            wait = self.routes.enter(number)
            if wait is None:
                continue
            if wait:
                self.pause(wait)
            result = self._ask(number, relay, claim, envelope, content)
            if result.reply is None or not may_go_elsewhere(result.reply):
                return result
            last = result
        return last or Result(Fate.POSTPONED, why="every mail server is left alone for now")

    def _ask(
        self, number: int, relay: Relay, claim: Claim, envelope: Envelope, content: bytes
    ) -> Result:
        reply: Reply | None = None
        said = list[Start]()

        def may_start() -> bool:
            said.append(self.start(claim))
            return said[0] is Start.GO

        try:
            reply = relay.hand_over(envelope, content, may_start)
        except LedgerUnavailable as error:  # from the start: nothing was sent
            return Result(Fate.POSTPONED, why=type(error).__name__)
        finally:
            self.routes.leave(number, reply)
        if reply is not None:
            return after(reply, claim.attempts, self.schedule, self.chance())
        return Result(Fate.SUPPRESSED if Start.SUPPRESSED in said else Fate.CLAIM_LOST)

    def close_if_idle(self) -> None:
        """Give those connections back that nobody has used for long."""
        for relay in self.relays:
            relay.close_if_idle()

    def close(self) -> None:
        """Give the connections back."""
        for relay in self.relays:
            relay.close()
