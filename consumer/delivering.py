"""The work of `deliver`'s intake: outgoing-mail records into the ledger, then their offsets.

The rows are durable before the batch is settled, so a record may be offered to the ledger twice
and is never lost; a key that is there already is not taken in again (email.md, section 6).
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from consumer.publications import Publisher
from mailer.ports import Arrival, Ledger, NamesOf
from schemas.errors import InvalidEvent, InvalidValue
from schemas.mails import OutgoingMail
from schemas.plans import DeadLetter
from schemas.records import Batch, Publication, Record
from schemas.vocabulary import DeadLetterReason

logger = logging.getLogger(__name__)


class TakenIn(NamedTuple):
    """What became of a batch of outgoing-mail records."""

    publications: Sequence[Publication]
    fresh: int
    known: int  #: the ledger had their mail ids already
    unreadable: int


@dataclass(slots=True, kw_only=True)
class Intake:
    """Puts mails into the ledger; a record that holds none becomes a dead letter."""

    read_mail: Callable[[bytes | None], OutgoingMail]
    ledger: Ledger
    names_of: NamesOf
    publisher: Publisher
    now: Callable[[], datetime]  # aware UTC
    count: Callable[[int, int, int, float], None]  # fresh, known, unreadable, seconds
    taken_in: Callable[[], None]  # told when there is something new in the ledger

    def prepare(self, batch: Batch, _: TakenIn | None = None) -> TakenIn:
        """Make the batch's mails durable and decide about its dead letters; see `Work`."""
        read = [self._read(record) for record in batch.records]
        arrivals = [arrival for arrival in read if isinstance(arrival, Arrival)]
        letters = [letter for letter in read if isinstance(letter, DeadLetter)]
        fresh = self.ledger.take_in(arrivals) if arrivals else 0
        if fresh:
            self.taken_in()
        return TakenIn(
            tuple(self.publisher.letters(letters, self.now())),
            fresh,
            len(arrivals) - fresh,
            len(letters),
        )

    def _read(self, record: Record) -> Arrival | DeadLetter:
        try:
            mail = self.read_mail(record.value)
            return Arrival.of(mail, record, self.names_of(mail))
        except InvalidEvent as error:
            return DeadLetter(record=record, reason=error.reason, detail=str(error))
        except InvalidValue as error:
            reason = DeadLetterReason.INVALID_FIELD
            return DeadLetter(record=record, reason=reason, detail=str(error))

    def settled(self, prepared: TakenIn, seconds: float) -> None:
        """Count and log what was taken in; see `Work`."""
        _, fresh, known, unreadable = prepared
        self.count(fresh, known, unreadable, seconds)
        fields = {
            "fresh": fresh,
            "known": known,
            "unreadable": unreadable,
            "records": fresh + known + unreadable,
            "seconds": seconds,
        }
        logger.info("mails_taken_in", extra=fields)
