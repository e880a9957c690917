"""A relay in memory, for tests and trying out: the same promise, and answers as told."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from mailer.ports import Envelope
from mailer.replies import Phase, Reply
from schemas.addresses import EmailAddress


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
        self, envelope: Envelope, content: bytes, starting: Callable[[], bool]
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
                self.arrived.append(Taken(envelope.sender, envelope.recipient, content))
            self._connected = reply.code is not None and reply.code < 300
        return reply

    def close(self) -> None:
        """Give the connection back."""
        self._connected = False

    def close_if_idle(self) -> None:
        """Do nothing: there is no clock here."""
