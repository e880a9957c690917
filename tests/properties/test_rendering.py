"""Rendering is safe whatever tenants and events say, and says the same whenever it is asked."""

import unicodedata
from datetime import UTC, datetime

from hypothesis import example, given
from hypothesis import strategies as st

from mailer.mime import mime_bytes
from mailer.rendering import Renderer
from schemas.events import PaymentEvent
from schemas.mails import OutgoingMail
from schemas.rules import Recipient, WantedRule
from schemas.vocabulary import FileId, Language, SubjectFact
from tests.builders import (
    a_decision,
    a_recipient,
    a_renderer,
    a_rule,
    a_status_update,
    a_tenant,
    a_wanted_rule,
)
from tests.examples import examples
from tests.strategies import events, texts
from tests.unit.mailer.reading import Page

RENDERER = a_renderer()
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='x",
    "{{ 7 * 7 }}{% for x in y %}{{ x.__class__ }}",
    "%(rule)s %s %(tenant)s %%",
    "</td></tr></table></body></html>",
    "<!--[if mso]>",
    "]]>&lt;b&gt;&amp;",
    "a\r\nBcc: evil@evil.example\r\n\r\nbody",
    "\u202egnp.exe\u2066",
    "\x00\x1b[31m\u2028\u2029\x85\ufeff\u200b",
    "-- \nGeld\n",
    "x" * 5000,
    " ".join(["wort"] * 500),
)
hostile = st.one_of(
    texts, st.text(), st.lists(st.sampled_from(HOSTILE) | texts, max_size=4).map("".join)
)
languages = st.sampled_from(Language)


def render(event: PaymentEvent, wanted: WantedRule, recipient: Recipient) -> OutgoingMail:
    return RENDERER.render(event, wanted, recipient, a_decision())


def a_wanted(name: str, description: str, subject: str, zone: str) -> WantedRule:
    return a_wanted_rule(
        tenant=a_tenant(name=name, time_zone=zone),
        rule=a_rule(
            description=description, subject=subject, subject_may_show=frozenset(SubjectFact)
        ),
    )


def is_harmless(text: str) -> bool:
    return not any(
        unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        for sign in text
        if sign != "\n"
    )


# Would catch: a word that is not escaped, in an element or in an attribute, or not cut.
@given(hostile, hostile, hostile, languages)
@example(HOSTILE[0], HOSTILE[1], HOSTILE[3], Language.DE)
@example(HOSTILE[5], HOSTILE[6], HOSTILE[4], Language.EN)
def test_no_markup_appears_that_no_template_wrote(
    name: str, description: str, subject: str, language: Language
) -> None:
    recipient = a_recipient(language=language)
    harmless = render(a_status_update(), a_wanted("T", "R", "S", "UTC"), recipient)

    mail = render(a_status_update(), a_wanted(name, description, subject, "UTC"), recipient)

    assert Page(mail.html).tags == Page(harmless.html).tags
    assert Page(mail.html).faults == []
    assert mail.html.count("<!--") == harmless.html.count("<!--")
    assert len(mail.html) < len(harmless.html) + 6 * 3 * 320  # escaped signs, each word thrice


# Would catch: a control or a direction sign that gets through, a subject of two lines or none.
@given(hostile, hostile, hostile, languages)
@example(HOSTILE[8], HOSTILE[9], HOSTILE[10], Language.DE)
@example("", "", "{{ amount }} {{ reference }}", Language.EN)
def test_nothing_invisible_gets_into_a_mail(
    name: str, description: str, subject: str, language: Language
) -> None:
    wanted = a_wanted(name, description, subject, "Europe/Berlin")

    mail = render(a_status_update(), wanted, a_recipient(language=language))

    assert is_harmless(mail.subject + mail.text + mail.html)
    assert "\n" not in mail.subject
    assert 1 <= len(mail.subject) <= 200


# Would catch: an event, a zone or an instant that no mail can be made of, and a record that
# delivery would refuse afterwards.
@examples(2)
@given(events, hostile, languages)
@example(a_status_update(occurred_at=datetime.min.replace(tzinfo=UTC)), "Asia/Tokyo", Language.DE)
@example(a_status_update(occurred_at=datetime.max.replace(tzinfo=UTC)), "Asia/Tokyo", Language.EN)
@example(a_status_update(occurred_at=datetime.min.replace(tzinfo=UTC)), "US/Pacific", Language.EN)
@example(a_status_update(status="\r\nX: y" * 90), "", Language.DE)
def test_every_event_becomes_a_mail_that_can_be_sent(
    event: PaymentEvent, zone: str, language: Language
) -> None:
    wanted = a_wanted("Muster", "Alles", "{{ event }} {{ status }} {{ date }}", zone)

    mail = render(event, wanted, a_recipient(language=language))

    assert mime_bytes(mail).startswith(b"From: konfipay <")
    assert Page(mail.html).faults == []


# Would catch: anything kept from one mail that shows in another; a mail that depends on the order
# in which it was asked for.
@given(st.lists(st.tuples(events, hostile, languages), min_size=2, max_size=5))
def test_a_mail_is_the_same_whatever_was_rendered_before(
    asked: list[tuple[PaymentEvent, str, Language]],
) -> None:
    wishes = [
        (event, a_wanted(text, text, text, "UTC"), a_recipient(language=language))
        for event, text, language in asked
    ]

    together = [render(*wish) for wish in [*wishes, *wishes]]

    fresh = _without_memory(RENDERER)
    assert together[: len(wishes)] == together[len(wishes) :]
    assert together[: len(wishes)] == [fresh.render(*wish, a_decision()) for wish in wishes]


def _without_memory(renderer: Renderer) -> Renderer:
    return Renderer(
        sender_name=renderer.sender_name,
        sender_address=renderer.sender_address,
        reply_to=renderer.reply_to,
        expires_after=renderer.expires_after,
        template_revision=renderer.template_revision,
        authors=renderer.authors,
    )


# Would catch: a file id that turns the link, or breaks out of it.
@given(hostile)
@example("javascript:alert(1)")
@example("a6e56b59-40c4-4122-9fdc-a7c90472c44a\n")
@example('a6e56b59-40c4-4122-9fdc-a7c90472c44a"onclick="x')
def test_no_file_id_but_a_uuid_is_linked(file_id: str) -> None:
    mail = render(a_status_update(file_id=FileId(file_id)), a_wanted_rule(), a_recipient())

    assert "href" not in mail.html
    assert "https://portal.example" not in mail.text
