"""What the options of `rules add` and `rules edit` wish for, in the form of a rules file."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas.errors import InvalidInput

if TYPE_CHECKING:
    from rules_store.files.single import Said
    from schemas.rules import TenantRules

Plain = dict[str, object]

#: The option that says what a key of a rules file says.
OPTIONS = {
    "id": "--id",
    "description": "--description",
    "event": "--event",
    "statuses": "--status",
    "preset": "--preset",
    "bank_accounts": "--accounts",
    "detail": "--detail-internal or --detail-external",
    "detail.internal": "--detail-internal",
    "detail.external": "--detail-external",
    "subject_may_show": "--subject-may-show",
    "enabled": "--enabled",
    "subject": "--subject",
    "internal_recipients": "--to",
    "external_recipients": "--external",
}
_KEYS = re.compile("|".join(sorted(OPTIONS, key=len, reverse=True)))
_PLACE = re.compile(r"([a-z_]+(?:\.(?:internal|external))?)")
_MISSING = re.compile(r'missing key "(\w+)"')
#: Keys that a rule for one of the event types has and for the other has not.
_OF_UPDATES = ("statuses", "preset", "bank_accounts")
_FILE_REJECTED = "payment-file-rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListWish:
    """What is to become of a list: replaced by these, or some added and some taken out."""

    instead: Sequence[str] = ()
    more: Sequence[str] = ()
    fewer: Sequence[str] = ()

    def __bool__(self) -> bool:
        return bool(self.instead or self.more or self.fewer)

    def applied(self, before: Sequence[str], known: Collection[str]) -> list[str]:
        """Return the list as it is wished; `known` are words that may hold a comma."""
        kept = list(_words(self.instead, known)) if self.instead else list(before)
        fewer = set(_words(self.fewer, known))
        missing = sorted(fewer - set(kept))
        if missing:
            raise InvalidInput([f"push-services: {word!r} is not in the rule" for word in missing])
        added = [word for word in _words(self.more, known) if word not in kept]
        return [word for word in (*kept, *added) if word not in fewer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What is wished of one rule; what nothing is said of stays, or is what it is by default."""

    texts: Mapping[str, str | None]  #: by key of a rules file
    enabled: bool | None = None
    detail_internal: str | None = None
    detail_external: str | None = None
    subject_may_show: Sequence[str] = ()
    statuses: ListWish
    accounts: ListWish
    users: ListWish
    externals: ListWish
    external_language: str | None = None

    def is_empty(self) -> bool:
        """Say whether nothing is wished."""
        lists = (self.statuses, self.accounts, self.users, self.externals, self.subject_may_show)
        words = (self.detail_internal, self.detail_external, *self.texts.values())
        return self.enabled is None and all(w is None for w in words) and not any(lists)

    def applied(self, before: Plain, held: "TenantRules") -> Plain:
        """Return a rule in the form of a rules file, as it was but for what is wished."""
        plain = dict(before)
        plain |= {key: text for key, text in self.texts.items() if text is not None}
        _settle_event(plain, self.texts)
        if self.statuses:
            plain.pop("preset", None)
            plain["statuses"] = self.statuses.applied(_list(before, "statuses"), ())
        if self.accounts:
            plain["bank_accounts"] = self._accounts(before, held)
        if self.users:
            users = self.users.applied(_list(before, "internal_recipients"), held.users)
            _set_or_drop(plain, "internal_recipients", users)
        if self.externals:
            _set_or_drop(plain, "external_recipients", self._externals(before))
        self._set_details(plain)
        if self.subject_may_show:
            plain["subject_may_show"] = list(_words(self.subject_may_show, ()))
        if self.enabled is not None:
            plain["enabled"] = self.enabled
        return plain

    def _accounts(self, before: Plain, held: "TenantRules") -> object:
        if list(self.accounts.instead) == ["all"]:
            return "all"
        was = before.get("bank_accounts")
        if was == "all" and not self.accounts.instead:
            fault = "push-services: --accounts: the rule wants all accounts; choose some first"
            raise InvalidInput([fault])
        return self.accounts.applied(_list(before, "bank_accounts"), held.bank_accounts)

    def _externals(self, before: Plain) -> list[Plain]:
        """Return the external recipients; those that stay keep their language."""
        from rules_store.addresses import identity_of, split_addresses

        def identities(texts: Sequence[str]) -> list[str]:
            return [identity_of(one) for text in texts for one in split_addresses(text) or (text,)]

        stored = before.get("external_recipients")
        was: dict[str, Plain] = {
            str(found["email"]): found for found in (stored if isinstance(stored, list) else ())
        }
        wish = ListWish(
            instead=identities(self.externals.instead),
            more=identities(self.externals.more),
            fewer=identities(self.externals.fewer),
        )
        language = {"language": self.external_language} if self.external_language else {}
        addresses = wish.applied(list(was), (*wish.instead, *wish.more))
        return [was.get(address, {"email": address, **language}) for address in addresses]

    def _set_details(self, plain: Plain) -> None:
        levels = {"internal": self.detail_internal, "external": self.detail_external}
        said = {audience: level for audience, level in levels.items() if level is not None}
        if said:
            was = plain.get("detail")
            plain["detail"] = (was if isinstance(was, dict) else {}) | said


def complaints(faults: "Sequence[Said]") -> InvalidInput:
    """Return faults in the words of the options that were typed."""
    return InvalidInput([f"push-services: {in_options(fault)}" for fault in faults])


def in_options(said: "Said") -> str:
    """Return a sentence about a rule with options for the keys of a rules file."""
    if missing := _MISSING.match(said.text):
        return f"{OPTIONS[missing[1]]} is missing{said.text[missing.end() :]}"
    place = _PLACE.match(said.key)
    option = OPTIONS.get(place[1], "") if place else ""
    if not option:
        return _KEYS.sub(lambda found: OPTIONS[found[0]], said.text)
    return f"{option}: {said.text}"


def _settle_event(plain: Plain, texts: Mapping[str, str | None]) -> None:
    """Take out what another event or another preset leaves without a meaning."""
    from rules_store.presets import PRESETS

    preset = PRESETS.get(texts.get("preset") or "")
    if texts.get("preset"):
        plain.pop("statuses", None)
    if preset and not texts.get("event"):
        plain["event"] = preset.event_type.value
    if plain.get("event") == _FILE_REJECTED and "event" in plain:
        for key in _OF_UPDATES:
            if not texts.get(key):
                plain.pop(key, None)


def _set_or_drop(plain: Plain, key: str, wanted: Sequence[object]) -> None:
    if wanted:
        plain[key] = list(wanted)
    else:
        plain.pop(key, None)


def _list(plain: Plain, key: str) -> list[str]:
    found = plain.get(key)
    return [str(word) for word in found] if isinstance(found, list) else []


def _words(given: Sequence[str], known: Collection[str]) -> list[str]:
    """Return the words that were given one by one or with commas."""
    words = [
        word.strip()
        for text in given
        for word in ((text,) if text in known else text.split(","))
        if word.strip()
    ]
    return list(dict.fromkeys(words))
