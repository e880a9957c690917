"""A plan's publications: topics, keys, headers.

Mails are keyed like their event, so that one payment's mails stay in order and a repeated mail id
meets the first in one partition. A dead letter keeps its record's key, value and headers; what is
added are string headers `push.*` (kafka.md, section 9).
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from schemas.mails import OutgoingMail
from schemas.plans import DeadLetter, Evaluation, Plan
from schemas.records import Headers, Publication
from schemas.repeats import SettledId, value_of

LONGEST_DETAIL = 200  #: characters of `push.detail`


@dataclass(frozen=True, slots=True, kw_only=True)
class Publisher:
    """Turns plans into publications; all it knows are names."""

    outgoing_mail: str
    dead_letter: str
    evaluation: str
    repeats: str
    group_id: str
    encode_evaluation: Callable[[Evaluation], bytes]

    def publications(self, plan: Plan, failed_at: datetime) -> tuple[Publication, ...]:
        """Return mails and dead letters in the plan's order, then settled ids, then evaluations."""
        return (
            *self._shares(plan, failed_at),
            *map(self._settled_id, plan.settled),
            *map(self._evaluation, plan.evaluations),
        )

    def _shares(self, plan: Plan, failed_at: datetime) -> Iterator[Publication]:
        for share in plan.asking:
            for mail, value in share.mails:
                yield Publication(topic=self.outgoing_mail, key=_mail_key(mail), value=value)
            yield from self.letters(share.dead_letters, failed_at)

    def letters(self, letters: Iterable[DeadLetter], failed_at: datetime) -> Iterator[Publication]:
        """Return dead letters as publications, each with what to say instead if it is too large."""
        for letter in letters:
            yield self._letter(letter, failed_at)

    def _letter(self, letter: DeadLetter, failed_at: datetime) -> Publication:
        record, added = letter.record, self._context(letter, failed_at)
        without_value = (*added, *_shape_of("value", record.value))
        without_key = (*without_value, *_shape_of("key", record.key))
        smallest = self._dead(None, None, without_key)
        smaller = self._dead(record.key, None, (*record.headers, *without_value), smallest)
        return self._dead(record.key, record.value, (*record.headers, *added), smaller)

    def _dead(
        self,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        smaller: Publication | None = None,
    ) -> Publication:
        return Publication(
            topic=self.dead_letter, key=key, value=value, headers=headers, smaller=smaller
        )

    def _context(self, letter: DeadLetter, failed_at: datetime) -> Headers:
        record = letter.record
        texts = {
            "push.reason": str(letter.reason),
            "push.detail": letter.detail[:LONGEST_DETAIL],
            "push.topic": record.topic,
            "push.partition": str(record.partition),
            "push.offset": str(record.offset),
            "push.timestamp": str(record.timestamp),
            "push.group": self.group_id,
            "push.failed_at": failed_at.isoformat(timespec="milliseconds"),
        }
        if letter.rule_id is not None:
            texts["push.rule_id"] = letter.rule_id
        return tuple((name, text.encode()) for name, text in texts.items())

    def _settled_id(self, settled: SettledId) -> Publication:
        place, key, first_offset, settled_at = settled
        value = value_of(first_offset, settled_at)
        return Publication(topic=self.repeats, key=key, value=value, partition=place.partition)

    def _evaluation(self, evaluation: Evaluation) -> Publication:
        key = f"{evaluation.topic}/{evaluation.partition}"
        value = self.encode_evaluation(evaluation)
        return Publication(topic=self.evaluation, key=key.encode(), value=value)


def _mail_key(mail: OutgoingMail) -> bytes:
    return (mail.file_id or mail.event_id).encode()


def _shape_of(part: str, content: bytes | None) -> Headers:
    if content is None:
        return ()
    digest = hashlib.sha256(content).hexdigest()
    return (
        (f"push.{part}_bytes", str(len(content)).encode()),
        (f"push.{part}_sha256", digest.encode()),
    )
