from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mailer.jinja import Templates
from mailer.mime import mime_bytes
from mailer.rendering import Counts, Renderer
from mailer.sources import Sources, packaged_sources
from schemas.addresses import EmailAddress
from schemas.codec import encode_mail
from schemas.errors import InvalidSettings, RenderFailed
from schemas.mails import LARGEST_MAIL, mail_id
from schemas.vocabulary import Audience, EventId, Generation, Language, RuleId, TenantId
from tests.builders import (
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

RENDERER = a_renderer(reply_to=EmailAddress("hilfe@push.example"), house=a_house(answered=True))
MAIL = RENDERER.render(a_status_update(), a_wanted_rule(), a_recipient(), a_decision())


def test_the_record_names_event_rule_and_recipient_as_they_are() -> None:
    recipient = a_recipient(
        address=EmailAddress("steuer@kanzlei.example"),
        audience=Audience.EXTERNAL,
        language=Language.EN,
    )

    mail = RENDERER.render(a_status_update(), a_wanted_rule(), recipient, a_decision())

    assert mail.mail_id == mail_id(mail.event_id, mail.rule_id, recipient.address)
    assert (mail.event_id, mail.tenant_id, mail.file_id) == (
        a_status_update().event_id,
        "m-10482",
        a_status_update().file_id,
    )
    assert mail.rule_id == "r-every-status"
    assert mail.event_type == "payment-status-updated"
    assert (mail.recipient, mail.audience) == (recipient.address, Audience.EXTERNAL)
    assert mail.language is Language.EN


def test_everything_that_reaches_the_bytes_is_fixed_when_rendered() -> None:
    at = datetime(2026, 11, 24, 9, 0, 0, 123_000, tzinfo=UTC)

    mail = RENDERER.render(
        a_status_update(),
        a_wanted_rule(),
        a_recipient(),
        a_decision(at=at, generation=Generation(9)),
    )

    assert mail.date == at
    assert mail.expires_at == at + timedelta(days=1)
    assert mail.rules_generation == 9
    assert mail.message_id == f"<{mail.mail_id}@mail.push.example>"
    assert (mail.from_name, mail.from_address.text) == (
        "konfipay",
        "benachrichtigung@mail.push.example",
    )
    assert mail.reply_to == EmailAddress("hilfe@push.example")
    assert (mail.unsubscribe_url, mail.unsubscribe_mailto, mail.fallback) == (None, None, False)


def test_where_answers_are_read_the_mail_says_so() -> None:
    footer = MAIL.text.partition("\n-- \n")[2].replace("\n", " ")
    assert "Ihre Antwort erreicht den Support" in footer
    assert "bitte antworten Sie nicht" not in footer


def test_mails_of_a_file_share_a_thread_and_no_other_tenant_does() -> None:
    later = a_status_update(event_id=EventId("0b7e8f1e-6d5c-4c3b-8a29-1f0e2d3c4b5a"))
    foreign = a_status_update(tenant_id=TenantId("m-2"))

    same, other = (
        RENDERER.render(event, a_wanted_rule(), a_recipient(), a_decision()).thread_root
        for event in (later, foreign)
    )

    assert MAIL.thread_root is not None
    assert MAIL.thread_root.startswith("<p.")
    assert MAIL.thread_root.endswith("@mail.push.example>")
    assert same == MAIL.thread_root != other


def test_without_a_file_there_is_no_thread() -> None:
    mail = RENDERER.render(
        a_file_rejected(file_id=None), a_wanted_rule(), a_recipient(), a_decision()
    )

    assert mail.thread_root is None
    assert mail.file_id is None


def test_a_list_is_a_rule_of_one_tenant_and_shows_neither() -> None:
    other_rule = a_wanted_rule(rule=a_rule(rule_id=RuleId("r-2")))
    foreign = a_status_update(tenant_id=TenantId("m-2"))

    lists = {
        MAIL.list_id,
        RENDERER.render(a_status_update(), other_rule, a_recipient(), a_decision()).list_id,
        RENDERER.render(foreign, a_wanted_rule(), a_recipient(), a_decision()).list_id,
    }

    assert len(lists) == 3
    assert MAIL.list_id is not None
    assert "m-10482" not in MAIL.list_id
    assert "r-every-status" not in MAIL.list_id


def test_a_rule_that_changed_gives_other_words_for_the_same_event() -> None:
    event = a_status_update()
    before, after = (a_wanted_rule(rule=a_rule(description=name)) for name in ("Alt", "Neu"))

    subjects = [
        RENDERER.render(event, wanted, a_recipient(), a_decision()).text
        for wanted in (before, after, before)
    ]

    assert "Regel: Alt\n" in subjects[0]
    assert "Regel: Neu\n" in subjects[1]
    assert subjects[2] == subjects[0]


def test_the_next_event_of_the_same_rule_gets_its_own_words() -> None:
    wanted = a_wanted_rule()

    texts = [
        RENDERER.render(a_status_update(status=status), wanted, a_recipient(), a_decision()).text
        for status in ("FIN_CONFIRMED", "FIN_REJECTED")
    ]

    assert texts[0].startswith("Ausführung von Bank bestätigt\n")
    assert texts[1].startswith("Von Bank abgelehnt\n")


def test_two_tenants_with_equal_ids_get_their_own_words() -> None:
    event, foreign = a_status_update(), a_status_update(tenant_id=TenantId("m-2"))
    theirs = a_wanted_rule(tenant=a_tenant(tenant_id=TenantId("m-2"), name="Alpenblick AG"))

    ours = RENDERER.render(event, a_wanted_rule(), a_recipient(), a_decision())
    other = RENDERER.render(foreign, theirs, a_recipient(), a_decision())

    assert "Alpenblick" not in ours.text + ours.html
    assert "Muster" not in other.text + other.html


def test_the_revision_follows_templates_and_wording() -> None:
    packaged = packaged_sources().packaged
    changed = Sources(packaged, {"wording.de.toml": '[errors]\nX = "Y"'})

    assert (
        a_renderer().template_revision == a_renderer(house=a_house(platform="P")).template_revision
    )
    assert a_renderer(sources=changed).template_revision != a_renderer().template_revision


def test_everything_broken_is_named_at_the_start() -> None:
    files = {**packaged_sources().packaged, "base.txt": "{% if %}", "wording.en.toml": "="}
    del files["payment-status-updated.html"]

    with pytest.raises(InvalidSettings) as caught:
        a_renderer(sources=Sources(files))

    told = " ".join(caught.value.faults)
    assert "mail template base.txt" in told
    assert "wording.en.toml" in told
    assert "payment-status-updated.html: missing" in told


def broken_in_german(**changes: Any) -> Renderer:
    """Return a renderer whose German templates fail at each mail."""
    author = replace(RENDERER.authors[Language.DE], templates=Templates({}))
    return replace(RENDERER, authors={**RENDERER.authors, Language.DE: author}, **changes)


def test_a_mail_that_cannot_be_rendered_becomes_its_fallback() -> None:
    told: list[str] = []
    renderer = broken_in_german(
        counts=Counts(), failed=lambda event, wanted, error: told.append(str(error))
    )

    mail = renderer.render(a_status_update(), a_wanted_rule(), a_recipient(), a_decision())

    assert mail.fallback
    assert mail.mail_id == MAIL.mail_id
    assert mail.message_id == MAIL.message_id
    assert mail.subject == "Zahlungsstatus: FIN_REJECTED / Payment status: FIN_REJECTED"
    assert "sehen Sie im Portal nach" in mail.text
    assert "look in the portal" in mail.text
    assert "sehen Sie im Portal nach" in mail.html
    assert told == ["payment-status-updated.txt: KeyError"]
    assert renderer.counts.fallbacks == 1


def test_a_fallback_holds_no_foreign_word_and_can_be_sent() -> None:
    event = a_status_update(status="<b>\r\nBcc: x@evil.example", file_name="evil.xml")

    mail = broken_in_german().render(event, a_wanted_rule(), a_recipient(), a_decision())

    assert mail.subject == "Zahlungsstatus: ? / Payment status: ?"
    assert "evil" not in mail.subject + mail.text + mail.html
    assert mime_bytes(mail).startswith(b"From: ")
    assert Page(mail.html).faults == []


def test_a_fallback_stays_with_its_language() -> None:
    english = a_recipient(language=Language.EN)

    mail = broken_in_german().render(a_status_update(), a_wanted_rule(), english, a_decision())

    assert not mail.fallback


def test_an_error_that_nobody_foresaw_becomes_a_fallback_too() -> None:
    labels = replace(RENDERER.authors[Language.DE].labels, facts={})
    author = replace(RENDERER.authors[Language.DE], labels=labels)
    renderer = replace(RENDERER, authors={Language.DE: author}, counts=Counts())

    mail = renderer.render(a_status_update(), a_wanted_rule(), a_recipient(), a_decision())

    assert mail.fallback


def test_a_mail_that_is_too_large_becomes_its_fallback() -> None:
    files = packaged_sources().packaged
    huge = Sources(files, {"base.txt": "{{ heading }}" + "ä" * (LARGEST_MAIL // 2)})
    renderer = a_renderer(sources=huge)

    mail = renderer.render(a_status_update(), a_wanted_rule(), a_recipient(), a_decision())

    assert mail.fallback
    assert len(encode_mail(mail, b"")) < LARGEST_MAIL


@pytest.mark.parametrize(
    ("subject", "counted"), [("{{ nothing }}", 1), ("", 0), ("{{ status }}", 0), ("\u200b", 1)]
)
def test_a_subject_that_cannot_be_used_is_counted(subject: str, counted: int) -> None:
    renderer = replace(RENDERER, counts=Counts())
    wanted = a_wanted_rule(rule=a_rule(subject=subject))

    renderer.render(a_status_update(), wanted, a_recipient(), a_decision())

    assert renderer.counts.default_subjects == counted


def test_an_id_that_is_no_unicode_fails_without_being_shown() -> None:
    with pytest.raises(RenderFailed, match=r"^ids: UnicodeEncodeError$"):
        RENDERER.render(
            a_status_update(),
            a_wanted_rule(rule=a_rule(rule_id=RuleId("r-\ud800"))),
            a_recipient(),
            a_decision(),
        )
