"""Values that are checked when they are built: what can be meant passes, nothing else does."""

import string
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from schemas.addresses import EmailAddress
from schemas.bank_accounts import Iban
from schemas.errors import InvalidEvent, InvalidValue
from schemas.fields import event_from_fields, fields_of_event
from schemas.framing import unframe
from schemas.instants import instant, milliseconds
from schemas.mails import mail_id
from schemas.vocabulary import EventId, EventType, RuleId
from tests.builders import a_status_update
from tests.strategies import event_ids

SIGNS = string.ascii_uppercase + string.digits
ATOM = st.text(string.ascii_letters + string.digits + "!#$%&'*+/=?^_`{|}~-", min_size=1, max_size=9)
LABEL = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=9)


def number_of(sign: str) -> str:
    return str(ord(sign) - ord("A") + 10) if sign.isalpha() else sign


def check_digits_of(country: str, body: str) -> str:
    """Compute them digit by digit, as ISO 7064 MOD 97-10 is done by hand."""
    remainder = 0
    for digit in "".join(map(number_of, f"{body}{country}00")):
        remainder = (remainder * 10 + int(digit)) % 97
    return f"{98 - remainder:02}"


countries = st.text(string.ascii_uppercase, min_size=2, max_size=2)
bodies = st.text(SIGNS, min_size=11, max_size=30)


@given(countries, bodies)
def test_right_check_digits_make_an_iban(country: str, body: str) -> None:
    # Would catch letters counted from the wrong end, or the front not moved to the back.
    text = country + check_digits_of(country, body) + body

    assert Iban(text).text == text


@given(countries, bodies, st.data())
def test_one_wrong_sign_makes_no_iban(country: str, body: str, data: st.DataObject) -> None:
    # Would catch a check that looks at the length alone.
    text = country + check_digits_of(country, body) + body
    at = data.draw(st.integers(2, len(text) - 1))
    wrong = data.draw(st.sampled_from(string.digits if text[at].isdigit() else SIGNS[:26]))
    assume(wrong != text[at])

    with pytest.raises(InvalidValue):
        Iban(text[:at] + wrong + text[at + 1 :])


@given(countries, bodies)
def test_no_iban_shows_more_than_country_and_last_four(country: str, body: str) -> None:
    # Would catch a mask whose length depends on the groups, and so shows a fifth sign.
    iban = Iban(country + check_digits_of(country, body) + body)

    for shown in (iban.masked, repr(iban), str(iban)):
        letters = [sign for sign in shown if sign in SIGNS]

        assert "".join(letters) == iban.text[:2] + iban.text[-4:]


@given(st.lists(ATOM, min_size=1, max_size=3), st.lists(LABEL, min_size=1, max_size=3))
def test_dot_atoms_at_a_domain_are_an_address(atoms: list[str], labels: list[str]) -> None:
    # Would catch an expression that backtracks for ever, or forgets a sign of RFC 5322 atoms.
    text = f"{'.'.join(atoms)}@{'.'.join(labels)}"

    assert EmailAddress(text).text == text


@given(st.text())
def test_any_text_is_an_address_without_surprises_or_none(text: str) -> None:
    # Would catch a line end, a comma or an angle bracket that reaches an envelope.
    try:
        address = EmailAddress(text)
    except InvalidValue:
        return

    assert address.text.isascii()
    assert address.text.count("@") == 1
    assert not set(address.text) & set(' \t\r\n,;:<>()[]"\\')


@given(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001  bounds are naive by contract
def test_an_instant_survives_to_the_millisecond(at: datetime) -> None:
    # Would catch a float in between, which loses milliseconds far from 1970.
    assert timedelta(0) <= at - instant(milliseconds(at)) < timedelta(milliseconds=1)


@given(event_ids, st.text(max_size=20), st.text(min_size=1, max_size=20))
def test_a_mail_id_depends_on_where_its_parts_end(event_id: EventId, a: str, b: str) -> None:
    # Would catch parts that are joined without a sign between them.
    address = EmailAddress("anna@muster.example")

    assert mail_id(event_id, RuleId(f"{a}x"), address) != mail_id(
        event_id, RuleId(f"{a}x{b}"), address
    )


names = sorted(fields_of_event(a_status_update()))
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(names), junk))
def test_any_fields_are_an_event_or_an_invalid_one(changes: dict[str, object]) -> None:
    # Would catch a TypeError out of a field of a kind that no schema of ours has.
    fault = fault_of(fields_of_event(a_status_update()) | changes)

    assert fault is None or fault.partition(":")[0] in names


def fault_of(fields: dict[str, object]) -> str | None:
    try:
        event_from_fields(EventType.PAYMENT_STATUS_UPDATED, fields)
    except InvalidEvent as error:
        return str(error)
    return None


@given(st.binary(max_size=30), st.lists(st.tuples(st.text(), st.none() | st.binary())))
def test_any_bytes_name_a_schema_or_are_invalid(
    value: bytes, headers: list[tuple[str, bytes | None]]
) -> None:
    # Would catch an IndexError on values shorter than their prefix.
    try:
        framed = unframe(value, tuple(headers))
    except InvalidEvent:
        return

    assert framed.start <= len(value)
