"""A packed rule is the rule, and a snapshot changed by tenants is the one compiled anew."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rules_store.entries import TenantEntry, compile_tenant
from rules_store.packing import find_users, pack, pack_users, unpack
from rules_store.recipients import resolve_users
from rules_store.rows import StoredRows
from rules_store.slices import by_position, compile_readably, compile_rows
from rules_store.snapshot import Snapshot
from schemas.rules import ExternalRecipient, Rule, TenantRules, User
from schemas.vocabulary import (
    DetailLevel,
    EventType,
    Generation,
    Language,
    PaymentStatus,
    RuleId,
    SubjectFact,
    UserId,
)
from tests.builders import a_tenant, rules_at
from tests.examples import examples
from tests.properties.test_matching import TENANTS, tenant_rules_of, triggers
from tests.strategies import instants

# Raw SQL can write any text: NUL, half a surrogate pair, what looks like a piece of its own.
texts = st.text(max_size=12) | st.sampled_from(["", "\0", "a\0b", "\ud800", "u-1", "e0", "@"])
user_ids = st.sampled_from(["u-1", "u-2", "", "\0", "\1u-1", "+0"]).map(UserId)
addresses = st.sampled_from(["a@x.example", "A@X.example; b@y.example", "b@y.example"]) | texts
languages = st.none() | st.sampled_from(Language)

users = st.lists(
    st.builds(
        User,
        user_id=user_ids,
        name=st.just("Name"),
        email=st.none() | addresses,
        language=languages,
        active=st.booleans(),
    )
).map(lambda found: {user.user_id: user for user in found})
externals = st.builds(
    ExternalRecipient,
    address=addresses,
    language=languages,
    verified_at=st.none() | instants,
)
rules = st.builds(
    Rule,
    tenant_id=st.just(a_tenant().tenant_id),
    rule_id=texts.map(RuleId),
    description=texts,
    trigger=triggers,
    subject=texts,
    subject_may_show=st.frozensets(st.sampled_from(SubjectFact)),
    detail_internal=st.sampled_from(DetailLevel),
    detail_external=st.sampled_from(DetailLevel),
    internal_recipients=st.lists(user_ids, max_size=3).map(tuple),
    external_recipients=st.lists(externals, max_size=3).map(tuple),
)


# Would catch: a field left out, a sign for two things, a text cut where another writer put a NUL.
@examples(2)
@given(rules)
def test_every_field_of_a_rule_survives_packing(rule: Rule) -> None:
    assert unpack(pack(rule), a_tenant(), rule.trigger) == rule


# Would catch: a user found by a part of an id, or by what stands in another's address.
@examples(2)
@given(users, st.lists(user_ids, max_size=3))
def test_packed_users_become_what_the_users_do(
    users: dict[UserId, User], named: list[UserId]
) -> None:
    packed = pack_users(
        (one.user_id, one.email, one.language, one.active) for one in users.values()
    )

    found = find_users(packed, named)

    meant = {user_id: users[user_id] for user_id in named if user_id in users}
    assert resolve_users(found) == resolve_users(meant)


# Would catch: a change that reaches another tenant's bucket, the old snapshot changed in place,
# counts that drift.
@given(
    st.lists(tenant_rules_of(TENANTS[0]) | tenant_rules_of(TENANTS[1]), max_size=4),
    st.booleans(),
)
def test_a_snapshot_changed_tenant_by_tenant_is_the_one_compiled_anew(
    changes: list[TenantRules], gone: bool
) -> None:
    before = Snapshot.compile(rules_at())
    changed, held = before, dict[str, TenantRules]()

    for generation, tenant in enumerate(changes, start=2):
        tenant_id = tenant.tenant.tenant_id
        entry: TenantEntry | None = compile_tenant(tenant)
        held[tenant_id] = tenant
        if gone and generation % 2:
            entry = None
            del held[tenant_id]
        changed = changed.with_entries(Generation(generation), {tenant_id: entry})

    anew = Snapshot.compile(rules_at(*held.values(), generation=len(changes) + 1))
    assert dict(changed.entries) == dict(anew.entries)
    assert (changed.generation, changed.rejected_rules) == (anew.generation, 0)
    assert dict(before.entries) == {}


# Rows as a driver gives them, and as SQLite does where somebody has written without any check.
spoilt = st.sampled_from([None, 7, b"\xff", "?", ""])
flags = st.booleans() | st.sampled_from([0, 1, 0, 1, 2, "no"])
tenants_named = st.sampled_from(["m-1", "m-2"])
rules_named = st.sampled_from(["r-1", "r-2", "r-3"])
levels = st.sampled_from([*map(str, DetailLevel), "most"])
languages_stored = st.sampled_from([None, "de", "en", "de", "fr"])


def rows_of(*columns: st.SearchStrategy[Any], keys: int) -> st.SearchStrategy[list[Any]]:
    """Return rows of these columns; the first of them are unique together, as a key is."""
    return st.lists(st.tuples(*columns), max_size=6, unique_by=lambda row: row[:keys])


stored_rows = st.builds(
    StoredRows,
    tenants=st.just([("m-1", "Eins", "de", "Europe/Berlin"), ("m-2", "Zwei", "en", "Europe/Rome")])
    | st.just([("m-1", "Eins", "fr", "Europe"), ("m-2", b"Zwei", "en", "Europe/Rome")]),
    users=rows_of(
        tenants_named,
        st.sampled_from(["u-1", "u-2"]),
        st.just("Name"),
        st.sampled_from([None, "a@x.example", "b@X.example", b"\xff", " "]),
        languages_stored,
        flags,
        keys=2,
    ),
    rules=rows_of(
        tenants_named,
        rules_named,
        st.sampled_from(["Regel", "a\0b", b"\xff"]),
        st.sampled_from([*map(str, EventType), *map(str, EventType), "eds-order"]),
        flags,
        st.sampled_from(["", "{{ status }}", 5]),
        flags,
        flags,
        levels,
        levels,
        flags,
        keys=2,
    ),
    statuses=rows_of(
        tenants_named, rules_named, st.sampled_from([*map(str, PaymentStatus), "FIN_NEW"]), keys=3
    ),
    accounts=rows_of(tenants_named, rules_named, st.sampled_from(["acc-1", "acc-2", b"a"]), keys=3),
    internal_recipients=rows_of(
        tenants_named,
        rules_named,
        st.sampled_from(["u-1", "u-2", "u-3"]),
        st.integers(0, 2),
        keys=3,
    ),
    external_recipients=rows_of(
        tenants_named,
        rules_named,
        st.sampled_from(["a@x.example", "B@X.example; c@y.example", "?"]),
        st.integers(0, 2) | spoilt,
        languages_stored,
        st.none() | instants,
        keys=3,
    ),
)


# Would catch: a spoilt row read otherwise at a load than by every command, a tenant spoilt by
# another's row, recipients in another order.
@examples(3)
@given(stored_rows)
def test_the_fast_way_from_rows_to_entries_gives_what_the_readable_one_does(
    stored: StoredRows,
) -> None:
    assert dict(compile_rows(stored)) == dict(compile_readably(by_position(stored)))
