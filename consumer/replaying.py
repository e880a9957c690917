"""Reads the outgoing-mail topic again after the ledger was restored from a backup.

What the ledger that is lost did between the backup and its end, nobody knows: the backup's gap. Its
intake settled offsets, so records before them that have no row may have been sent; so may mails
that had not come to their end when the backup was taken. Both go out again as the same bytes, and
are counted as in doubt. Records behind the settled offsets are left to `deliver`, which takes them
in itself. Done twice, nothing is counted twice.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import NamedTuple, Protocol

from mailer.ports import Arrival, Ledger, MailKey, NamesOf, Replays
from schemas.errors import InvalidEvent, InvalidValue
from schemas.mails import OutgoingMail
from schemas.records import Place, Record

CHUNK = 500  #: records


class MailTopic(Protocol):
    """The outgoing-mail topic. Both methods raise `Temporary` where Kafka gives no answer."""

    def records_between(self, since: datetime, known: Mapping[int, int]) -> Iterator[Record]:
        """Yield what was written at or after an instant, and what lies behind known offsets.

        In order per partition, up to the end as it is now. A partition that is not known is read
        from its beginning.
        """

    def taken_until(self, place: Place) -> int:
        """Return the offset before which `deliver` has settled what it took in."""


class Replayed(NamedTuple):
    """What a replay found; all but `records` and `open_at_backup` add up to `records`."""

    records: int = 0
    known: int = 0  #: had a row, or are the same mail once more
    taken_in_again: int = 0  #: had none; in doubt
    unreadable: int = 0  #: no mails
    left_to_deliver: int = 0  #: not taken in yet: `deliver` does
    expired: int = 0  #: of those taken in again: worth nothing any more, so they end as failed
    open_at_backup: int = 0  #: had a row and no end then; in doubt


@dataclass(slots=True, kw_only=True)
class Replaying:
    """One replay. `step` is told of each chunk of records."""

    topic: MailTopic
    name: str  #: the topic's
    read_mail: Callable[[bytes | None], OutgoingMail]
    ledger: Ledger
    replays: Replays
    names_of: NamesOf
    now: Callable[[], datetime]  # aware UTC
    step: Callable[[int], None] = lambda _: None
    _settled: dict[Place, int] = field(default_factory=dict, init=False)

    def survey(self, backup: datetime) -> Replayed:
        """Say what `run` would do, and do nothing."""
        found = self._read(backup, lambda _: None)
        return found._replace(open_at_backup=self.replays.open_at(backup))

    def run(self, backup: datetime) -> Replayed:
        """Make the ledger whole again; `backup` is the instant at which the backup was taken.

        Raise `Temporary` where Kafka or the ledger gives no answer: then begin again.
        """
        counted = self.replays.doubt_open_at(backup)
        return self._read(backup, self.ledger.take_in)._replace(open_at_backup=counted)

    def _read(self, backup: datetime, act: Callable[[Sequence[Arrival]], object]) -> Replayed:
        records = self.topic.records_between(backup, self.replays.taken_until(self.name, backup))
        total, told = Replayed(), set[MailKey]()
        while chunk := list(islice(records, CHUNK)):
            taken = [record for record in chunk if self._was_taken_in(record)]
            arrivals = [arrival for arrival in map(self._arrival, taken) if arrival is not None]
            known = {*told, *self.replays.known([arrival.key for arrival in arrivals])}
            firsts = {arrival.key: arrival for arrival in reversed(arrivals)}
            missing = [arrival for key, arrival in firsts.items() if key not in known]
            act(missing)
            told.update(arrival.key for arrival in missing)
            total = _sum(total, self._told(chunk, taken, arrivals, missing))
            self.step(len(chunk))
        return total

    def _told(
        self,
        chunk: Sequence[Record],
        taken: Sequence[Record],
        arrivals: Sequence[Arrival],
        fresh: Sequence[Arrival],
    ) -> Replayed:
        now = self.now()
        return Replayed(
            records=len(chunk),
            known=len(arrivals) - len(fresh),
            taken_in_again=len(fresh),
            unreadable=len(taken) - len(arrivals),
            left_to_deliver=len(chunk) - len(taken),
            expired=sum(arrival.expires_at <= now for arrival in fresh),
        )

    def _arrival(self, record: Record) -> Arrival | None:
        """Return the arrival of a record that may have been sent, or None if it holds no mail."""
        try:
            mail = self.read_mail(record.value)
            return replace(Arrival.of(mail, record, self.names_of(mail)), in_doubt_count=1)
        except (InvalidEvent, InvalidValue):  # it became a dead letter when it was first read
            return None

    def _was_taken_in(self, record: Record) -> bool:
        if record.place not in self._settled:
            self._settled[record.place] = self.topic.taken_until(record.place)
        return record.offset < self._settled[record.place]


def _sum(one: Replayed, other: Replayed) -> Replayed:
    return Replayed(*(a + b for a, b in zip(one, other, strict=True)))
