import pytest

from schemas.addresses import EmailAddress
from schemas.errors import InvalidValue

LONGEST_LOCAL_PART = "a" * 64


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("anna@muster.example", id="plain"),
        pytest.param("Anna.B+bank@muster.example", id="local part as it stands"),
        pytest.param("o'brien@xn--mller-kva.example", id="apostrophe, A-label"),
        pytest.param("!#$%&'*+/=?^_`{|}~-@a.b", id="every sign of an atom"),
        pytest.param(f"{LONGEST_LOCAL_PART}@muster.example", id="longest local part"),
        pytest.param(f"{LONGEST_LOCAL_PART}@{'a.' * 94}a", id="longest address"),
    ],
)
def test_one_plain_addr_spec_is_an_address(text: str) -> None:
    assert EmailAddress(text).text == text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("anna", id="no domain"),
        pytest.param("@muster.example", id="no local part"),
        pytest.param("anna@", id="empty domain"),
        pytest.param("anna@Muster.example", id="domain not in lower case"),
        pytest.param("anna@müller.example", id="domain not as A-label"),
        pytest.param("änna@muster.example", id="local part beyond ASCII"),
        pytest.param("anna@muster.example\n", id="line end"),
        pytest.param("anna@muster.example\r\nBcc: x@evil.example", id="header injection"),
        pytest.param("anna@muster.example,x@evil.example", id="two addresses"),
        pytest.param("anna@muster.example x", id="a word behind"),
        pytest.param("<anna@muster.example>", id="angle brackets"),
        pytest.param('"anna b"@muster.example', id="quoted local part"),
        pytest.param("anna@[127.0.0.1]", id="address literal"),
        pytest.param("anna..b@muster.example", id="two dots"),
        pytest.param(".anna@muster.example", id="leading dot"),
        pytest.param("anna@muster..example", id="empty label"),
        pytest.param("anna@-muster.example", id="label begins with a hyphen"),
        pytest.param("a@b@muster.example", id="two at signs"),
        pytest.param(f"a{LONGEST_LOCAL_PART}@muster.example", id="local part of 65 octets"),
        pytest.param(f"{LONGEST_LOCAL_PART}@{'a.' * 94}aa", id="255 octets"),
    ],
)
def test_anything_else_is_refused_without_saying_what_it_was(text: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        EmailAddress(text)

    assert str(caught.value) == "not a mail address"


def test_an_address_shows_its_domain_only() -> None:
    address = EmailAddress("anna@muster.example")

    assert repr(address) == str(address) == "…@muster.example"
    assert address.domain == "muster.example"


def test_the_local_part_tells_addresses_apart_by_case() -> None:
    assert EmailAddress("anna@muster.example") != EmailAddress("Anna@muster.example")
