"""Every mail as HTML: what survives old and small clients, dark ones, and hostile ones."""

import re
from itertools import product

import pytest

from mailer.labels import GRAVITY
from schemas.events import PaymentEvent
from schemas.example_events import example_events
from schemas.mails import OutgoingMail
from schemas.vocabulary import DetailLevel, Language
from tests.builders import (
    a_decision,
    a_recipient,
    a_renderer,
    a_rule,
    a_status_update,
    a_wanted_rule,
)
from tests.unit.mailer.reading import Page, contrast

EVENTS: tuple[PaymentEvent, ...] = (*example_events(), a_status_update(status="KON_NEW"))
RENDERER = a_renderer()
#: What stands above the tables that are none for the layout only.
TITLES = {
    *("Grund", "Abgelehnte Zahlungen", "Zahlungsdatei"),
    *("Reason", "Rejected payments", "Payment file"),
}


def mail(event: PaymentEvent, language: Language) -> OutgoingMail:
    full = a_wanted_rule(rule=a_rule(detail_internal=DetailLevel.FULL))
    return RENDERER.render(event, full, a_recipient(language=language), a_decision())


MAILS = [mail(event, language) for event, language in product(EVENTS, Language)]
every_mail = pytest.mark.parametrize(
    "mail", MAILS, ids=lambda mail: f"{mail.subject.partition(':')[0]}-{mail.language}"
)


@every_mail
def test_tags_are_closed_in_order(mail: OutgoingMail) -> None:
    assert Page(mail.html).faults == []


@every_mail
def test_nothing_is_used_that_outlook_or_a_filter_refuses(mail: OutgoingMail) -> None:
    used = {tag for tag, _ in Page(mail.html).tags}

    assert used <= {
        *("html", "head", "meta", "title", "style", "body", "div"),
        *("table", "tr", "td", "th", "p", "h1", "h2", "a"),
    }
    assert not re.search(r"flex|grid|position|float|url\(|@import|http-equiv|\son\w+=", mail.html)


@every_mail
def test_every_attribute_is_quoted(mail: OutgoingMail) -> None:
    tags = re.findall(r"<[a-z][^>]*>", mail.html)

    assert tags
    assert [tag for tag in tags if not re.fullmatch(r'<[a-z0-9]+(?: [a-z-]+="[^"]*")*>', tag)] == []


@every_mail
def test_a_screen_reader_finds_language_heading_and_facts(mail: OutgoingMail) -> None:
    tags = Page(mail.html).tags

    assert ("html", (("lang", mail.language.value),)) in tags
    assert [tag for tag, _ in tags].count("h1") == 1
    assert {dict(given).get("scope") for tag, given in tags if tag == "th"} == {"row"}
    tables = [dict(given) for tag, given in tags if tag == "table"]
    told = sum(given.get("role") != "presentation" for given in tables)
    assert told == max(1, sum(title in mail.text.split("\n") for title in TITLES))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@every_mail
def test_all_text_stands_out_from_its_ground(mail: OutgoingMail, dark: bool) -> None:
    shown = Page(mail.html, dark=dark).shown

    weak = [piece for piece in shown if contrast(piece.ink, piece.ground) < 4.5]
    assert len(shown) > 10
    assert weak == []


@every_mail
def test_no_text_is_small_and_nothing_is_pure_black_or_white(mail: OutgoingMail) -> None:
    sizes = [
        int(size)
        for piece in Page(mail.html).shown
        for size in re.findall(r"font-size:(\d+)px", piece.style)
    ]

    assert min(sizes) >= 14
    assert not re.search(r"#(?:000000|ffffff|000|fff)\b", mail.html)


@every_mail
def test_clients_do_not_clip_it(mail: OutgoingMail) -> None:
    assert len(mail.html.encode()) < 102_000


@every_mail
def test_text_and_html_state_the_same(mail: OutgoingMail) -> None:
    page = Page(mail.html)
    links = [dict(given).get("href") for tag, given in page.tags if tag == "a"]

    written = mail.text.replace("\n-- \n", "\n").split()
    linked = [word for word in written if word.startswith("https://")]
    said = [word.rstrip(":") for word in written if word not in linked]
    shown = [word.rstrip(":") for word in page.visible_text.split()]
    assert linked == links
    assert sorted(shown) == sorted(["konfipay", *said])  # the head names the platform alone


@every_mail
def test_the_preview_says_what_matters_in_40_to_100_signs(mail: OutgoingMail) -> None:
    preview = re.search(r"mso-hide:all;\">([^&<]*(?:&#39;[^&<]*)*)&#847;", mail.html)

    assert preview is not None
    assert 40 <= len(preview[1].replace("&#39;", "'")) <= 100


@every_mail
def test_plain_text_keeps_to_76_columns(mail: OutgoingMail) -> None:
    long = [line for line in mail.text.split("\n") if len(line) > 76]

    assert long == [line for line in long if " " not in line]
    assert "\n-- \n" in mail.text


def test_the_warning_not_to_send_again_is_in_every_part_and_the_preview() -> None:
    sent = mail(a_status_update(status="FIN_UPLOAD_UNCLEAR"), Language.DE)

    warning = "Bitte nicht erneut senden: Gefahr der Doppelzahlung."
    assert warning in sent.text
    assert warning in Page(sent.html).visible_text
    assert "Bitte nicht erneut senden" in sent.html.partition("&#847;")[0]


def test_each_tone_has_a_colour_of_its_own() -> None:
    tones = {tone for tone, _ in GRAVITY.values()}

    bars = {
        mail.html.partition('bgcolor="#eef1f4"')[2].partition('height="6" bgcolor="')[2][:7]
        for mail in MAILS
    }
    assert len(bars) == len(tones) == 3


def test_the_button_leads_to_the_file_and_is_high_enough_to_touch() -> None:
    sent = mail(a_status_update(), Language.EN)

    ((_, given),) = [entry for entry in Page(sent.html).tags if entry[0] == "a"]
    style = dict(given)["style"] or ""
    assert (
        dict(given)["href"] == "https://portal.example/files/a6e56b59-40c4-4122-9fdc-a7c90472c44a"
    )
    assert "padding:12px 26px" in style  # and a line of 22: 46 px


@pytest.mark.parametrize(
    "changes",
    [{"file_id": "not-a-uuid"}, {"file_id": "../../evil"}, {"file_id": ""}],
    ids=["no uuid", "a path", "empty"],
)
def test_a_file_id_that_is_no_uuid_costs_only_the_link(changes: dict[str, str]) -> None:
    sent = mail(a_status_update(**changes), Language.DE)

    assert "href" not in sent.html
    assert "https://" not in sent.text
    assert "Von Bank abgelehnt" in sent.text
