"""Previews: the mails of `run`, before they are sent."""

import json
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from consumer import wiring
from consumer.cli_preview import GALLERY_SAMPLES
from consumer.preview.all import every_mail
from consumer.preview.gallery import Shown, index, sheet
from consumer.preview.mails import Previewer, filed_rules, sample_rules
from consumer.preview.source import event_of_file, event_of_status
from consumer.preview.writing import write_mail
from consumer.settings import Settings, load_settings
from schemas.errors import InvalidInput
from schemas.events import PaymentEvent
from schemas.example_events import examples_by_name
from schemas.rules import RulesAt
from schemas.vocabulary import Audience, DetailLevel, EventType, Language, PaymentStatus
from tests.builders import a_decision, a_rule, a_status_update, a_tenant_with, rules_at

SETTINGS: Settings = load_settings({"PUSH_MAIL_FROM": "konfipay <k@mail.push.example>"})
RENDERER = wiring.renderer(SETTINGS)
AT = a_decision().at
DEMO_RULES = Path(__file__).parents[3] / "consumer/demo/rules.yaml"


def previewer(rules: RulesAt) -> Previewer:
    return Previewer(settings=SETTINGS, renderer=RENDERER, rules=rules, at=AT)


def sample(event: PaymentEvent, audience: Audience = Audience.INTERNAL) -> Previewer:
    return previewer(sample_rules(event.tenant_id, DetailLevel.FULL, Language.EN, audience))


@pytest.mark.parametrize("audience", Audience)
@pytest.mark.parametrize("name", examples_by_name())
def test_the_sample_rules_want_every_example(name: str, audience: Audience) -> None:
    (mail,) = sample(examples_by_name()[name], audience).mails(examples_by_name()[name])

    assert (mail.audience, mail.language, mail.fallback) == (audience, Language.EN, False)


def test_rules_of_a_file_are_asked_as_run_would_ask_them() -> None:
    mails = previewer(filed_rules(DEMO_RULES)).mails(event_of_status("FIN_PARTIALLY_ACCEPTED"))

    assert {mail.rule_id for mail in mails} == {"r-partly"}
    assert {mail.audience for mail in mails} == {Audience.INTERNAL, Audience.EXTERNAL}


def test_where_no_rule_wants_it_each_rule_says_why() -> None:
    event = a_status_update(previous_status="FIN_REJECTED")
    asked = previewer(rules_at(a_tenant_with(a_rule(), a_rule(enabled=False))))

    assert asked.mails(event) == ()
    assert list(asked.verdicts(event)) == ["r-every-status: unchanged", "r-every-status: disabled"]


@pytest.mark.parametrize("status", PaymentStatus)
def test_every_status_has_an_event(status: PaymentStatus) -> None:
    routing = event_of_status(status).routing

    assert routing.status == status or routing.event_type is EventType.PAYMENT_FILE_REJECTED


def test_a_status_that_nobody_knows_is_a_fault() -> None:
    with pytest.raises(InvalidInput, match=r"^--status: 'DONE' is not known; allowed are KON_"):
        event_of_status("DONE")


def test_an_event_comes_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "event.json"
    path.write_text(
        json.dumps(
            {
                "event_id": "98ab19bc-ef72-47fe-a4b0-6b04ad0d9dcb",
                "tenant_id": "m-1",
                "occurred_at": "2026-03-11T07:02:41Z",
            }
        )
    )

    assert event_of_file(path).tenant_id == "m-1"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("{", "cannot be read (JSONDecodeError)"),
        ("[]", "must be one JSON object"),
        ('{"tenant_id": "m-1"}', "occurred_at: missing"),
        ('{"status": 7}', "event_id: not a UUID"),
    ],
)
def test_a_file_that_is_no_event_is_a_fault(tmp_path: Path, content: str, fault: str) -> None:
    path = tmp_path / "event.json"
    path.write_text(content)

    with pytest.raises(InvalidInput) as caught:
        event_of_file(path)

    assert caught.value.faults[0].startswith(f"{path}: ")


def test_a_mail_is_written_as_html_text_and_source(tmp_path: Path) -> None:
    event = event_of_status("FIN_REJECTED")
    (mail,) = sample(event).mails(event)

    html, text, source = write_mail(tmp_path / "new", "1", mail)

    assert html.read_text("utf-8") == mail.html
    assert text.read_text("utf-8") == mail.text
    message = message_from_bytes(source.read_bytes(), policy=policy.default)
    assert message["Subject"] == mail.subject


def test_the_gallery_has_every_status_level_and_language() -> None:
    sheets = every_mail(SETTINGS, RENDERER, AT)

    assert len(sheets) == 6
    told_inside = [
        [shown.name for shown in mails if shown.mail.audience is Audience.INTERNAL]
        for mails in sheets.values()
    ]
    assert told_inside == [list(examples_by_name())] * 6
    page = index(sheets, (390, 700), ["sheet.full.de.light.png"])
    assert page.count("<li>") == sum(map(len, sheets.values()))
    assert '<a href="sheet.full.de.light.png">light picture</a>' in page


def test_each_sheet_shows_what_external_readers_get_and_every_link() -> None:
    settings = load_settings(GALLERY_SAMPLES)

    sheets = every_mail(settings, wiring.renderer(settings), AT)

    outside = [
        [shown.mail for shown in mails if shown.mail.audience is Audience.EXTERNAL]
        for mails in sheets.values()
    ]
    assert all(outside)
    for mail in (mail for mails in outside for mail in mails):
        assert mail.unsubscribe_url is not None
        assert mail.unsubscribe_url in mail.html
        assert f"{settings.portal_url}/{mail.file_id}" in mail.text


def test_a_sheet_shows_a_hostile_mail_without_running_it() -> None:
    event = a_status_update(additional_information='"></iframe><script>alert(1)</script>')
    (mail,) = sample(event).mails(event)

    page = sheet("<b>", (Shown("<i>", mail),), 390)

    assert page.count("<script>") == 1  # the sheet's own
    assert page.count("<iframe ") == page.count("</iframe>") == 1
    assert "<i>" not in page
