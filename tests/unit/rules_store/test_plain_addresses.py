import email_validator
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules_store.addresses import parse_address
from rules_store.plain_addresses import is_plain

labels = st.text("ab-1_.", min_size=1, max_size=4)
endings = st.sampled_from(["de", "example", "x1", "a", *email_validator.SPECIAL_USE_DOMAIN_NAMES])
addresses = st.builds("{}@{}.{}".format, st.text("aB+._-'", max_size=4), labels, endings)


# Would catch: a domain that email-validator refuses or spells otherwise, reserved ones above all.
@given(addresses | st.from_regex(r"[a-z.]{1,3}@[a-z0-9.-]{1,8}\.[a-z]{2,5}", fullmatch=True))
def test_what_is_plain_is_taken_as_it_stands(text: str) -> None:
    assert not is_plain(text) or parse_address(text).text == text


@pytest.mark.parametrize(
    "text", ["anna@muster.example", "a.b+c_d-e@x-1.sub.firma.de", "Anna.Beispiel@muster.example"]
)
def test_ordinary_addresses_are_plain(text: str) -> None:
    assert is_plain(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a@X.example", id="a domain in capitals"),
        pytest.param(" a@x.example", id="a space"),
        pytest.param("a@xn--mnchen-3ya.de", id="an A-label"),
        pytest.param("a@x.example\n", id="a line break"),
        pytest.param("a@host.local", id="a reserved name"),
        pytest.param(f"a@{'x' * 70}.de", id="too long a label"),
    ],
)
def test_all_others_are_looked_at_closely(text: str) -> None:
    assert not is_plain(text)
