import pytest

from schemas.errors import InvalidValue
from schemas.records import Place
from schemas.repeats import SettledId, key_of, letter_id, settled_id, value_of

EVENT = "edff93a5-8932-4d1e-b0d0-32e37b6464f8"
KEY = key_of("payment-status-updated", "m-10482", EVENT)


def test_the_form_is_the_one_that_is_documented() -> None:
    assert b"\x01payment-status-updated\x00m-10482\x00" + EVENT.encode() == KEY
    assert value_of(258, 3) == bytes.fromhex("01 0000000000000102 0000000000000003")


def test_what_is_written_is_read() -> None:
    place = Place("payment-status-updated", 7)

    read = settled_id(7, KEY, value_of(42, 1_764_000_000_000))

    assert read == SettledId(place, KEY, 42, 1_764_000_000_000)


def test_a_tenant_may_be_called_anything() -> None:
    strange, other = key_of("t", "a\x00b", EVENT), key_of("t", "a", f"b\x00{EVENT}")

    assert settled_id(0, strange, value_of(1, 2)).place == Place("t", 0)
    assert strange == other  # why an id that holds a zero byte must be no event id: it is a UUID


def test_a_redriven_share_is_known_by_the_place_of_its_letter_and_by_no_event_id() -> None:
    assert letter_id("dead-letter", 2, 917) == "letter:dead-letter/2/917"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        pytest.param(b"", value_of(1, 2), id="no key"),
        pytest.param(b"\x02t\x00m\x00e", value_of(1, 2), id="key of another version"),
        pytest.param(b"\x01t\x00m", value_of(1, 2), id="key without an id"),
        pytest.param(KEY, b"", id="no value"),
        pytest.param(KEY, b"\x02" + value_of(1, 2)[1:], id="value of another version"),
        pytest.param(KEY, value_of(1, 2) + b"\x00", id="value that is too long"),
    ],
)
def test_what_is_no_settled_id_is_refused(key: bytes, value: bytes) -> None:
    with pytest.raises(InvalidValue):
        settled_id(0, key, value)
