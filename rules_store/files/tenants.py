"""One tenant of a rules file, read alone or beside what the store has of it."""

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from rules_store.files.dangling import dangling_references
from rules_store.files.exporting import plain_account, plain_head, plain_rule, plain_user
from rules_store.files.fields import Field, quoted
from rules_store.files.nodes import Scalar, Table
from rules_store.files.plain import kept
from rules_store.files.references import Known
from rules_store.files.rule_fields import read_rule
from rules_store.files.tenant_fields import (
    Reading,
    read_bank_account,
    read_by_id,
    read_tenant,
    read_user,
)
from rules_store.hints import hints_for
from schemas.bank_accounts import BankAccount
from schemas.rules import Rule, Tenant, TenantRules, User
from schemas.vocabulary import Language, RuleId, TenantId

HEAD = ("id", "name")
OPTIONAL_HEAD = ("language", "time_zone")
LISTS = ("users", "bank_accounts", "rules")


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What the store has of the tenant that is read, and what that allows."""

    stored: TenantRules | None = None
    adding: bool = False  #: it stays beside what is read
    gone_may_stay: bool = False  #: whatever is named although it is gone

    @property
    def head(self) -> Tenant | None:
        """Return the tenant itself."""
        return self.stored.tenant if self.stored else None

    @property
    def users(self) -> Mapping[str, User]:
        """Return its users."""
        users = self.stored.users.values() if self.stored else ()
        return {user.user_id: user for user in users}

    @property
    def bank_accounts(self) -> Mapping[str, BankAccount]:
        """Return its bank accounts."""
        accounts = self.stored.bank_accounts.values() if self.stored else ()
        return {account.account_id: account for account in accounts}

    @property
    def rules(self) -> Mapping[RuleId, Rule]:
        """Return its rules."""
        return {rule.rule_id: rule for rule in self.stored.rules} if self.stored else {}

    @property
    def dangling(self) -> Mapping[RuleId, frozenset[str]]:
        """Return the references that may lead nowhere."""
        return dangling_references(self.stored) if self.stored else {}

    def with_stored(self, found: TenantRules) -> TenantRules:
        """Return what is read with the users and bank accounts that stay beside it."""
        if not self.adding or self.stored is None:
            return found
        return replace(
            found,
            users={**self.stored.users, **found.users},
            bank_accounts={**self.stored.bank_accounts, **found.bank_accounts},
        )


def read_tenant_rules(part: Field, beside: Beside) -> TenantRules | None:
    """Return everything a file says of a tenant, or None if nobody can say which tenant it is.

    What is wrong, and what is worth a word, is in the field's report afterwards.
    """
    fields = part.keys(HEAD, (*OPTIONAL_HEAD, *LISTS))
    head = Field(part.file, _head_of(part), part.report, part.around, part.key)
    tenant = kept(head, partial(read_tenant, fields), beside.head, plain_head)
    users = read_by_id(fields.get("users"), Reading(read_user, plain_user, beside.users))
    accounts = read_by_id(
        fields.get("bank_accounts"),
        Reading(read_bank_account, plain_account, beside.bank_accounts),
    )
    known = _known(tenant, users, accounts, beside)
    placed = tuple(_Rules(known, beside.rules).read(fields.get("rules")))
    if tenant is None:
        return None
    found = TenantRules(
        tenant=tenant,
        users={user.user_id: user for user in users.values() if user},
        bank_accounts={account.account_id: account for account in accounts.values() if account},
        rules=tuple(sorted((rule for rule, _ in placed), key=lambda rule: rule.rule_id)),
    )
    _note_hints(found, placed, beside)
    return found


def _head_of(part: Field) -> Table:
    """Return what stands of the tenant itself, without its lists."""
    entries = part.node.entries if isinstance(part.node, Table) else ()
    names = (*HEAD, *OPTIONAL_HEAD)
    head = tuple(e for e in entries if isinstance(e[0], Scalar) and e[0].text in names)
    return Table(part.node.line, head)


def _known(
    tenant: Tenant | None,
    users: Mapping[str, User | None],
    accounts: Mapping[str, BankAccount | None],
    beside: Beside,
) -> Known:
    known_users, known_accounts = set(users), set(accounts)
    if beside.adding:
        known_users |= beside.users.keys()
        known_accounts |= beside.bank_accounts.keys()
    names = {word.casefold() for user in users.values() if user for word in user.name.split()}
    return Known(
        tenant_id=tenant.tenant_id if tenant else TenantId(""),
        language=tenant.language if tenant else Language.DE,
        users=known_users,
        bank_accounts=known_accounts,
        names=names,
        dangling=beside.dangling,
        gone_may_stay=beside.gone_may_stay,
    )


Placed = tuple[Rule, Field]


@dataclass(frozen=True, slots=True)
class _Rules:
    """A tenant's rules, read one after another: no two have one id or one description."""

    known: Known
    stored: Mapping[RuleId, Rule]
    ids: dict[str, int] = field(default_factory=dict)
    descriptions: dict[str, int] = field(default_factory=dict)

    def read(self, listing: Field | None) -> Iterator[Placed]:
        for part in (listing.parts() or ()) if listing else ():
            stored = self.stored.get(RuleId(part.word_at("id")))
            rule = kept(part, partial(self._read, part), stored, plain_rule)
            if rule is not None:
                yield rule, part

    def _read(self, part: Field) -> Rule | None:
        rule = read_rule(part, self.known)
        own_id = part.find("id")
        is_new = _see_once(part.find("description"), "description", self.descriptions)
        if own_id or (is_new and rule is None):
            _see_once(own_id, "id", self.ids)
        elif is_new and rule is not None:
            self._see_default_id(rule, part)
        return rule

    def _see_default_id(self, rule: Rule, part: Field) -> None:
        if rule.rule_id in self.ids:
            first = f"first given in line {self.ids[rule.rule_id]}"
            part.fault(f"duplicate id {quoted(rule.rule_id)}, made of the description; {first}")
        self.ids[rule.rule_id] = part.node.line


def _see_once(place: Field | None, what: str, seen: dict[str, int]) -> bool:
    """Note a text of a rule, or report that it was given before; say whether it was not."""
    if place is None or not isinstance(place.node, Scalar):
        return True
    normal = unicodedata.normalize("NFC", place.node.text)
    if normal in seen:
        text, line = quoted(place.node.text), seen[normal]
        place.fault(f"duplicate {what} {text}; first given in line {line}")
        return False
    seen[normal] = place.node.line
    return True


def _note_hints(found: TenantRules, placed: tuple[Placed, ...], beside: Beside) -> None:
    """Note what is odd about the rules, at the fields that it is about."""
    whole = beside.with_stored(found)
    parts = {rule.rule_id: part for rule, part in placed}
    for hint in hints_for(whole):
        part = parts[hint.rule_id]
        (part.find(hint.key) or part).note(hint.text)
