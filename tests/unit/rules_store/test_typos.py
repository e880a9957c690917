import pytest

from rules_store.typos import TypoHints, is_one_slip
from tests.builders import a_user


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        pytest.param("gmial.com", "gmail.com", id="two signs exchanged"),
        pytest.param("gmai.com", "gmail.com", id="one too few"),
        pytest.param("gmaill.com", "gmail.com", id="one too many"),
        pytest.param("gmail.con", "gmail.com", id="another at the end"),
        pytest.param("hmx.de", "gmx.de", id="another at the start"),
        pytest.param("mustr.example", "muster.example", id="a domain of the tenant's users"),
    ],
)
def test_a_domain_one_slip_away_from_a_known_one_is_told(typed: str, meant: str) -> None:
    hints = TypoHints.for_users([a_user(email="anna@muster.example")])

    assert hints.meant_by(typed) == meant


@pytest.mark.parametrize("domain", ["gmx.at", "gmx.de", "muster.example", "kanzlei.example", ""])
def test_a_known_domain_and_a_far_one_are_right(domain: str) -> None:
    hints = TypoHints.for_users([a_user(email="anna@muster.example"), a_user(email="no address")])

    assert hints.meant_by(domain) is None


@pytest.mark.parametrize(
    ("typed", "meant"), [("abc", "abc"), ("abc", "acbd"), ("ab", "abcd"), ("abcd", "badc")]
)
def test_no_slip_and_two_slips_are_not_one(typed: str, meant: str) -> None:
    assert not is_one_slip(typed, meant)
