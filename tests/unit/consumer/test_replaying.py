"""A restored ledger is made whole: what may have been sent goes out again, and is counted once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from consumer.replaying import CHUNK, Replayed, Replaying
from mailer.addressing import names_of
from mailer.memory import MemoryLedger
from mailer.ports import Arrival
from mailer.replies import Phase, Reply
from mailer.results import Fate, Result, State
from mailer.suppressing import Reason, Suppression
from schemas.errors import InvalidEvent
from schemas.mails import OutgoingMail
from schemas.records import Place, Record
from schemas.vocabulary import DeadLetterReason, MailId
from tests.builders import an_outgoing_mail

KEY = "a key of sixteen"
MINUTE = timedelta(minutes=1)
SENT = Result(Fate.SENT, Reply(250, "2.0.0", "2.0.0 queued", Phase.CONTENT))


@dataclass
class MemoryMails:
    """A `MailTopic` of one partition, a record a minute."""

    records: list[Record] = field(default_factory=list)
    settled: int = 0

    def records_between(self, since: datetime, known: Mapping[int, int]) -> Iterator[Record]:
        for record in self.records:
            if record.timestamp >= since.timestamp() * 1000 or record.offset >= known.get(0, 0):
                yield record

    def taken_until(self, place: Place) -> int:
        return self.settled


@dataclass
class World:
    """A topic, and the ledger that its mails were taken into."""

    at: datetime = datetime(2026, 11, 24, tzinfo=UTC)
    topic: MemoryMails = field(default_factory=MemoryMails)

    def __post_init__(self) -> None:
        self.ledger = MemoryLedger(lambda: self.at)
        self.start = self.at

    def mail(self, number: int) -> OutgoingMail:
        written = self.start + number * MINUTE
        name, end = MailId(f"mail-{number}"), written + timedelta(days=1)
        return an_outgoing_mail(mail_id=name, date=written, expires_at=end)

    def write(self, *numbers: int) -> None:
        for number in numbers:
            written = int((self.start + number * MINUTE).timestamp() * 1000)
            value = str(number).encode()
            offset = len(self.topic.records)
            record = Record("outgoing-mail", 0, offset, written, None, value)
            self.topic.records.append(record)

    def take_in(self, until: int) -> None:
        """Be `deliver` for a moment: up to this offset."""
        for record in self.topic.records[self.topic.settled : until]:
            mail = self.read(record.value)
            self.ledger.take_in([Arrival.of(mail, record, names_of(KEY)(mail))])
        self.topic.settled = until

    def send(self, most: int) -> None:
        claims = self.ledger.claim("deliver-0", most)
        self.ledger.write([(claim, SENT) for claim in claims])

    def read(self, value: bytes | None) -> OutgoingMail:
        if value == b"99":
            raise InvalidEvent(DeadLetterReason.UNKNOWN_FRAMING, "no mail")
        return self.mail(int(value or b"0"))

    def replaying(self) -> Replaying:
        return Replaying(
            topic=self.topic,
            name="outgoing-mail",
            read_mail=self.read,
            ledger=self.ledger,
            replays=self.ledger,
            names_of=names_of(KEY),
            now=lambda: self.at,
        )

    def doubts(self) -> dict[str, int]:
        standings = (self.ledger.standing(m.tenant_id, m.mail_id) for m in map(self.mail, range(9)))
        return {mail.mail_id: mail.in_doubt_count for mail in standings if mail is not None}


def restored(*, age: timedelta = 10 * MINUTE) -> tuple[World, datetime]:
    """Return a world whose backup has mails 0 (sent), 1 (waiting), and what was lost: 2 and 3.

    Mail 4 was not taken in yet.
    """
    world = World()
    world.write(0, 1, 2, 3, 4)
    world.take_in(2)
    world.send(1)
    backup = world.at
    world.topic.settled = 4  # by a ledger that is lost
    world.at += age
    return world, backup


def test_what_the_lost_ledger_may_have_sent_goes_out_again_and_is_in_doubt() -> None:
    world, backup = restored()

    found = world.replaying().run(backup)

    assert found == Replayed(
        records=5, known=2, taken_in_again=2, left_to_deliver=1, open_at_backup=1
    )
    assert world.doubts() == {"mail-0": 0, "mail-1": 1, "mail-2": 1, "mail-3": 1}
    assert len(world.ledger.claim("deliver-0", 9)) == 3


def test_done_twice_nothing_is_counted_twice() -> None:
    world, backup = restored()
    world.replaying().run(backup)

    again = world.replaying().run(backup)

    assert (again.taken_in_again, again.open_at_backup, again.known) == (0, 0, 4)
    assert set(world.doubts().values()) == {0, 1}


def test_a_survey_says_the_same_and_does_nothing() -> None:
    world, backup = restored()

    surveyed = world.replaying().survey(backup)

    assert world.doubts() == {"mail-0": 0, "mail-1": 0}
    assert surveyed == world.replaying().run(backup)


# A record is older than the backup, and intake came to it only after: a reader that starts at the
# backup's time misses it.
def test_a_record_from_before_the_backup_that_was_taken_in_after_it_is_found() -> None:
    world, backup = restored()

    found = world.replaying().run(backup + timedelta(hours=1))

    assert found.taken_in_again == 2


def test_a_mail_that_has_expired_is_not_sent_late_but_reported() -> None:
    world, backup = restored(age=timedelta(days=2))

    found = world.replaying().run(backup)

    assert (found.taken_in_again, found.expired) == (2, 2)
    claim = next(c for c in world.ledger.claim("deliver-0", 9) if c.mail_id == "mail-2")
    assert claim.was_answered  # so it expires: see mailer.deciding.before
    assert claim.expires_at < claim.claimed_at


def test_a_suppressed_recipient_gets_nothing_again() -> None:
    world, backup = restored()
    mail = world.mail(2)
    world.ledger.add(
        [
            Suppression(
                tenant_id=mail.tenant_id,
                address_hash=names_of(KEY)(mail).address_hash or "",
                reason=Reason.OPERATOR,
            )
        ]
    )

    world.replaying().run(backup)

    assert all(claim.is_suppressed for claim in world.ledger.claim("deliver-0", 9))


def test_the_same_mail_twice_in_the_gap_is_one_mail_whichever_way_it_is_counted() -> None:
    world, backup = restored()
    world.topic.records[3] = world.topic.records[3]._replace(value=b"2")

    surveyed, found = world.replaying().survey(backup), world.replaying().run(backup)

    assert (found.known, found.taken_in_again) == (3, 1)
    assert surveyed == found


def test_a_record_that_holds_no_mail_is_counted_and_left_alone() -> None:
    world, backup = restored()
    world.topic.records[3] = world.topic.records[3]._replace(value=b"99")

    found = world.replaying().run(backup)

    assert (found.taken_in_again, found.unreadable) == (1, 1)


def test_more_records_than_fit_into_one_question_are_all_found() -> None:
    world = World()
    world.write(*range(100, 100 + 2 * CHUNK + 1))
    world.topic.settled = 2 * CHUNK + 1
    world.at += timedelta(minutes=1)

    found = world.replaying().run(world.start)

    assert (found.records, found.taken_in_again) == (2 * CHUNK + 1, 2 * CHUNK + 1)
    assert world.ledger.counts()[State.WAITING] == 2 * CHUNK + 1
