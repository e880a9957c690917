"""A redriven record: the dead letter it was, and the rule for which alone it is judged.

`push-services dead-letters redrive` puts a letter's record back to where it came from, with headers
beside those it had. The worker knows it by the letter's place, not by its event id: the event was
settled before, and only what failed of it is made up for. Headers of another consumer group's
redrive mean nothing here: to this group the record is one that it has had before.
"""

from typing import NamedTuple

from schemas.records import Headers, Record
from schemas.vocabulary import EventId, RuleId

REDRIVE_OF = "push.redrive-of"  #: the letter's place, TOPIC/PARTITION/OFFSET
REDRIVE_RULE = "push.redrive-rule"  #: the one rule that is judged; absent: all are
REDRIVE_GROUP = "push.redrive-group"  #: the consumer group whose dead letter it was

_OURS = frozenset({REDRIVE_OF, REDRIVE_RULE, REDRIVE_GROUP})
_LONGEST = 1_000  # bytes; a place has 280 at most, and what is remembered must be short


class Redrive(NamedTuple):
    """What a redriven record makes up for."""

    letter: str  #: the letter's place
    rule_id: RuleId | None = None  #: None: the whole record


def redrive_of(record: Record, group_id: str) -> Redrive | None:
    """Return what a record makes up for in this group; None where it is no redriven one."""
    if not record.headers:
        return None
    texts = _texts(record.headers)
    letter = texts.get(REDRIVE_OF)
    if letter is None or texts.get(REDRIVE_GROUP) != group_id:
        return None
    rule_id = texts.get(REDRIVE_RULE)
    return Redrive(letter, None if rule_id is None else RuleId(rule_id))


def is_redriven(record: Record) -> bool:
    """Say whether a record was put back, for whatever group."""
    return any(name == REDRIVE_OF for name, _ in record.headers)


def settled_as(redrive: Redrive | None, event_id: EventId) -> tuple[str, ...]:
    """Return the ids under which a record is settled: known by any of them, it is repeated.

    A share goes by its letter alone, since its event was settled before, with the letter. A whole
    record was not, so it goes by its event id too: where the event came again meanwhile and could
    be read, its mails are out.
    """
    if redrive is None:
        return (event_id,)
    letter = f"letter:{redrive.letter}"
    return (event_id, letter) if redrive.rule_id is None else (letter,)


def redrive_headers(redrive: Redrive, group_id: str) -> Headers:
    """Return the headers that say so, to stand behind the record's own."""
    texts = {REDRIVE_OF: redrive.letter, REDRIVE_GROUP: group_id}
    if redrive.rule_id is not None:
        texts[REDRIVE_RULE] = redrive.rule_id
    return tuple((name, text.encode()) for name, text in texts.items())


def _texts(headers: Headers) -> dict[str, str]:
    """Return our headers as texts, of several with one name the last."""
    return {
        name: content.decode(errors="replace")  # one that is no text fits no place and no rule
        for name, content in headers
        if name in _OURS and content is not None and len(content) <= _LONGEST
    }
