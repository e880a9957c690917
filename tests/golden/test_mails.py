"""Every example as a mail, for each level and language, byte by byte.

A file holds the decoded headers and both bodies. After a change that is meant:
`UPDATE_GOLDEN=1 pytest tests/golden/test_mails.py`, then read the difference.
"""

import os
from email import message_from_bytes, policy
from email.message import EmailMessage
from itertools import product
from pathlib import Path

import pytest

from mailer.mime import mime_bytes
from schemas.example_events import examples_by_name
from schemas.mails import OutgoingMail
from schemas.vocabulary import DetailLevel, EventType, Language, PaymentStatus, SubjectFact
from tests.builders import a_decision, a_recipient, a_renderer, a_rule, a_tenant, a_wanted_rule

FOLDER = Path(__file__).parent / "mails"
NAMES = [
    f"{name}.{level}.{language}"
    for name, level, language in product(examples_by_name(), DetailLevel, Language)
]
RENDERER = a_renderer()


def mail(name: str) -> OutgoingMail:
    example, level, language = name.rsplit(".", 2)
    event = examples_by_name()[example]
    wanted = a_wanted_rule(
        tenant=a_tenant(tenant_id=event.tenant_id),
        rule=a_rule(
            tenant_id=event.tenant_id,
            description="Zahlläufe & Löhne",
            subject="{{ status }}: {{ rule }} {{ reference }}",
            subject_may_show=frozenset(SubjectFact),
            detail_internal=DetailLevel(level),
        ),
    )
    return RENDERER.render(event, wanted, a_recipient(language=Language(language)), a_decision())


def decoded(mail: OutgoingMail) -> str:
    """Return a mail as one text: of each part the decoded headers and what it says."""
    message = message_from_bytes(mime_bytes(mail), policy=policy.default)
    lines: list[str] = []
    for part in message.walk():
        assert isinstance(part, EmailMessage)
        lines += [*(f"{name}: {value}" for name, value in part.items()), ""]
        if not part.is_multipart():
            lines.append(part.get_content().replace("\r\n", "\n"))
    return "\n".join(lines)


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_mails_are_as_they_were_read_and_approved(name: str) -> None:
    made = decoded(mail(name))

    file = FOLDER / f"{name}.mail"
    if os.environ.get("UPDATE_GOLDEN"):
        FOLDER.mkdir(exist_ok=True)
        file.write_bytes(made.encode())

    assert made == file.read_bytes().decode()


def test_no_golden_file_is_left_over() -> None:
    assert {file.name for file in FOLDER.iterdir()} == {f"{name}.mail" for name in NAMES}


def test_every_event_type_and_every_status_has_an_example() -> None:
    routings = [event.routing for event in examples_by_name().values()]

    assert {routing.event_type for routing in routings} == set(EventType)
    assert {routing.status for routing in routings if routing.status} == {
        status.value for status in PaymentStatus if status.tickable
    }
