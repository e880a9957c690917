import pytest

from schemas.errors import InvalidValue
from schemas.subjects import Subject, one_line
from schemas.vocabulary import SubjectFact

WORDS = {
    "tenant": "Muster GmbH",
    "event": "Zahlungsstatus wurde aktualisiert",
    "status": "Von Bank abgelehnt",
    "rule": "Nicht ausgeführt",
    "date": "12.03.2026",
    "amount": "8.450,00 EUR",
    "reference": "MIETE-26Q2",
}
NOTHING: frozenset[SubjectFact] = frozenset()


@pytest.mark.parametrize(
    ("typed", "filled"),
    [
        pytest.param("Bankpost", "Bankpost", id="no placeholder"),
        pytest.param("{{ status }}: {{ tenant }}", "Von Bank abgelehnt: Muster GmbH", id="two"),
        pytest.param("{{status}}{{rule}}", "Von Bank abgelehntNicht ausgeführt", id="no spaces"),
        pytest.param("{{\tdate  }}", "12.03.2026", id="other spaces"),
        pytest.param("{{ event }}", "Zahlungsstatus wurde aktualisiert", id="event"),
        pytest.param("50 % {a} } {", "50 % {a} } {", id="lone braces and percent signs"),
        pytest.param("", "", id="empty"),
        pytest.param("%s $tenant <b>", "%s $tenant <b>", id="signs of other template languages"),
    ],
)
def test_placeholders_are_filled_in(typed: str, filled: str) -> None:
    assert Subject.parse(typed, NOTHING).fill_in(WORDS) == filled


@pytest.mark.parametrize("word", list(SubjectFact))
def test_a_fact_that_the_rule_shows_is_filled_in(word: SubjectFact) -> None:
    subject = Subject.parse(f"{{{{ {word} }}}}", frozenset({word}))

    assert subject.fill_in(WORDS) == WORDS[word]


@pytest.mark.parametrize("word", list(SubjectFact))
def test_a_fact_that_the_rule_does_not_show_is_refused(word: SubjectFact) -> None:
    with pytest.raises(InvalidValue) as caught:
        Subject.parse(f"{{{{ {word} }}}}", NOTHING)

    assert str(caught.value) == f'placeholder "{word}" needs "{word}" in subject_may_show'


def test_an_unknown_placeholder_is_named_with_those_allowed() -> None:
    with pytest.raises(InvalidValue) as caught:
        Subject.parse("{{ tenant }} {{ iban }}", frozenset({SubjectFact.AMOUNT}))

    assert str(caught.value) == (
        'unknown placeholder "iban"; allowed are amount, date, event, rule, status, tenant'
    )


def test_a_very_long_unknown_placeholder_is_named_cut() -> None:
    with pytest.raises(InvalidValue, match=r'unknown placeholder "x{40}";'):
        Subject.parse("{{ " + "x" * 500 + " }}")


@pytest.mark.parametrize(
    "typed",
    [
        pytest.param("{{ tenant", id="not closed"),
        pytest.param("tenant }}", id="not opened"),
        pytest.param("{{ }}", id="no word"),
        pytest.param("{{ tenant.name }}", id="attribute"),
        pytest.param("{{ tenant|upper }}", id="filter"),
        pytest.param("{{ 7*7 }}", id="computation"),
        pytest.param("{% if x %}", id="statement"),
        pytest.param("{# note #}", id="comment"),
        pytest.param("{{ tenant }} {{ ''.__class__ }}", id="attack behind a placeholder"),
    ],
)
def test_what_looks_like_a_template_is_refused(typed: str) -> None:
    with pytest.raises(InvalidValue, match="only placeholders"):
        Subject.parse(typed)


def test_what_fills_in_is_not_read_again() -> None:
    subject = Subject.parse("{{ rule }}")

    assert subject.fill_in({"rule": "{{ tenant }}"}) == "{{ tenant }}"


def test_a_subject_is_cut_at_two_hundred_characters() -> None:
    subject = Subject.parse("{{ rule }}")

    assert subject.fill_in({"rule": "ä" * 500}) == "ä" * 200
    assert subject.fill_in({"rule": "ä" * 199 + " b"}) == "ä" * 199


@pytest.mark.parametrize(
    "sign",
    [
        pytest.param("\r\n", id="line end"),
        pytest.param("\x00", id="NUL"),
        pytest.param("\t", id="tabulator"),
        pytest.param("\x7f", id="DEL"),
        pytest.param("\x85", id="NEL"),
        pytest.param("\u2028", id="line separator"),
        pytest.param("\u2029", id="paragraph separator"),
        pytest.param("\u202e", id="right-to-left override"),
        pytest.param("\u2066", id="isolate"),
        pytest.param("\u200b", id="zero width space"),
        pytest.param("\ufeff", id="byte order mark"),
        pytest.param("\xad", id="soft hyphen"),
        pytest.param("\ud800", id="half of a surrogate pair"),
        pytest.param("\ue000", id="private use"),
        pytest.param("\u0378", id="unassigned"),
    ],
)
def test_a_control_or_invisible_sign_is_a_space(sign: str) -> None:
    assert one_line(f"a{sign}b") == "a b"


def test_spaces_are_folded_and_taken_off_the_ends() -> None:
    assert one_line("  a \u00a0\u2003 b  ") == "a b"
