import hashlib

import pytest

from schemas.addresses import EmailAddress
from schemas.mails import mail_id
from schemas.vocabulary import EventId, RuleId
from tests.unit.schemas.mails import EVENT_ID, RECIPIENT, RULE_ID, a_mail


def test_a_mail_id_is_the_hash_that_the_design_fixes() -> None:
    parts = (b"mail:1", EVENT_ID.encode(), RULE_ID.encode(), b"anna@muster.example")

    expected = hashlib.new("sha256", b"\x00".join(parts)).digest()[:16].hex()

    assert mail_id(EVENT_ID, RULE_ID, RECIPIENT) == expected


def test_a_mail_id_never_changes() -> None:
    # Frozen on 2026-11-24. Another value would send every mail of every replayed event again.
    assert mail_id(EVENT_ID, RULE_ID, RECIPIENT) == "978c1c6d0166d02a63aeba3e077af662"


@pytest.mark.parametrize(
    ("event_id", "rule_id", "recipient"),
    [
        pytest.param(EventId(EVENT_ID.upper()), RULE_ID, RECIPIENT, id="event as it stands"),
        pytest.param(EVENT_ID, RuleId("r-2"), RECIPIENT, id="rule"),
        pytest.param(EVENT_ID, RULE_ID, EmailAddress("Anna@muster.example"), id="recipient"),
    ],
)
def test_each_part_makes_another_mail(
    event_id: EventId, rule_id: RuleId, recipient: EmailAddress
) -> None:
    assert mail_id(event_id, rule_id, recipient) != mail_id(EVENT_ID, RULE_ID, RECIPIENT)


def test_a_mail_shows_neither_its_words_nor_its_addresses() -> None:
    shown = repr(a_mail())

    assert [w for w in ("eheim", "anna@", "push@", "hilfe@") if w in shown] == []
