"""The tables against a second listing: `reason_codes/<family>.txt` holds the approved page as it
is, entries `code|class|German|English` between ` ;; `.
"""

import tomllib
from importlib import resources
from pathlib import Path

import pytest

from schemas.reason_codes import ebics_reason_in, reason_of
from schemas.vocabulary import Language, ReasonClass

APPROVED = Path(__file__).parent / "reason_codes"
TABLES = tomllib.loads((resources.files("schemas") / "reason_codes.toml").read_text("utf-8"))


def approved(family: str) -> dict[str, list[str]]:
    page = (APPROVED / f"{family}.txt").read_text(encoding="utf-8")
    entries = [entry.split("|") for line in page.splitlines() for entry in line.split(" ;; ")]
    return {code.split()[0]: [*said, *code.split()[1:]] for code, *said in entries}


@pytest.mark.parametrize(("family", "count"), [("iso", 64), ("hac", 27), ("ebics", 19)])
def test_the_tables_are_those_of_the_approved_page(family: str, count: int) -> None:
    assert TABLES[family] == approved(family)
    assert len(TABLES[family]) == count


def test_the_families_share_no_code() -> None:
    assert not TABLES["iso"].keys() & TABLES["hac"].keys()


@pytest.mark.parametrize(
    ("code", "reason_class", "german", "english"),
    [
        ("AC04", ReasonClass.FIX_DATA, "Konto aufgelöst", "account closed"),
        (
            "DS02",
            ReasonClass.NOTHING,
            "von berechtigter Person storniert",
            "cancelled by an authorised user",
        ),
        ("NARR", ReasonClass.ASK_BANK, "Grund steht im Zusatztext", "reason only as text"),
    ],
)
def test_a_code_is_decoded(code: str, reason_class: ReasonClass, german: str, english: str) -> None:
    reason = reason_of(code)

    assert reason is not None
    assert (reason.code, reason.reason_class) == (code, reason_class)
    assert reason.text == {Language.DE: german, Language.EN: english}


@pytest.mark.parametrize("code", ["XX99", "", "ac04", "AC04 ", "091302"])
def test_a_code_that_no_table_has_is_none(code: str) -> None:
    assert reason_of(code) is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("EBICS 091302 ACCOUNT_AUTHORISATION_FAILED", "091302"),
        ("[EBICS_X509_CERTIFICATE_EXPIRED] expired", "091208"),
        ("code 999999, then 061001", "061001"),
        ("INVALID_XML", "091010"),
    ],
)
def test_an_ebics_code_is_found_in_a_text(text: str, code: str) -> None:
    reason = ebics_reason_in(text)

    assert reason is not None
    assert reason.code == code


@pytest.mark.parametrize("text", ["", "PmtInf 1", "1091302", "0913021", "SOME_NAME", "٠٩١٣٠٢"])
def test_what_only_looks_like_one_is_none(text: str) -> None:
    assert ebics_reason_in(text) is None
