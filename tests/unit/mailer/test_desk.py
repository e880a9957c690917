import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from mailer.desk import Desk, Noted
from mailer.ports import Claim, Start, Written
from mailer.replies import Phase, Reply
from mailer.results import Fate, Result
from schemas.errors import LedgerUnavailable
from schemas.vocabulary import MailId
from tests.unit.mailer.test_deciding import FRESH

SENT = Result(Fate.SENT, Reply(250, "2.0.0", "2.0.0 queued", Phase.CONTENT))


def a_claim(number: int = 1) -> Claim:
    return replace(FRESH, mail_id=MailId(f"mail-{number}"))


@dataclass
class Book:
    """A ledger that only writes: away so often, and then as it should."""

    times_away: int = 0
    lost: frozenset[str] = frozenset()
    writes: list[tuple[list[str], list[str]]] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    has_written: threading.Event = field(default_factory=threading.Event)

    def write(
        self, results: Sequence[tuple[Claim, Result]], starts: Sequence[Claim] = ()
    ) -> Written:
        self.gate.wait(10)
        if self.times_away:
            self.times_away -= 1
            raise LedgerUnavailable
        noted, started = [c.mail_id for c, _ in results], [c.mail_id for c in starts]
        self.writes.append((list(noted), list(started)))
        self.has_written.set()
        starts_said = [Start.LOST if c.mail_id in self.lost else Start.GO for c in starts]
        return Written([mail_id not in self.lost for mail_id in noted], starts_said)

    @property
    def noted(self) -> list[str]:
        return [mail_id for results, _ in self.writes for mail_id in results]


@dataclass
class Room:
    book: Book
    told: list[tuple[str, Fate]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.desk = Desk(
            ledger=self.book,  # type: ignore[arg-type]  # only what a desk asks of a ledger
            told=self.hear,
            trouble_pauses=[timedelta(milliseconds=1)],
        )

    def hear(self, noted: Noted) -> None:
        self.told += [(claim.mail_id, result.fate) for claim, result, _ in noted]


@contextmanager
def running(book: Book, *, is_open: bool = True) -> Iterator[Room]:
    room = Room(book)
    thread = threading.Thread(target=room.desk.run)
    thread.start()
    if is_open:
        book.gate.set()
    yield room
    book.gate.set()
    room.desk.close()
    thread.join(10)


def test_a_start_waits_until_it_is_written() -> None:
    with running(Book()) as room:
        assert room.desk.start(a_claim()) is Start.GO
        assert room.book.writes == [([], ["mail-1"])]


def test_a_lost_claim_may_not_start() -> None:
    with running(Book(lost=frozenset({"mail-1"}))) as room:
        assert room.desk.start(a_claim()) is Start.LOST


def test_a_result_is_written_no_later_than_the_next_start() -> None:
    with running(Book()) as room:
        room.desk.note(a_claim(1), SENT)
        room.desk.start(a_claim(2))

        assert room.book.noted == ["mail-1"]


def test_what_comes_while_a_write_is_under_way_is_written_together() -> None:
    book = Book()
    with running(book, is_open=False) as room:
        for number in range(20):
            room.desk.note(a_claim(number), SENT)

    assert len(book.writes) <= 2
    assert book.noted == [f"mail-{number}" for number in range(20)]


def test_results_are_told_in_their_order_once_they_are_written() -> None:
    with running(Book(lost=frozenset({"mail-1"}))) as room:
        room.desk.note(a_claim(1), SENT)
        room.desk.note(a_claim(2), SENT)

    assert room.told == [("mail-1", Fate.CLAIM_LOST), ("mail-2", Fate.SENT)]


def test_a_start_that_the_ledger_did_not_take_is_none() -> None:
    with running(Book(times_away=1)) as room, pytest.raises(LedgerUnavailable):
        room.desk.start(a_claim())


def test_a_result_that_the_ledger_did_not_take_is_kept_and_written_later() -> None:
    with running(Book(times_away=3)) as room:
        room.desk.note(a_claim(1), SENT)
        room.desk.note(a_claim(2), SENT)
        assert room.book.has_written.wait(10)

    assert room.told == [("mail-1", Fate.SENT), ("mail-2", Fate.SENT)]


def test_what_is_owed_when_it_closes_is_written_before_it_ends() -> None:
    book = Book()
    with running(book, is_open=False) as room:
        room.desk.note(a_claim(1), SENT)
        room.desk.close()

    assert book.noted == ["mail-1"]


def test_results_that_could_not_be_written_are_said_in_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with running(Book(times_away=1000)) as room:
        room.desk.note(a_claim(1), SENT)

    assert [record.message for record in caplog.records] == [
        "ledger_unavailable",
        "result_not_noted",
    ]
