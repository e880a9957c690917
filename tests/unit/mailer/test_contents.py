"""What a mail says, and what it keeps to itself."""

import re
from dataclasses import fields, replace

import pytest

from schemas.bank_accounts import BankAccount
from schemas.events import PaymentEvent
from schemas.example_events import examples_by_name
from schemas.mails import OutgoingMail
from schemas.rules import WantedRule
from schemas.vocabulary import DetailLevel, Language, PaymentStatus, SubjectFact
from tests.builders import (
    a_decision,
    a_file_rejected,
    a_recipient,
    a_renderer,
    a_rule,
    a_status_update,
    a_tenant,
    a_wanted_rule,
)
from tests.unit.mailer.reading import Page

RENDERER = a_renderer()
GERMAN, ENGLISH = a_recipient(language=Language.DE), a_recipient(language=Language.EN)


def german(event: PaymentEvent, wanted: WantedRule | None = None) -> OutgoingMail:
    return RENDERER.render(event, wanted or a_wanted_rule(), GERMAN, a_decision())


def subject_of(text: str, event: PaymentEvent | None = None, **rule: object) -> str:
    wanted = a_wanted_rule(rule=a_rule(subject=text, description="Miete", **rule))
    return german(event or a_status_update(), wanted).subject


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("{{ status }}: {{ tenant }}", "Von Bank abgelehnt: Muster Maschinenbau GmbH"),
        ("{{ event }}", "Zahlungsstatus wurde aktualisiert"),
        ("{{rule}} am {{ date }}", "Miete am 12.03.2026"),
        ("Nur Text", "Nur Text"),
        ("a\r\nBcc: evil@evil.example", "a Bcc: evil@evil.example"),
    ],
)
def test_a_rules_subject_is_filled_in(text: str, subject: str) -> None:
    assert subject_of(text) == subject


def test_on_a_refused_file_the_status_is_that_of_the_platform() -> None:
    assert subject_of("{{ status }}", a_file_rejected()) == "Von konfipay abgelehnt"


def test_a_subjects_date_is_that_of_the_tenants_zone() -> None:
    wanted = a_wanted_rule(
        tenant=a_tenant(time_zone="Pacific/Auckland"), rule=a_rule(subject="{{ date }}")
    )
    at = a_status_update().occurred_at.replace(hour=23)

    assert german(a_status_update(occurred_at=at), wanted).subject == "13.03.2026"


@pytest.mark.parametrize(
    "text",
    ["", "  \n ", "{{ nothing }}", "{% if x %}", "{{ amount }}", "{{ status | upper }}", "\u200b"],
    ids=["empty", "blank", "unknown", "template", "not opted in", "filter", "invisible"],
)
def test_a_subject_that_cannot_be_used_gives_the_default(text: str) -> None:
    assert subject_of(text) == "Von Bank abgelehnt – Muster Maschinenbau GmbH"
    assert subject_of(text, a_file_rejected()) == (
        "Zahlungsauftragsdatei wurde von konfipay abgelehnt – Muster Maschinenbau GmbH"
    )


def test_amount_and_reference_show_as_nothing_where_the_mail_does_not_show_them() -> None:
    shown = frozenset(SubjectFact)

    assert subject_of("{{ rule }}: {{ amount }} ({{ reference }})", subject_may_show=shown) == (
        "Miete: ()"
    )
    assert subject_of("{{ amount }}", subject_may_show=shown) == (
        "Von Bank abgelehnt – Muster Maschinenbau GmbH"
    )


@pytest.mark.parametrize("level", DetailLevel)
@pytest.mark.parametrize("name", sorted(examples_by_name()))
def test_no_mail_tells_more_than_the_minimum(name: str, level: DetailLevel) -> None:
    event = examples_by_name()[name]
    rule = a_rule(
        tenant_id=event.tenant_id, detail_internal=level, subject_may_show=frozenset(SubjectFact)
    )
    wanted = a_wanted_rule(tenant=a_tenant(tenant_id=event.tenant_id), rule=rule)

    mails = [RENDERER.render(event, wanted, to, a_decision()) for to in (GERMAN, ENGLISH)]

    told = _facts_behind_the_login(event)
    assert len(told) >= 2
    for mail in mails:
        said = f"{mail.subject}\n{mail.text}\n{Page(mail.html).visible_text}"
        assert [fact for fact in told if re.search(rf"(?<!\w){re.escape(fact)}(?!\w)", said)] == []
        assert not re.search(r"[A-Z]{2}\d{2}( ?\w{4}){3,}", said)  # any IBAN (email.md, section 7)


def _facts_behind_the_login(event: PaymentEvent) -> set[str]:
    """Return every text of the event but those of the minimal column of email.md, section 7."""
    told = {
        value
        for at in fields(event)
        if at.name not in ("event_id", "tenant_id", "file_id", "occurred_at")
        for value in _texts(getattr(event, at.name))
    }
    return told | {"EUR", "SALA"}


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, tuple):
        return [text for part in value for text in _texts(part)]
    if isinstance(value, BankAccount):
        iban = value.iban
        return [
            value.account_id,
            *([] if iban is None else [iban.text, iban.masked, iban.text[-4:]]),
        ]
    if hasattr(value, "__dataclass_fields__"):
        return [
            text for name in value.__dataclass_fields__ for text in _texts(getattr(value, name))
        ]
    return []


def test_foreign_text_is_cut_and_the_mail_shows_it() -> None:
    wanted = a_wanted_rule(
        tenant=a_tenant(name="T" * 500), rule=a_rule(description="R" * 500, subject="{{ rule }}")
    )

    mail = german(a_status_update(), wanted)

    assert f"Mandant:\n{'T' * 119}…\n" in mail.text  # a word stays whole
    assert f"Regel:\n{'R' * 199}…\n" in mail.text
    assert mail.subject == "R" * 199 + "…"


def test_a_status_nobody_knows_is_shown_as_its_code() -> None:
    mail = german(a_status_update(status="KON_<b>\r\n" + "X" * 200))

    assert mail.text.startswith(f"KON_<b> {'X' * 51}…\n")
    assert "<h1" in mail.html
    assert "KON_&lt;b&gt; XXX" in mail.html
    assert "im Portal nach" in mail.text


def test_a_status_update_that_repeats_the_platforms_refusal_is_readable() -> None:
    mail = german(a_status_update(status=PaymentStatus.KON_REJECTED.value))

    assert mail.text.startswith("Von konfipay abgelehnt\nZahlungsstatus wurde aktualisiert\n")


def test_the_footer_says_why_the_mail_came() -> None:
    footer = german(a_status_update()).text.partition("\n-- \n")[2].replace("\n", " ")

    assert "wegen der Regel „Jeder Zahlungsstatus“ des Mandanten Muster Maschinenbau" in footer
    assert "bitte antworten Sie nicht darauf" in footer
    assert "fragt Sie nie nach Zugangsdaten" in footer


def test_the_portals_address_may_end_in_a_slash() -> None:
    renderer = a_renderer(portal_url="https://portal.example/")

    mail = renderer.render(a_status_update(), a_wanted_rule(), GERMAN, a_decision())

    assert "\nhttps://portal.example/a6e56b59-40c4-4122-9fdc-a7c90472c44a\n" in mail.text


def test_without_a_portal_there_is_no_link() -> None:
    renderer = a_renderer(portal_url=None)

    mail = renderer.render(a_status_update(), a_wanted_rule(), GERMAN, a_decision())

    assert "http" not in mail.text
    assert "href" not in mail.html


def test_the_tenants_zone_is_used_and_a_wrong_one_costs_no_mail() -> None:
    utc, wrong = (
        replace(a_wanted_rule(), tenant=a_tenant(time_zone=zone)) for zone in ("UTC", "Nirgendwo")
    )

    assert "12. März 2026, 08:31:17 Uhr (UTC)" in german(a_status_update(), utc).text
    assert "12. März 2026, 09:31:17 Uhr (MEZ)" in german(a_status_update(), wrong).text
