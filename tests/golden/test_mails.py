"""Every example as a mail, byte by byte. After a change that is meant: `UPDATE_GOLDEN=1 pytest …`,
then read the difference.
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
from schemas.vocabulary import EventType, Language, PaymentStatus
from tests.builders import a_decision, a_recipient, a_renderer, a_rule, a_tenant, a_wanted_rule

FOLDER = Path(__file__).parent / "mails"
KINDS = ("html", "txt", "source")
NAMES = [f"{name}.{language}" for name, language in product(examples_by_name(), Language)]
RENDERER = a_renderer()


def mail(name: str) -> OutgoingMail:
    example, _, language = name.rpartition(".")
    event = examples_by_name()[example]
    wanted = a_wanted_rule(
        tenant=a_tenant(tenant_id=event.tenant_id),
        rule=a_rule(
            tenant_id=event.tenant_id,
            description="Zahlläufe & Löhne",
            subject="{{ status }}: {{ rule }}",
        ),
    )
    return RENDERER.render(event, wanted, a_recipient(language=Language(language)), a_decision())


def forms(mail: OutgoingMail) -> dict[str, str]:
    """Return what a mail looks like: both bodies, and the message with decoded headers."""
    return {"html": mail.html, "txt": mail.text, "source": _source(mime_bytes(mail))}


def _source(raw: bytes) -> str:
    message = message_from_bytes(raw, policy=policy.default)
    lines: list[str] = []
    for part in message.walk():
        assert isinstance(part, EmailMessage)
        lines += [*(f"{name}: {value}" for name, value in part.items()), ""]
    return "\n".join(lines)


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_mails_are_as_they_were_read_and_approved(name: str) -> None:
    made = forms(mail(name))

    if os.environ.get("UPDATE_GOLDEN"):
        FOLDER.mkdir(exist_ok=True)
        for kind in KINDS:
            (FOLDER / f"{name}.{kind}").write_bytes(made[kind].encode())

    kept = {kind: (FOLDER / f"{name}.{kind}").read_bytes().decode() for kind in KINDS}
    assert made == kept


def test_no_golden_file_is_left_over() -> None:
    assert {file.name for file in FOLDER.iterdir()} == {
        f"{name}.{kind}" for name, kind in product(NAMES, KINDS)
    }


def test_every_event_type_and_every_status_has_an_example() -> None:
    routings = [event.routing for event in examples_by_name().values()]

    assert {routing.event_type for routing in routings} == set(EventType)
    assert {routing.status for routing in routings if routing.status} == {
        status.value for status in PaymentStatus if status.tickable
    }
