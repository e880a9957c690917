import pytest

from schemas.bank_accounts import BankAccount, Iban
from schemas.errors import InvalidValue
from schemas.vocabulary import AccountId

# Examples of the IBAN registry, SWIFT (ISO 13616); the shortest is Norway's, the longest Malta's.
VALID = ("DE89370400440532013000", "NO9386011117947", "MT84MALT011000012345MTLCAST001S")


@pytest.mark.parametrize("text", VALID)
def test_an_iban_with_right_check_digits_is_one(text: str) -> None:
    assert Iban(text).text == text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("DE88370400440532013000", id="check digits"),
        pytest.param("DE89370400440532013001", id="last digit"),
        pytest.param("DE89370400440532031000", id="two digits swapped"),
        pytest.param("", id="empty"),
        pytest.param("DE", id="too short"),
        pytest.param("89DE370400440532013000", id="no country in front"),
        pytest.param("de89370400440532013000", id="small letters are for parse"),
        pytest.param("DE89 3704 0044 0532 0130 00", id="spaces are for parse"),
        pytest.param("DE89370400440532013000\n", id="a line end"),
        pytest.param("DE٨٩370400440532013000", id="digits of another script"),
    ],
)
def test_anything_else_is_refused_without_saying_what_it_was(text: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        Iban(text)

    assert str(caught.value) == "not an IBAN"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("DE89 3704 0044 0532 0130 00", id="groups"),
        pytest.param(" de89370400440532013000\n", id="small letters"),
        pytest.param("DE89\u00a03704\u202f0044\t0532 0130 00", id="spaces that people paste"),
    ],
)
def test_two_spellings_are_one_iban(text: str) -> None:
    assert Iban.parse(text) == Iban("DE89370400440532013000")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("DE89370400440532013000", "DE** **** **** **** **30 00"),
        ("NO9386011117947", "NO** **** ***7 947"),
        ("MT84MALT011000012345MTLCAST001S", "MT** **** **** **** **** **** ***0 01S"),
    ],
)
def test_a_mask_shows_country_and_last_four_in_groups(text: str, masked: str) -> None:
    assert Iban(text).masked == masked


def test_an_account_shows_its_iban_masked_only() -> None:
    account = BankAccount(AccountId("acc-1"), Iban("DE89370400440532013000"), "Hauptkonto")

    assert "DE…3000" in repr(account)
    assert "0532013" not in f"{account} {account!r} {account.iban} {account.iban!r}"
