"""What banks' reason codes mean: ISO 20022, the EBICS customer log (HAC), EBICS return codes.

The three tables lie in `reason_codes.toml`. `reason_code` of an event is of the first or the second
family, which share no code; the third is found in the platform's error details.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from schemas.vocabulary import Language, ReasonClass


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason code decoded."""

    code: str
    reason_class: ReasonClass
    text: Mapping[Language, str]


_EBICS_CODE = re.compile(r"(?<!\d)0[69]\d{4}(?!\d)", re.ASCII)
_EBICS_NAME = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")


def reason_of(code: str) -> Reason | None:
    """Return what a `reason_code` means, or None where no table has it."""
    return _tables().bank.get(code)


def ebics_reason_in(text: str) -> Reason | None:
    """Return the first EBICS return code in a text that the table knows, by number or by name."""
    for number in _EBICS_CODE.findall(text):
        if number in _tables().ebics:
            return _tables().ebics[number]
    for name in _EBICS_NAME.findall(text):
        if (found := _tables().ebics.get(name.removeprefix("EBICS_"))) is not None:
            return found
    return None


@dataclass(frozen=True, slots=True)
class _Tables:
    bank: Mapping[str, Reason]  # ISO and HAC by code
    ebics: Mapping[str, Reason]  # by number and by name


@cache
def _tables() -> _Tables:
    document = (resources.files("schemas") / "reason_codes.toml").read_text("utf-8")
    iso, hac, ebics = (tomllib.loads(document)[family] for family in ("iso", "hac", "ebics"))
    return _Tables(
        bank={code: _reason(code, entry) for code, entry in [*iso.items(), *hac.items()]},
        ebics={
            name: _reason(code, entry) for code, entry in ebics.items() for name in (code, entry[3])
        },
    )


def _reason(code: str, entry: list[str]) -> Reason:
    letter, german, english = entry[:3]
    return Reason(code, ReasonClass(letter), {Language.DE: german, Language.EN: english})
