import pytest

from mailer.labels import GRAVITY, PLACEHOLDER, Call, Tone, read_labels
from mailer.sources import packaged_sources
from schemas.errors import InvalidSettings
from schemas.vocabulary import STATUS_PRESETS, Language, PaymentStatus

FILES = packaged_sources().packaged
GERMAN = FILES["wording.de.toml"]


def faults(document: str) -> tuple[str, ...]:
    with pytest.raises(InvalidSettings) as caught:
        read_labels(Language.DE, document, "konfipay")
    return caught.value.faults


def test_every_status_has_a_tone_and_a_call() -> None:
    assert set(GRAVITY) == set(PaymentStatus)
    assert {tone for tone, _ in GRAVITY.values()} == set(Tone)
    assert {call for _, call in GRAVITY.values()} == set(Call)


def test_what_counts_as_not_executed_looks_so() -> None:
    tones = {GRAVITY[status][0] for status in STATUS_PRESETS["not_executed"]}

    assert tones == {Tone.NEGATIVE, Tone.UNCLEAR}


@pytest.mark.parametrize("language", Language)
def test_the_platform_is_called_what_the_operator_calls_it(language: Language) -> None:
    labels = read_labels(language, FILES[f"wording.{language}.toml"], "Zahl\u202eWerk\n")

    assert labels.status("KON_REJECTED").label.endswith(("Zahl Werk", "Zahl Werk abgelehnt"))
    assert "Zahl Werk" in labels.texts["credentials"]


def test_german_and_english_say_the_same_things() -> None:
    german, english = (
        read_labels(language, FILES[f"wording.{language}.toml"], "konfipay")
        for language in Language
    )

    assert german.texts.keys() == english.texts.keys()
    assert german.facts.keys() == english.facts.keys()
    assert german.origins.keys() == english.origins.keys()
    assert german.errors.keys() == english.errors.keys()
    assert german.advice_on_part.keys() == english.advice_on_part.keys()
    assert [PLACEHOLDER.findall(text) for text in german.texts.values()] == [
        PLACEHOLDER.findall(text) for text in english.texts.values()
    ]
    assert {code for code, said in german.statuses.items() if said.warning} == {
        code for code, said in english.statuses.items() if said.warning
    }


def test_a_status_nobody_knows_is_explained_as_such() -> None:
    labels = read_labels(Language.DE, GERMAN, "konfipay")

    said = labels.status("KON_NEW")

    assert said.label == ""
    assert said.tone is Tone.UNCLEAR
    assert "nicht erläutern" in said.meaning


@pytest.mark.parametrize(
    ("entry", "instead", "fault"),
    [
        pytest.param(
            'label = "Storniert"', "", "statuses.FIN_VEU_CANCELED.label: missing", id="missing"
        ),
        pytest.param(
            'label = "Storniert"',
            'label = ""',
            "statuses.FIN_VEU_CANCELED.label: is no text, or empty",
            id="empty",
        ),
        pytest.param(
            'label = "Storniert"',
            "label = 7",
            "statuses.FIN_VEU_CANCELED.label: is no text, or empty",
            id="a number",
        ),
        pytest.param(
            "[statuses.FIN_CONFIRMED]",
            '[statuses.FIN_NEW]\nlabel = "Neu"\n[statuses.FIN_CONFIRMED]',
            "statuses.FIN_NEW.label: no such entry",
            id="unknown status",
        ),
        pytest.param(
            'label = "Storniert"',
            'label = "Storniert %(rule)s"',
            "statuses.FIN_VEU_CANCELED.label: only %(platform)s can be filled in here",
            id="placeholder",
        ),
        pytest.param(
            'subject = "{{ event }} – {{ tenant }}"',
            'subject = "{{ amount }}"',
            'events.payment-file-rejected.subject: placeholder "amount" needs "amount" in '
            "subject_may_show",
            id="subject",
        ),
    ],
)
def test_wording_that_cannot_be_meant_stops_the_start(entry: str, instead: str, fault: str) -> None:
    assert GERMAN.count(entry) == 1

    assert faults(GERMAN.replace(entry, instead)) == (f"wording.de.toml: {fault}",)


def test_an_operator_says_some_of_it_otherwise() -> None:
    own = '[statuses.FIN_CONFIRMED]\nlabel = "Ausgeführt"\n[errors]\nNewError = "Neu"'

    labels = read_labels(Language.DE, GERMAN, "konfipay", own)

    assert labels.status("FIN_CONFIRMED").label == "Ausgeführt"
    assert labels.status("FIN_CONFIRMED").meaning == "Die Bank hat die Ausführung bestätigt."
    assert labels.errors["NewError"] == "Neu"
    assert labels.errors["BankNotFound"] == "Die Bank wurde nicht gefunden"


def test_an_operators_wording_is_read_as_strictly() -> None:
    with pytest.raises(InvalidSettings) as caught:
        read_labels(Language.DE, GERMAN, "konfipay", '[facts]\ntiem = "Zeit"\nsum = "%(amount)s"')

    assert caught.value.faults == (
        "wording.de.toml: facts.tiem: no such entry",
        "wording.de.toml: facts.sum: only %(platform)s can be filled in here",
    )


def test_a_file_that_is_no_toml_stops_the_start() -> None:
    (fault,) = faults("[statuses")

    assert fault.startswith("wording.de.toml: ")


def test_an_empty_file_lacks_everything_and_says_so_at_once() -> None:
    lacking = faults("")

    assert len(lacking) == 2 * 2 + 11 * 4 + 3 + 5 + 16 + 6 + 5 + 5 + 2
