import pytest

from schemas.repeats import key_of, offset_and_instant, topic_prefix, value_of

EVENT = "edff93a5-8932-4d1e-b0d0-32e37b6464f8"
KEY = key_of("payment-status-updated", "m-10482", EVENT)


def test_the_form_is_the_one_that_is_documented() -> None:
    assert b"\x01payment-status-updated\x00m-10482\x00" + EVENT.encode() == KEY
    assert value_of(258, 3) == bytes.fromhex("01 0000000000000102 0000000000000003")


def test_a_key_begins_with_its_topic() -> None:
    assert KEY.startswith(topic_prefix("payment-status-updated"))
    assert not KEY.startswith(topic_prefix("payment-status"))


def test_what_is_written_is_read() -> None:
    assert offset_and_instant(value_of(42, 1_764_000_000_000)) == (42, 1_764_000_000_000)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x02" + value_of(1, 2)[1:], id="another version"),
        pytest.param(value_of(1, 2) + b"\x00", id="too long"),
    ],
)
def test_a_value_of_another_version_says_nothing(value: bytes) -> None:
    assert offset_and_instant(value) is None
