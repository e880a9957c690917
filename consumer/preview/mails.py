"""The mails that an event would send: asked of the same planner and renderer that `run` asks."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from consumer import wiring
from consumer.registry import PublishedSchemas
from consumer.settings import Settings
from mailer.rendering import Renderer
from rules_store.files.reading import RulesFile, read_rules_files
from rules_store.matching import judge
from rules_store.snapshot import Snapshot
from rules_store.sql import SqlRulesStore, check_schema, engine_for
from schemas.codec import Codec, encode_event
from schemas.errors import Fatal, InvalidInput, Temporary
from schemas.events import PaymentEvent
from schemas.framing import single_object_prefix
from schemas.mails import OutgoingMail
from schemas.plans import Decision
from schemas.published import OUTGOING_MAIL, published
from schemas.records import Record
from schemas.rules import (
    AllAccounts,
    ExternalRecipient,
    OnFileRejected,
    OnStatusUpdated,
    Rule,
    RulesAt,
    Tenant,
    TenantRules,
    User,
)
from schemas.vocabulary import (
    TICKABLE,
    Audience,
    DetailLevel,
    Generation,
    Language,
    RuleId,
    SubjectFact,
    TenantId,
    UserId,
)


def _prefix(name: str) -> bytes:
    return single_object_prefix(published(name).fingerprint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Previewer:
    """Renders events by these rules, as `run` would at this instant."""

    settings: Settings
    renderer: Renderer
    rules: RulesAt
    at: datetime

    def mails(self, event: PaymentEvent) -> tuple[OutgoingMail, ...]:
        """Return the mails that the event sends, none where no rule wants it."""
        snapshot = Snapshot.compile(self.rules)
        planner = wiring.planner(
            self.settings,
            Codec(PublishedSchemas()),
            _prefix(OUTGOING_MAIL),
            self.renderer,
            snapshot,
            Decision(self.at, snapshot.generation),
        )
        share = planner.share(_record(self.settings, event))
        return tuple(mail for mail, _ in share.mails)

    def verdicts(self, event: PaymentEvent) -> Iterator[str]:
        """Say of each rule of the event's tenant what it makes of the event."""
        for tenant_rules in self.rules.tenants:
            if tenant_rules.tenant.tenant_id == event.tenant_id:
                for rule in tenant_rules.rules:
                    yield f"{rule.rule_id}: {judge(rule, event.routing)}"


def _record(settings: Settings, event: PaymentEvent) -> Record:
    """Return the event as it would lie in its topic."""
    event_type = event.routing.event_type
    topics = {name: topic for topic, name in wiring.event_types(settings).items()}
    value = encode_event(event, _prefix(event_type))
    return Record(topics[event_type], 0, 0, -1, None, value)


def sample_rules(
    tenant_id: TenantId, level: DetailLevel, language: Language, audience: Audience
) -> RulesAt:
    """Return rules of an invented tenant that want every event, for one reader."""
    inside = audience is Audience.INTERNAL
    user = User(
        user_id=UserId("u-sample"), name="Sample", email="anna@muster.example", language=language
    )
    rule = Rule(
        tenant_id=tenant_id,
        rule_id=RuleId("r-sample"),
        description="Zahlläufe Einkauf" if language is Language.DE else "Purchasing payments",
        trigger=OnFileRejected(),
        subject="",
        subject_may_show=frozenset(SubjectFact),
        detail_internal=level,
        detail_external=level,
        internal_recipients=(user.user_id,) if inside else (),
        external_recipients=() if inside else (_outside(language),),
    )
    on_update = OnStatusUpdated(frozenset(TICKABLE), AllAccounts())
    rules = (rule, replace(rule, rule_id=RuleId("r-sample-updates"), trigger=on_update))
    tenant = Tenant(tenant_id=tenant_id, name="Muster Maschinenbau GmbH", language=language)
    users = {user.user_id: user}
    return RulesAt(Generation(1), (TenantRules(tenant=tenant, users=users, rules=rules),))


def _outside(language: Language) -> ExternalRecipient:
    return ExternalRecipient(address="kanzlei@treuhand.example", language=language)


def filed_rules(path: Path) -> RulesAt:
    """Return what a rules file says, or raise `InvalidInput` with every fault."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidInput([f"{path}: cannot be read ({type(error).__name__})"]) from None
    return RulesAt(Generation(1), read_rules_files([RulesFile(str(path), content)]).tenants)


def stored_rules(settings: Settings, tenant_id: TenantId) -> RulesAt:
    """Return a tenant's rules as the database has them; raise `Fatal` where it gives no answer."""
    engine = engine_for(settings.database_url.get_secret_value())
    try:
        check_schema(engine)
        return SqlRulesStore(engine).load_tenants((tenant_id,)).rules
    except Temporary as error:
        raise Fatal(str(error)) from error
    finally:
        engine.dispose()
