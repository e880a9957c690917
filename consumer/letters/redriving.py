"""Putting dead letters back: the record to its partition, a mark beside the letter, in one go.

Letters are put back in chunks, each one transaction, so a redrive that dies half-way has put back
and marked some chunks and none of the others; the next one goes on. Two redrives at a time are
kept apart by one transactional id: the later takes over, and reads marks only then.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from consumer.letters.choosing import Choice, TenantOf
from consumer.letters.ports import DeadLetterTopic, Redriver
from consumer.letters.reading import Letter, Position, mark, read
from consumer.letters.surveying import Survey, survey
from consumer.redrives import Redrive, redrive_headers
from schemas.records import Publication, Record

MOST = 500  # letters in a transaction
MOST_BYTES = 8 * 1024 * 1024  # of their keys and values, but for a single larger one
OURS = "push."  # headers of an earlier letter or redrive; the new ones stand alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Redriving:
    """Puts chosen letters back that were not put back before."""

    topic: DeadLetterTopic
    redriver: Redriver
    group_id: str  # whose worker is to judge the records again
    home: Collection[tuple[str, str]]  # (group, topic) that a letter may be put back to
    tenant_of: TenantOf
    now: Callable[[], datetime]  # aware UTC
    most: int = MOST  # letters in a transaction

    def survey(self, choice: Choice, progress: Callable[[int], None]) -> Survey:
        """Look only; say what would be put back."""
        return survey(self.topic.records(choice.since), choice, self.tenant_of, self.home, progress)

    def run(
        self,
        choice: Choice,
        reading: Callable[[int], None] = lambda _: None,
        writing: Callable[[int, int], None] = lambda _, __: None,
    ) -> Survey:
        """Put letters back, telling how many were read, then how many of how many are back.

        Return what there was before. Raise `Temporary` or `Fatal` where a chunk is not certain:
        every chunk told of before is back and marked, and another run goes on behind them.
        """
        self.redriver.take_over()  # before the marks are read: nobody adds any from now on
        found = self.survey(choice, reading)
        places = {summary.at for summary in found.waiting()}
        done = 0
        for chunk in chunks(_letters(self.topic.records(choice.since), places), self.most):
            self.redriver.publish([p for letter in chunk for p in self._put_back(letter)])
            done += len(chunk)
            writing(done, len(places))
        return found

    def _put_back(self, letter: Letter) -> tuple[Publication, Publication]:
        return put_back(letter, self.group_id), mark(letter, self.now())


def put_back(letter: Letter, group_id: str) -> Publication:
    """Return a letter's record for its partition, saying in headers what it makes up for."""
    own = tuple((name, content) for name, content in letter.headers if not name.startswith(OURS))
    return Publication(
        topic=letter.origin.topic,
        partition=letter.origin.partition,
        key=letter.key,
        value=letter.value,
        headers=(*own, *redrive_headers(Redrive(str(letter.at), letter.rule_id), group_id)),
    )


def _letters(records: Iterable[Record], places: Collection[Position]) -> Iterator[Letter]:
    for record in records:
        letter = read(record)
        if isinstance(letter, Letter) and letter.at in places:
            yield letter


def chunks(letters: Iterable[Letter], most: int = MOST) -> Iterator[list[Letter]]:
    """Cut letters into transactions."""
    chunk, size = list[Letter](), 0
    for letter in letters:
        weight = len(letter.key or b"") + len(letter.value or b"")
        if chunk and (len(chunk) == most or size + weight > MOST_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(letter)
        size += weight
    if chunk:
        yield chunk
