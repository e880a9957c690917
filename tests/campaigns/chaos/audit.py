"""Reconciles what went in with everything that came out, and names each disagreement.

Shares no code with the worker: events are read by fastavro from the published schemas and judged by
the plain oracle. Records are taken one by one and forgotten; the input comes first.
"""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.campaigns import oracle
from tests.campaigns.chaos.findings import Damage, Findings
from tests.campaigns.chaos.inputs import (
    Inputs,
    Partition,
    PlaceOf,
    content,
    event_name,
    mail_name,
)
from tests.campaigns.reading import Seen, fields

_ENTRY = struct.Struct(">cQQ")  # of the repeats topic: version, first offset, ms of settling


@dataclass(slots=True)
class Audit:
    """What was owed and what is found. Ask `findings` once everything was taken."""

    inputs: Inputs
    found: Findings = field(default_factory=Findings)
    mails: int = 0
    letters: int = 0
    ranges: int = 0
    _covered: dict[PlaceOf, bytearray] = field(default_factory=dict)
    _letters: set[tuple[str, int, int]] = field(default_factory=set)

    def take_mails(self, records: Iterable[Seen]) -> None:
        """Strike each mail off what is owed."""
        for record in records:
            self.mails += 1
            mail = fields("outgoing-mail", record.value)
            name = mail_name(mail["tenant_id"], mail["mail_id"])
            owed = self.inputs.mails.get(name)
            if owed is None or not _is_itself(record, mail):
                self.found.note(Damage.FOREIGN_MAIL, _place(record))
                continue
            if owed <= 0:
                self.found.note(Damage.DOUBLED_MAIL, f"{_place(record)} {mail['mail_id']}")
            self.inputs.mails[name] = owed - 1

    def take_letters(self, records: Iterable[Seen]) -> None:
        """Strike each dead letter off what is owed."""
        for record in records:
            self.letters += 1
            place = _origin(record.headers)
            if self.inputs.letters.get(place) != content(record):
                self.found.note(Damage.FOREIGN_LETTER, _place(record))
            elif place in self._letters:
                self.found.note(Damage.DOUBLED_LETTER, _place(record))
            self._letters.add(place)

    def take_evaluations(self, records: Iterable[Seen]) -> None:
        """Lay each range over the input."""
        for record in records:
            self.ranges += 1
            self._take_range(fields("evaluation", record.value), _place(record))

    def _take_range(self, told: Mapping[str, Any], where: str) -> None:
        place = told["topic"], told["partition"]
        first, last = told["first_offset"], told["last_offset"]
        partition = self.inputs.partitions.get(place, Partition())
        if not 0 <= first <= last < len(partition.outcomes):
            self.found.note(Damage.FOREIGN_RANGE, f"{where} over {place} {first}-{last}")
            return
        if partition.counts(first, last) != told["outcomes"]:
            expected = partition.counts(first, last)
            text = f"{where} over {place} {first}-{last}: {told['outcomes']}, not {expected}"
            self.found.note(Damage.WRONG_COUNTS, text)
        self._compare_repeats(told, partition, f"{where} over {place}")
        covered = self._covered.setdefault(place, bytearray(len(partition.outcomes)))
        for offset in range(first, last + 1):
            covered[offset] = min(covered[offset] + 1, 255)

    def _compare_repeats(self, told: Mapping[str, Any], partition: Partition, where: str) -> None:
        named = {repeat["offset"]: repeat["first_offset"] for repeat in told["repeats"]}
        expected = partition.repeats(told["first_offset"], told["last_offset"])
        for offset, first in sorted(named.items() ^ expected.items())[:1]:
            wrong = len(named.items() ^ expected.items())
            self.found.note(Damage.WRONG_FIRST, f"{where}: {offset} repeats {first}?", wrong)

    def take_repeats(self, records: Iterable[Seen]) -> None:
        """Strike each entry of the repeats topic off the events that were settled."""
        for record in records:
            topic, tenant_id, event_id = (record.key or b"")[1:].decode().split("\0")
            _, first, _ = _ENTRY.unpack(record.value or b"")
            partition = self.inputs.partitions.get((topic, record.partition), Partition())
            if partition.firsts.pop(event_name(tenant_id, event_id), None) != first:
                self.found.note(Damage.FOREIGN_REPEAT, f"{_place(record)} of {topic} {first}")
        for place, partition in self.inputs.partitions.items():
            if partition.firsts:
                where = f"{place} {min(partition.firsts.values())}"
                self.found.note(Damage.LOST_REPEAT, where, len(partition.firsts))

    def findings(self) -> Findings:
        """Return all damage, what is missing included."""
        lost = sum(1 for owed in self.inputs.mails.values() if owed > 0)
        if lost:
            names = [name.hex() for name, owed in self.inputs.mails.items() if owed > 0][:3]
            self.found.note(Damage.LOST_MAIL, f"mails {', '.join(names)}", lost)
        for letter in self.inputs.letters.keys() - self._letters:
            self.found.note(Damage.LOST_LETTER, str(letter))
        for place, partition in self.inputs.partitions.items():
            covered = self._covered.get(place, bytearray(len(partition.outcomes)))
            self._look_for_holes(place, partition, covered)
        return self.found

    def _look_for_holes(self, place: PlaceOf, partition: Partition, covered: bytearray) -> None:
        for offset, (outcome, times) in enumerate(zip(partition.outcomes, covered, strict=True)):
            if outcome and times != 1:  # an offset without a record may lie in a range or not
                self.found.note(Damage.OVERLAP if times else Damage.GAP, f"{place} {offset}")


def _is_itself(record: Seen, mail: Mapping[str, Any]) -> bool:
    """Say whether a mail's id is made of its own fields, and its key its event's."""
    made = oracle.mail_id(mail["event_id"], mail["rule_id"], mail["recipient"])
    if made != mail["mail_id"]:
        return False
    return record.key == str(mail["file_id"] or mail["event_id"]).encode()


def _origin(headers: Mapping[str, bytes | None]) -> tuple[str, int, int]:
    topic, partition, offset = (headers.get(f"push.{n}") for n in ("topic", "partition", "offset"))
    if "push.rule_id" in headers or topic is None or partition is None or offset is None:
        return "", -1, -1  # no rule of a campaign's can fail: of no record
    return topic.decode(), int(partition), int(offset)


def _place(record: Seen) -> str:
    return f"{record.topic}/{record.partition}@{record.offset}"
