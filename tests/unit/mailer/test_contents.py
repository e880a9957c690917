"""What a mail says, and what it keeps to itself."""

import re
from dataclasses import fields, replace

import pytest

from mailer.facts import detail_level
from schemas.bank_accounts import Iban
from schemas.events import ErrorItem, PaymentEvent, RejectedTransaction
from schemas.example_events import examples_by_name
from schemas.mails import OutgoingMail
from schemas.rules import Recipient, WantedRule
from schemas.vocabulary import Audience, DetailLevel, Language, PaymentStatus, SubjectFact
from tests.builders import (
    a_bank_account,
    a_decision,
    a_file_rejected,
    a_house,
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


SHOWN = frozenset(SubjectFact)


def test_amount_and_reference_show_where_the_rule_asks_for_them_and_the_mail_shows_them() -> None:
    text = "{{ rule }}: {{ amount }} ({{ reference }})"
    minimal = DetailLevel.MINIMAL

    assert subject_of(text, subject_may_show=SHOWN) == "Miete: 8.450,00 EUR (MIETE-26Q2)"
    assert subject_of(text, subject_may_show=SHOWN, detail_internal=minimal) == "Miete: ()"
    assert (
        subject_of("{{ amount }}", subject_may_show=SHOWN, detail_internal=minimal)
        == "Von Bank abgelehnt – Muster Maschinenbau GmbH"
    )


def test_a_salary_files_subject_shows_neither() -> None:
    salary = a_status_update(category_purpose="SALA")

    assert subject_of("{{ rule }} {{ amount }}", salary, subject_may_show=SHOWN) == "Miete"


#: The fields of an event that each level may show (email.md, section 7), beside those below it.
ALLOWED = {
    DetailLevel.MINIMAL: {"event_id", "tenant_id", "status", "occurred_at", "file_id"},
    DetailLevel.STANDARD: {
        *("previous_status", "file_name", "message_id", "order_id", "number_of_transactions"),
        *("control_sum", "currency", "requested_execution_date", "errors", "reason_code"),
        *("reason", "rejected_count", "rejected_sum", "uploaded_at", "origin"),
    },
    DetailLevel.FULL: {"additional_information", "rejected_transactions"},
}


@pytest.mark.parametrize("level", DetailLevel)
@pytest.mark.parametrize("name", sorted(examples_by_name()))
def test_no_mail_tells_more_than_its_level(name: str, level: DetailLevel) -> None:
    event = examples_by_name()[name]

    mails = [at_level(event, level, to) for to in (GERMAN, ENGLISH)]

    kept = _kept_back(event, level)
    assert len(kept) >= (2 if level is DetailLevel.MINIMAL else 1)
    for mail in mails:
        said = f"{mail.subject}\n{mail.text}\n{Page(mail.html).visible_text}"
        assert [fact for fact in kept if re.search(rf"(?<!\w){re.escape(fact)}(?!\w)", said)] == []
        assert not re.search(r"[A-Z]{2}\d{2}( ?\w{4}){3,}", said)  # any IBAN (email.md, section 7)


def at_level(event: PaymentEvent, level: DetailLevel, to: Recipient = GERMAN) -> OutgoingMail:
    """Return a mail that tells so much; only a salary file tells less."""
    rule = a_rule(
        tenant_id=event.tenant_id,
        detail_internal=level,
        subject="{{ status }} {{ amount }} {{ reference }}",
        subject_may_show=SHOWN,
    )
    wanted = a_wanted_rule(tenant=a_tenant(tenant_id=event.tenant_id), rule=rule)
    return RENDERER.render(event, wanted, to, a_decision())


def _kept_back(event: PaymentEvent, level: DetailLevel) -> set[str]:
    """Return every text of the event that a mail of this level must not hold."""
    if event.category_purpose == "SALA":
        level = DetailLevel.MINIMAL
    levels = list(DetailLevel)[: list(DetailLevel).index(level) + 1]
    allowed = {name for below in levels for name in ALLOWED[below]}
    kept = {
        value
        for at in fields(event)
        if at.name not in allowed and at.name != "accounts"
        for value in _texts(getattr(event, at.name))
    }
    for account in event.accounts:
        kept |= {account.account_id, account.iban.text if account.iban else account.account_id}
        if level is DetailLevel.MINIMAL:
            kept |= set(_texts(account))
    told = " ".join(text for name in allowed for text in _texts(getattr(event, name, None)))
    return {fact for fact in kept | {"SALA", "pain", "CCT", "EUR"} if fact not in told}


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [line for line in value.splitlines() if line]
    if isinstance(value, tuple):
        return [text for part in value for text in _texts(part)]
    if isinstance(value, Iban):
        return [value.text, value.masked, value.text[-4:]]
    if hasattr(value, "__dataclass_fields__"):
        return [
            text for name in value.__dataclass_fields__ for text in _texts(getattr(value, name))
        ]
    return []


REJECTED = examples_by_name()["payment-status-updated.FIN_REJECTED"]
PARTLY = examples_by_name()["payment-status-updated.FIN_PARTIALLY_ACCEPTED"]


def test_standard_tells_the_facts_and_the_reason() -> None:
    text = at_level(REJECTED, DetailLevel.STANDARD).text

    assert (
        "Grund\n"
        "Grundcode: AC04: Konto aufgelöst\n"
        "Mitteilung der Bank: Konto des Empfaengers ist aufgeloest\n"
        "Empfehlung: Daten korrigieren und neu einreichen\n"
    ) in text
    assert (
        "Zahlungsdatei\n"
        "Zeitpunkt: 12. März 2026, 09:31:17 Uhr (MEZ)\n"
        "Status zuvor: Übertragen\n"
        "Konto: Hauptkonto, DE**\u00a0****\u00a0****\u00a0****\u00a0**30\u00a000\n"
        "Datei: miete_q2.xml\n"
        "Nachrichten-ID: MIETE-26Q2\n"
        "Auftragsnummer: N9GB\n"
        "Anzahl Zahlungen: 1\n"
        "Summe: 8.450,00 EUR\n"
        "Ausführungstermin: 12. März 2026\n"
        "Übertragen am: 12. März 2026, 08:15:09 Uhr (MEZ)\n"
        "Datei-ID: a6e56b59-40c4-4122-9fdc-a7c90472c44a\n"
        "Mandant: Muster Maschinenbau GmbH\n"
        "Regel: Jeder Zahlungsstatus\n"
    ) in text


def test_full_tells_the_rejected_payments_and_the_banks_log_too() -> None:
    assert (
        "Rejected payments\n"
        "RE-88121: EUR 212.90, AC01: account number wrong or missing\n"
        "RE-88140: EUR 200.00, AG01: transaction not allowed on this account\n"
    ) in at_level(PARTLY, DetailLevel.FULL, ENGLISH).text
    assert (
        "Zusatzinformation der Bank\nAuftrag N9GB\nDatei abgelehnt\n<Details im Protokoll>\n"
    ) in at_level(REJECTED, DetailLevel.FULL).text


def test_twenty_rejected_payments_are_told_and_how_many_more_there_are() -> None:
    payments = tuple(RejectedTransaction(end_to_end_id=f"RE-{at}") for at in range(100))

    text = at_level(a_status_update(rejected_transactions=payments), DetailLevel.FULL).text

    assert "RE-19: –\n…: und 80 weitere\n" in text
    assert "RE-20" not in text


def test_payments_that_the_event_does_not_list_are_counted_too() -> None:
    event = a_status_update(rejected_transactions=(RejectedTransaction(),), rejected_count=1_500)

    assert "–: –\n…: und 1.499 weitere\n" in at_level(event, DetailLevel.FULL).text


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param(
            {"reason_code": "ZZ99", "reason": "Sonstiges"},
            "Grundcode: ZZ99\nMitteilung der Bank: Sonstiges\n"
            "Empfehlung: Mit Bank oder Empfänger klären\n",
            id="an unknown code, class B",
        ),
        pytest.param(
            {"reason_code": None, "reason": None},
            "Grundcode: von der Bank nicht genannt\n",
            id="no code",
        ),
        pytest.param(
            {"reason_code": "DS0H", "reason": None},
            "Grundcode: DS0H: Unterzeichner für dieses Konto nicht berechtigt\n"
            "Empfehlung: Bankzugang und Rechte prüfen\n",
            id="a code of the customer log",
        ),
        pytest.param(
            {"reason_code": "DS07", "reason": None},
            "Grundcode: DS07: alle Schritte am Bankrechner erledigt\n\n",
            id="a code that asks for nothing",
        ),
        pytest.param(
            {"reason": "Siehe www.evil.example, DE89370400440532013000 " + "x" * 300},
            "Grundcode: AC04: Konto aufgelöst\n"
            "Mitteilung der Bank: Siehe […] DE** **** **** **** **30 00",
            id="a hostile reason",
        ),
    ],
)
def test_a_reason_is_decoded(changes: dict[str, str | None], told: str) -> None:
    text = at_level(a_status_update(**changes), DetailLevel.STANDARD).text

    assert f"Grund\n{told}" in text


def test_a_long_reason_is_cut_and_the_mail_says_so() -> None:
    text = at_level(a_status_update(reason="wort " * 100), DetailLevel.STANDARD).text

    told = " ".join(text.partition("Mitteilung der Bank: ")[2].partition("\nEmpf")[0].split())
    assert told == "wort " * 59 + "wort… (gekürzt)"
    assert len(told.removesuffix(" (gekürzt)")) == 300


def test_a_long_bank_log_is_cut_and_the_mail_says_so() -> None:
    log = "\n".join(f"{at:03} " + "x" * 46 for at in range(100))

    text = at_level(a_status_update(additional_information=log), DetailLevel.FULL).text

    told = text.partition("Zusatzinformation der Bank\n")[2].partition("\n\n")[0].split("\n")
    assert told == [*(f"{at:03} " + "x" * 46 for at in range(12)), "(gekürzt)"]


def test_where_the_transfer_is_unclear_no_reason_says_to_submit_again() -> None:
    event = a_status_update(status="FIN_UPLOAD_UNCLEAR", reason_code="TA01")

    text = at_level(event, DetailLevel.FULL).text

    assert "Grundcode: TA01: Übertragung abgebrochen\n" in text
    assert "neu einreichen" not in text


def test_of_a_file_accepted_in_part_only_that_part_is_submitted_again() -> None:
    event = a_status_update(status="FIN_PARTIALLY_ACCEPTED", reason_code="AC04")

    text = " ".join(at_level(event, DetailLevel.STANDARD).text.split())

    assert "Empfehlung: Daten der abgelehnten Zahlungen korrigieren und nur diese neu" in text


def test_an_upload_code_is_decoded_out_of_the_details() -> None:
    event = examples_by_name()["payment-status-updated.FIN_UPLOAD_FAILED"]

    text = at_level(event, DetailLevel.STANDARD, ENGLISH).text

    assert (
        "Reason\nEBICS code: 091302: no right for this account\n"
        "Advice: Check bank access and rights\n"
        "Error ERR-01-0013: The bank was not found (BankNotFound): EBICS 091302\n"
    ) in text


def test_every_error_of_a_refused_file_is_told() -> None:
    errors = (
        ErrorItem(
            error_code="ERR-04-0009",
            error_message="UnknownBankAccount",
            error_details="No account for IBAN DE02120300000000202051 in this client",
        ),
        ErrorItem(error_code="ERR-99-0001", error_message="Something", error_details=None),
    )

    text = at_level(a_file_rejected(errors=errors), DetailLevel.STANDARD).text

    assert (
        "Fehler ERR-04-0009: Das Bankkonto ist bei konfipay nicht bekannt\n"
        "(UnknownBankAccount): No account for IBAN DE** **** **** **** **20 51 in\n"
        "this client\n"
        "Fehler ERR-99-0001: Something\n"
    ) in text
    assert "Herkunft: Schnittstelle (API)\n" in text


def test_a_refused_file_without_errors_says_that_none_is_given() -> None:
    text = at_level(a_file_rejected(errors=()), DetailLevel.STANDARD).text

    assert "Grund\nGrund: nicht genannt\n" in text


def test_in_several_currencies_there_is_a_count_and_no_sum() -> None:
    text = at_level(a_status_update(currency=None), DetailLevel.STANDARD).text

    assert "Anzahl Zahlungen: 1\n" in text
    assert "Summe" not in text


def test_of_many_accounts_five_are_told() -> None:
    accounts = tuple(a_bank_account(description=f"Konto {at}") for at in range(8))

    text = at_level(a_status_update(accounts=accounts), DetailLevel.STANDARD).text

    assert "Konto: Konto 4, DE**\u00a0" in text
    assert "**30\u00a000\nKonto: und 3 weitere\n" in text


@pytest.mark.parametrize(
    ("audience", "asked", "event", "told"),
    [
        (Audience.INTERNAL, "full", {}, "full"),
        (Audience.EXTERNAL, "full", {}, "standard"),
        (Audience.EXTERNAL, "minimal", {}, "minimal"),
        (Audience.INTERNAL, "full", {"category_purpose": "SALA"}, "minimal"),
        (Audience.EXTERNAL, "standard", {"category_purpose": "SALA"}, "minimal"),
    ],
)
def test_how_much_is_told_goes_by_rule_audience_and_purpose(
    audience: Audience, asked: str, event: dict[str, str], told: str
) -> None:
    other = DetailLevel.STANDARD
    level = DetailLevel(asked)
    rule = a_rule(
        detail_internal=level if audience is Audience.INTERNAL else other,
        detail_external=level if audience is Audience.EXTERNAL else other,
    )

    assert detail_level(a_status_update(**event), rule, audience) == told


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

    assert mail.text.startswith(f"KON_<b> {'X' * 51}… (gekürzt)\n")
    assert "<h1" in mail.html
    assert "KON_&lt;b&gt; XXX" in mail.html
    assert "im Portal nach" in mail.text


def test_a_status_update_that_repeats_the_platforms_refusal_is_readable() -> None:
    mail = german(a_status_update(status=PaymentStatus.KON_REJECTED.value))

    assert mail.text.startswith("Von konfipay abgelehnt\nZahlungsstatus wurde aktualisiert\n")


def test_the_footer_says_why_the_mail_came() -> None:
    footer = footer_of(german(a_status_update()))

    assert "wegen der Regel „Jeder Zahlungsstatus“ des Mandanten Muster Maschinenbau" in footer
    assert "bitte antworten Sie nicht darauf" in footer
    assert "fragt Sie nie nach Zugangsdaten" in footer


def footer_of(mail: OutgoingMail) -> str:
    return mail.text.partition("\n-- \n")[2].replace("\n", " ")


def test_a_user_is_told_where_the_rule_is_changed() -> None:
    rules = a_house(rules_url="https://portal.example/push-services", company="Muster GmbH, Berlin")

    mail = a_renderer(house=rules).render(a_status_update(), a_wanted_rule(), GERMAN, a_decision())

    assert "kann diese Regel im Portal von konfipay ändern oder ausschalten" in footer_of(mail)
    assert "\nRegeln im Portal ansehen:\nhttps://portal.example/push-services\n" in mail.text
    assert 'href="https://portal.example/push-services"' in mail.html
    assert mail.text.endswith("\nMuster GmbH, Berlin\n")
    assert "Muster GmbH, Berlin" in mail.html


def test_an_external_reader_is_told_whom_to_ask() -> None:
    external = replace(ENGLISH, audience=Audience.EXTERNAL)

    mail = RENDERER.render(a_status_update(), a_wanted_rule(), external, a_decision())

    assert "please contact Muster Maschinenbau GmbH." in footer_of(mail)
    assert "Whoever manages" not in footer_of(mail)


def test_the_portals_address_may_end_in_a_slash() -> None:
    renderer = a_renderer(house=a_house(portal_url="https://portal.example/"))

    mail = renderer.render(a_status_update(), a_wanted_rule(), GERMAN, a_decision())

    assert "\nhttps://portal.example/a6e56b59-40c4-4122-9fdc-a7c90472c44a\n" in mail.text


def test_without_a_portal_there_is_no_link() -> None:
    renderer = a_renderer(house=a_house(portal_url=None))

    mail = renderer.render(a_status_update(), a_wanted_rule(), GERMAN, a_decision())

    assert "http" not in mail.text
    assert "href" not in mail.html


def test_the_tenants_zone_is_used_and_a_wrong_one_costs_no_mail() -> None:
    utc, wrong = (
        replace(a_wanted_rule(), tenant=a_tenant(time_zone=zone)) for zone in ("UTC", "Nirgendwo")
    )

    assert "12. März 2026, 08:31:17 Uhr (UTC)" in german(a_status_update(), utc).text
    assert "12. März 2026, 09:31:17 Uhr (MEZ)" in german(a_status_update(), wrong).text
