"""What the demo's inbox holds: the last mails that arrived, and those it turned away; in memory."""

import threading
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count

from consumer.inbox.reading import Content, read_content

MOST_KEPT = 500  #: mails, and as many refusals; older ones go


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedMail:
    """A mail as it came in: its envelope, its bytes and what a reader makes of them."""

    number: int  #: 1, 2, … in order of arrival; never given twice
    received_at: datetime
    sender: str
    recipient: str
    source: bytes = field(repr=False)
    content: Content = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A recipient that was turned away, and what was said to the sender."""

    number: int
    refused_at: datetime
    recipient: str
    reply: str


class Mailbox:
    """Keeps what arrives; may be used by several threads at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = count(1)
        self._mails: deque[ReceivedMail] = deque(maxlen=MOST_KEPT)
        self._refusals: deque[Refusal] = deque(maxlen=MOST_KEPT)

    def put(self, sender: str, recipient: str, source: bytes) -> None:
        """Keep a mail; whatever its bytes are, this does not fail."""
        content = read_content(source)
        with self._lock:
            mail = ReceivedMail(
                number=next(self._numbers),
                received_at=datetime.now(UTC),
                sender=sender,
                recipient=recipient,
                source=source,
                content=content,
            )
            self._mails.append(mail)

    def note_refusal(self, recipient: str, reply: str) -> None:
        """Remember that a recipient was turned away."""
        with self._lock:
            refusal = Refusal(
                number=next(self._numbers),
                refused_at=datetime.now(UTC),
                recipient=recipient,
                reply=reply,
            )
            self._refusals.append(refusal)

    def mails(self) -> tuple[ReceivedMail, ...]:
        """Return the kept mails, oldest first."""
        with self._lock:
            return tuple(self._mails)

    def refusals(self) -> tuple[Refusal, ...]:
        """Return the kept refusals, oldest first."""
        with self._lock:
            return tuple(self._refusals)

    def numbered(self, number: int) -> ReceivedMail | None:
        """Return the mail with that number, or None if it is not kept."""
        return next((mail for mail in self.mails() if mail.number == number), None)
