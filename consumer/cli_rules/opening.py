"""The rules store, opened for one command, and every error told on a line."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from getpass import getuser
from typing import TYPE_CHECKING

from consumer.commands import fatal_errors, settings_or_exit
from schemas.errors import Fatal, InvalidInput, PushError, Temporary
from schemas.vocabulary import TenantId

if TYPE_CHECKING:
    from rules_store.ports import LoadedRules
    from rules_store.sql import SqlRulesStore
    from schemas.rules import Rule, TenantRules


@contextmanager
def told_errors() -> Iterator[None]:
    """Tell each error as lines on stderr with its exit code; these commands wait for nothing."""
    with fatal_errors():
        try:
            yield
        except Temporary as error:
            raise Fatal(str(error)) from error


def database_url() -> str:
    """Return where the rules lie, or end the command with what is wrong with the settings."""
    return settings_or_exit().database_url.get_secret_value()


@contextmanager
def open_store() -> "Iterator[SqlRulesStore]":
    """Give the store of the settings, its tables checked."""
    from rules_store.sql import SqlRulesStore, check_schema, engine_for

    logging.getLogger("rules_store").addHandler(logging.NullHandler())  # commands tell it in words
    engine = engine_for(database_url())
    try:
        check_schema(engine)
        yield SqlRulesStore(engine, changed_by=_whoever_types())
    finally:
        engine.dispose()


def _whoever_types() -> str:
    """Return whom the history is to name for what a command changes."""
    try:
        return f"push-services rules ({getuser()})"
    except (KeyError, OSError):  # a container may run as a user that nobody has named
        return "push-services rules"


@contextmanager
def stored_tenants() -> "Iterator[Callable[[TenantId], TenantRules | None]]":
    """Give what says what the store has of a tenant, nothing where nobody can say."""
    with ExitStack() as opened:
        stores: list[SqlRulesStore] = []

        def stored(tenant_id: TenantId) -> "TenantRules | None":
            try:
                if not stores:
                    stores.append(opened.enter_context(open_store()))
                found = stores[0].load_tenants((tenant_id,)).rules.tenants
            except PushError:
                return None
            return found[0] if found else None

        yield stored


def load_rules(tenants: Sequence[str] = ()) -> "LoadedRules":
    """Return the stored rules of these tenants, of all where none is named.

    Raise `InvalidInput` for each of them that is not there.
    """
    with open_store() as store:
        if not tenants:
            return store.load()
        loaded = store.load_tenants([TenantId(name) for name in tenants])
    found = {each.tenant.tenant_id for each in loaded.rules.tenants}
    missing = [name for name in tenants if name not in found]
    if missing:
        raise InvalidInput([f"push-services: there is no tenant {name!r}" for name in missing])
    return loaded


def tenant_of(loaded: "LoadedRules", tenant: str) -> "TenantRules":
    """Return all that one tenant has, or raise `InvalidInput`."""
    for tenant_rules in loaded.rules.tenants:
        if tenant_rules.tenant.tenant_id == tenant:
            return tenant_rules
    raise InvalidInput([f"push-services: there is no tenant {tenant!r}"])


def rule_of(tenant_rules: "TenantRules", rule: str) -> "Rule":
    """Return a tenant's rule, or raise `InvalidInput`."""
    for found in tenant_rules.rules:
        if found.rule_id == rule:
            return found
    raise no_such_rule(tenant_rules.tenant.tenant_id, rule)


def no_such_rule(tenant: str, rule: str) -> InvalidInput:
    """Return what to say of a rule that is not there."""
    return InvalidInput([f"push-services: tenant {tenant!r} has no rule {rule!r}"])
