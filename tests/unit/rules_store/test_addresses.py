import pytest

from rules_store.addresses import parse_address, split_addresses
from schemas.errors import InvalidValue


@pytest.mark.parametrize(
    ("text", "identity"),
    [
        pytest.param("anna@muster.example", "anna@muster.example", id="plain"),
        pytest.param("  anna@muster.example\n", "anna@muster.example", id="spaces around"),
        pytest.param("Anna.B@Muster.EXAMPLE", "Anna.B@muster.example", id="local part untouched"),
        pytest.param("Postmaster@muster.example", "Postmaster@muster.example", id="a role"),
        pytest.param("a@bücher.example", "a@xn--bcher-kva.example", id="A-labels"),
        pytest.param("a@Straße.example", "a@xn--strae-oqa.example", id="IDNA 2008"),
        pytest.param("a@firma.test", "a@firma.test", id="a trial's domain"),
    ],
)
def test_an_address_is_read_as_its_identity(text: str, identity: str) -> None:
    assert parse_address(text).text == identity


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("", "it has no @", id="nothing"),
        pytest.param("anna", "it has no @", id="no domain"),
        pytest.param("anna@muster", "its domain has no dot", id="no dot in the domain"),
        pytest.param("jörg@muster.example", "@ must be ASCII", id="non-ASCII local part"),
        pytest.param('"a b"@muster.example', "cannot stand there", id="quoted local part"),
        pytest.param("Anna <anna@muster.example>", "cannot be one", id="display name"),
        pytest.param("a@b@muster.example", "cannot stand there", id="two at signs"),
        pytest.param("a@muster.example;b@muster.example", "cannot stand there", id="a list"),
        pytest.param("a@muster.example\r\nBcc: b@x.example", "stand there", id="header injection"),
        pytest.param("@muster.example", "cannot stand there", id="no local part"),
        pytest.param("a..b@muster.example", "cannot stand there", id="two dots"),
        pytest.param("a@[192.0.2.1]", "cannot be one", id="address literal"),
        pytest.param("a@-muster.example", "cannot be one", id="hyphen at the start"),
        pytest.param("a@mu_ster.example", "cannot be one", id="underscore"),
        pytest.param("a" * 65 + "@muster.example", "cannot stand there", id="local part too long"),
        pytest.param("a@firma.invalid", "is reserved", id="reserved domain"),
    ],
)
def test_what_is_no_address_is_refused_with_the_reason_and_not_quoted(
    text: str, reason: str
) -> None:
    with pytest.raises(InvalidValue) as caught:
        parse_address(text)

    assert str(caught.value).startswith("not a mail address: ")
    assert reason in str(caught.value)
    assert "muster" not in str(caught.value)


def test_a_list_of_the_old_form_is_split_at_semicolons() -> None:
    assert split_addresses(" a@x.example;; b@x.example ;") == ("a@x.example", "b@x.example")
