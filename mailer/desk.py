"""Where the senders' starts and results become rows: many in one transaction, in their order.

A sender waits until its start is durable, since only then the content may go out. It does not wait
for its results: one thread writes whatever has come meanwhile, in the order in which it came. So
a sender's result is never written later than its next start, and a process that is killed leaves
in doubt at most the mail that each of its connections had in hand.

A result that the ledger did not take is kept and written first of all once the ledger answers.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from queue import Empty, SimpleQueue
from time import monotonic

from mailer.ports import Claim, Ledger, Start
from mailer.results import Fate, Result
from schemas.errors import LedgerUnavailable

logger = logging.getLogger(__name__)

#: The waits while the ledger, the relay or the registry is in trouble.
TROUBLE_PAUSES = tuple(timedelta(seconds=seconds) for seconds in (1, 2, 5, 10, 15, 30))

_MOST = 500  # entries in one transaction
_LOOK = 0.5  # seconds without an entry after which the thread looks whether it should end


@dataclass(slots=True)
class _Entry:
    """A start that somebody waits for, or a result with the seconds that it took."""

    claim: Claim
    result: Result | None = None
    seconds: float = 0.0
    answered: threading.Event | None = None
    start: Start | None = None  #: None: the ledger gave no answer


#: Each claim with what came of it and the seconds that it took.
Noted = Sequence[tuple[Claim, Result, float]]


@dataclass(slots=True, kw_only=True)
class Desk:
    """Writes starts and results to the ledger; `run` is a thread of its own.

    `told` hears of results once they are written, in order, on that thread; a result whose claim
    was lost comes as `CLAIM_LOST`.
    """

    ledger: Ledger
    told: Callable[[Noted], None]
    trouble_pauses: Sequence[timedelta] = TROUBLE_PAUSES
    await_answer: Callable[[threading.Event], object] = threading.Event.wait
    _entries: SimpleQueue[_Entry] = field(default_factory=SimpleQueue, init=False)
    _owed: list[_Entry] = field(default_factory=list, init=False)
    _closing: threading.Event = field(default_factory=threading.Event, init=False)
    _pauses: Iterator[timedelta] | None = field(default=None, init=False)
    _away_until: float = field(default=0.0, init=False)

    # For senders

    def start(self, claim: Claim) -> Start:
        """Note that a content goes out from now on; durable on return.

        Raise `LedgerUnavailable` where the ledger gave no answer: then nothing may be sent.
        """
        answered = threading.Event()
        entry = _Entry(claim, answered=answered)
        self._entries.put(entry)
        self.await_answer(answered)
        if entry.start is None:
            raise LedgerUnavailable
        return entry.start

    def note(self, claim: Claim, result: Result, seconds: float = 0.0) -> None:
        """Note what came of a claim, soon; `seconds` is how long it took."""
        self._entries.put(_Entry(claim, result, seconds))

    @property
    def ledger_is_away(self) -> bool:
        """Say whether the ledger gave no answer when it was last asked here."""
        return self._pauses is not None

    # The thread

    def run(self) -> None:
        """Write until closed and everything is written, or the ledger is away then."""
        while not (self._closing.is_set() and self._entries.empty()):
            self.turn(self._patience())
        if self._owed:
            self._write([])
        if self._owed:  # their mails are in doubt then, and come again
            logger.error("result_not_noted", extra={"results": len(self._owed)})

    def close(self) -> None:
        """Let `run` end once everything is written; nobody may come any more."""
        self._closing.set()

    def turn(self, seconds: float) -> None:
        """Write what comes within so many seconds, and what is owed."""
        self._write(self._gathered(seconds))

    def _gathered(self, seconds: float) -> list[_Entry]:
        """Return the entries that have come, waiting for the first a little."""
        entries: list[_Entry] = []
        try:
            entries.append(self._entries.get(block=seconds > 0, timeout=seconds or None))
            while len(entries) < _MOST:
                entries.append(self._entries.get_nowait())
        except Empty:
            pass
        return entries

    def _patience(self) -> float:
        if self._away_until:
            return min(_LOOK, max(0.001, self._away_until - monotonic()))
        return _LOOK

    def _write(self, entries: list[_Entry]) -> None:
        starts = [entry for entry in entries if entry.result is None]
        self._owed += [entry for entry in entries if entry.result is not None]
        if not (starts or self._owed):
            return
        if self._away_until > monotonic() and not self._closing.is_set():
            _answer(starts)
            return
        try:
            self._written(starts)
        except LedgerUnavailable as error:
            self._went_away(error)
        finally:
            _answer(starts)

    def _written(self, starts: Sequence[_Entry]) -> None:
        results = [(e.claim, e.result) for e in self._owed if e.result is not None]
        written = self.ledger.write(results, [entry.claim for entry in starts])
        owed, self._owed = self._owed, []
        self._came_back()
        for entry, start in zip(starts, written.started, strict=True):
            entry.start = start
        _answer(starts)  # before the rest: their connections wait
        self.told(
            [
                (entry.claim, _as_noted(entry.result, noted), entry.seconds)
                for entry, noted in zip(owed, written.noted, strict=True)
                if entry.result is not None
            ]
        )

    def _went_away(self, error: LedgerUnavailable) -> None:
        if self._pauses is None:  # said once, not at every try
            logger.warning("ledger_unavailable", extra={"error": str(error)})
            self._pauses = iter(self.trouble_pauses)
        pause = next(self._pauses, self.trouble_pauses[-1])
        self._away_until = monotonic() + pause.total_seconds()

    def _came_back(self) -> None:
        if self._pauses is not None:
            logger.info("ledger_available")
        self._pauses, self._away_until = None, 0.0


def _as_noted(result: Result, noted: bool) -> Result:
    return result if noted else Result(Fate.CLAIM_LOST, result.reply, why=result.why)


def _answer(starts: Sequence[_Entry]) -> None:
    for entry in starts:
        if entry.answered is not None:
            entry.answered.set()
