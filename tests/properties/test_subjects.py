"""Whatever a tenant types and a bank says, a subject is one harmless line."""

import unicodedata

from hypothesis import example, given
from hypothesis import strategies as st

from schemas.errors import InvalidValue
from schemas.subjects import FREE_WORDS, LONGEST_SUBJECT, SUBJECT_WORDS, Subject, one_line

anything = st.text(max_size=300)
typed = st.lists(
    st.sampled_from([*(f"{{{{ {word} }}}}" for word in sorted(SUBJECT_WORDS)), "\r\n", "\u202e"])
    | st.text(st.characters(exclude_characters="{}%#"), max_size=20),
    max_size=12,
).map("".join)
filled = st.fixed_dictionaries(dict.fromkeys(sorted(SUBJECT_WORDS), anything))


@given(typed, filled)
@example("{{ rule }}", dict.fromkeys(SUBJECT_WORDS, "a" * 199 + "\u2028b"))
def test_a_subject_is_one_line_of_at_most_200_characters(text: str, words: dict[str, str]) -> None:
    # Would catch a header line, or a turn of the reading direction, smuggled in by a rule's name.
    line = Subject.parse(text).fill_in(words)

    kinds = {unicodedata.category(sign) for sign in line}
    assert not kinds & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert len(line.splitlines()) <= 1
    assert len(line) <= LONGEST_SUBJECT
    assert line == line.strip()


@given(anything)
def test_any_text_is_a_subject_or_an_invalid_value(text: str) -> None:
    # Would catch a subject out of raw SQL that stops the compilation of a tenant's rules.
    try:
        pieces = Subject.parse(text, frozenset()).pieces
    except InvalidValue:
        return

    assert set(pieces[1::2]) <= FREE_WORDS
    assert "{{" not in "".join(pieces[0::2])


@given(st.lists(st.text(st.characters(exclude_characters="{}%#"), max_size=20), max_size=5))
def test_no_text_is_lost_between_placeholders(literals: list[str]) -> None:
    # Would catch pieces read out of step: words taken for text, and text for words.
    subject = Subject.parse("{{ rule }}".join(literals))

    assert subject.pieces[0::2] == tuple(literals) or (subject.pieces, literals) == (("",), [])
    assert set(subject.pieces[1::2]) <= {"rule"}


@given(anything)
def test_a_line_that_is_one_already_stays_as_it_is(text: str) -> None:
    # Would catch a second pass that changes what the first one made.
    assert one_line(one_line(text)) == one_line(text)


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=60))
def test_what_people_can_read_is_kept(text: str) -> None:
    # Would catch umlauts, Cyrillic or emoji taken for controls.
    assert one_line(text) == text
