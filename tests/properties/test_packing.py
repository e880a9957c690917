"""A packed rule is the rule, and a snapshot changed by tenants is the one compiled anew."""

from hypothesis import given, settings
from hypothesis import strategies as st

from rules_store.entries import TenantEntry, compile_tenant
from rules_store.packing import pack, unpack
from rules_store.recipients import Verification, recipients_of, resolve_users
from rules_store.snapshot import Snapshot
from schemas.rules import ExternalRecipient, Rule, TenantRules, User, WantedRule
from schemas.vocabulary import DetailLevel, Generation, Language, RuleId, SubjectFact, UserId
from tests.builders import a_tenant, rules_at
from tests.properties.test_matching import TENANTS, tenant_rules_of, triggers
from tests.strategies import instants

# Raw SQL can write any text: NUL, half a surrogate pair, what looks like a piece of its own.
texts = st.text(max_size=12) | st.sampled_from(["", "\0", "a\0b", "\ud800", "u-1", "e0", "@"])
user_ids = st.sampled_from(["u-1", "u-2", "", "\0"]).map(UserId)
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
verifications = st.sampled_from(Verification)


# Would catch: a field left out, a sign for two things, a text cut where another writer put a NUL,
# an external address mistaken for the place of one.
@settings(max_examples=200)
@given(rules, users, languages, verifications)
def test_every_field_survives_packing(
    rule: Rule,
    users: dict[UserId, User],
    language: Language | None,
    verification: Verification,
) -> None:
    tenant = a_tenant(language=language or Language.DE)
    recipients, left_out = recipients_of(rule, tenant, resolve_users(users), verification)

    unpacked = unpack(pack(rule, recipients, left_out), tenant, rule.trigger)

    assert unpacked == WantedRule(
        tenant=tenant, rule=rule, recipients=recipients, left_out=left_out
    )


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
        entry: TenantEntry | None = compile_tenant(tenant, Verification.OFF)
        held[tenant_id] = tenant
        if gone and generation % 2:
            entry = None
            del held[tenant_id]
        changed = changed.with_entries(Generation(generation), {tenant_id: entry})

    anew = Snapshot.compile(rules_at(*held.values(), generation=len(changes) + 1))
    assert dict(changed.entries) == dict(anew.entries)
    assert (changed.generation, changed.rejected_rules) == (anew.generation, 0)
    assert dict(before.entries) == {}
