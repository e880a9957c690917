"""One valid thing of each kind; a test names only what it is about."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

from mailer.contents import House
from mailer.rendering import Counts, Renderer
from mailer.sources import Sources
from schemas.addresses import EmailAddress
from schemas.bank_accounts import BankAccount, Iban
from schemas.events import PaymentFileRejected, PaymentStatusUpdated, Routing
from schemas.mails import OutgoingMail
from schemas.plans import Decision
from schemas.rules import (
    AllAccounts,
    ExternalRecipient,
    OnStatusUpdated,
    Recipient,
    Rule,
    RulesAt,
    Tenant,
    TenantRules,
    User,
    WantedRule,
)
from schemas.vocabulary import (
    TICKABLE,
    AccountId,
    Audience,
    EventId,
    EventType,
    FileId,
    Generation,
    Language,
    MailId,
    PaymentStatus,
    RuleId,
    TenantId,
    UserId,
)


def a_tenant(**changes: Any) -> Tenant:
    tenant = Tenant(tenant_id=TenantId("m-10482"), name="Muster Maschinenbau GmbH")
    return replace(tenant, **changes)


def a_user(**changes: Any) -> User:
    user = User(user_id=UserId("u-anna"), name="Anna Beispiel", email="anna@muster.example")
    return replace(user, **changes)


def a_bank_account(**changes: Any) -> BankAccount:
    account = BankAccount(AccountId("acc-7731"), Iban("DE89370400440532013000"), "Hauptkonto")
    return replace(account, **changes)


def an_external_recipient(**changes: Any) -> ExternalRecipient:
    return replace(ExternalRecipient(address="steuer@kanzlei.example"), **changes)


def a_rule(**changes: Any) -> Rule:
    """Return a rule that wants every status of every account and mails u-anna."""
    rule = Rule(
        tenant_id=TenantId("m-10482"),
        rule_id=RuleId("r-every-status"),
        description="Jeder Zahlungsstatus",
        trigger=OnStatusUpdated(frozenset(TICKABLE), AllAccounts()),
        subject="{{ status }}: {{ tenant }}",
        internal_recipients=(UserId("u-anna"),),
    )
    return replace(rule, **changes)


def a_tenant_with(*rules: Rule, **changes: Any) -> TenantRules:
    """Return everything the store holds of a tenant with one user, one account and these rules."""
    user, account = a_user(), a_bank_account()
    tenant_rules = TenantRules(
        tenant=a_tenant(),
        users={user.user_id: user},
        bank_accounts={account.account_id: account},
        rules=rules,
    )
    return replace(tenant_rules, **changes)


def rules_at(*tenants: TenantRules, generation: int = 1) -> RulesAt:
    return RulesAt(Generation(generation), tenants)


def a_routing(**changes: Any) -> Routing:
    """Return the routing part of `a_status_update`."""
    return a_status_update().routing._replace(**changes)


def a_file_routing(**changes: Any) -> Routing:
    """Return the routing part of `a_file_rejected`."""
    return a_file_rejected().routing._replace(**changes)


def a_status_update(**changes: Any) -> PaymentStatusUpdated:
    event = PaymentStatusUpdated(
        event_id=EventId("edff93a5-8932-4d1e-b0d0-32e37b6464f8"),
        tenant_id=TenantId("m-10482"),
        status=PaymentStatus.FIN_REJECTED.value,
        previous_status=PaymentStatus.FIN_UPLOAD_SUCCEEDED.value,
        account_ids=(AccountId("acc-7731"),),
        occurred_at=datetime(2026, 3, 12, 8, 31, 17, tzinfo=UTC),
        file_id=FileId("a6e56b59-40c4-4122-9fdc-a7c90472c44a"),
        received_at=datetime(2026, 3, 12, 7, 15, 2, tzinfo=UTC),
        file_type="pain",
        file_name="miete_q2.xml",
        origin="import",
        transfer_type="EBICS",
        order_type="CCT",
        message_id="MIETE-26Q2",
        accounts=(a_bank_account(),),
        number_of_transactions=1,
        control_sum="8450.00",
        currency="EUR",
        requested_execution_date=date(2026, 3, 12),
        order_id="N9GB",
        reason_code="AC04",
        reason="Konto des Empfaengers ist aufgeloest",
    )
    return replace(event, **changes)


def a_file_rejected(**changes: Any) -> PaymentFileRejected:
    event = PaymentFileRejected(
        event_id=EventId("98ab19bc-ef72-47fe-a4b0-6b04ad0d9dcb"),
        tenant_id=TenantId("m-10482"),
        occurred_at=datetime(2026, 3, 11, 7, 2, 41, tzinfo=UTC),
        file_id=FileId("7125993b-ad3c-464b-9a2d-748831caf496"),
        received_at=datetime(2026, 3, 11, 7, 2, 40, tzinfo=UTC),
        file_type="pain",
        file_name="lieferanten_0311.xml",
        origin="api",
        transfer_type="EBICS",
        order_type="CCT",
        message_id="MSG-2026-0311-01",
        accounts=(a_bank_account(),),
        number_of_transactions=3,
        control_sum="3000.00",
        currency="EUR",
    )
    return replace(event, **changes)


def a_recipient(**changes: Any) -> Recipient:
    recipient = Recipient(EmailAddress("anna@muster.example"), Audience.INTERNAL, Language.DE)
    return replace(recipient, **changes)


def a_wanted_rule(**changes: Any) -> WantedRule:
    wanted = WantedRule(tenant=a_tenant(), rule=a_rule(), recipients=(a_recipient(),))
    return replace(wanted, **changes)


def a_decision(**changes: Any) -> Decision:
    decision = Decision(datetime(2026, 3, 12, 8, 31, 18, tzinfo=UTC), Generation(7))
    return replace(decision, **changes)


def a_renderer(**changes: Any) -> Renderer:
    """Return a renderer as the daemon builds it, templates and wording of the package."""
    house, sources = changes.pop("house", a_house()), changes.pop("sources", None)
    built = _packaged(house) if sources is None else _built(house, sources)
    return replace(built, counts=Counts(), _last={}, **changes)


def _built(house: House, sources: Sources | None) -> Renderer:
    return Renderer.build(
        sender_name="konfipay",
        sender_address=EmailAddress("benachrichtigung@mail.push.example"),
        house=house,
        expires_after=timedelta(days=1),
        sources=sources,
    )


@cache  # compiling the templates takes a quarter of a second
def _packaged(house: House) -> Renderer:
    return _built(house, None)


def a_house(**changes: Any) -> House:
    house = House(platform="konfipay", portal_url="https://portal.example/files")
    return replace(house, **changes)


def an_outgoing_mail(**changes: Any) -> OutgoingMail:
    mail = OutgoingMail(
        mail_id=MailId("0123456789abcdef0123456789abcdef"),
        event_id=EventId("edff93a5-8932-4d1e-b0d0-32e37b6464f8"),
        rule_id=RuleId("r-rejected"),
        tenant_id=TenantId("m-10482"),
        file_id=FileId("a6e56b59-40c4-4122-9fdc-a7c90472c44a"),
        event_type=EventType.PAYMENT_STATUS_UPDATED,
        audience=Audience.INTERNAL,
        language=Language.DE,
        recipient=EmailAddress("anna@muster.example"),
        subject="Von Bank abgelehnt",
        text="Von Bank abgelehnt\n\nGrüße\n",
        html='<!DOCTYPE html>\n<html lang="de"><body><p>Von Bank abgelehnt</p></body></html>\n',
        from_address=EmailAddress("benachrichtigung@mail.push.example"),
        from_name="konfipay",
        reply_to=None,
        date=datetime(2026, 3, 12, 8, 31, 18, tzinfo=UTC),
        message_id="<0123456789abcdef0123456789abcdef@mail.push.example>",
        thread_root="<p.fedcba9876543210@mail.push.example>",
        list_id="<r.t.mail.push.example>",
        unsubscribe_url=None,
        unsubscribe_mailto=None,
        expires_at=datetime(2026, 3, 13, 8, 31, 18, tzinfo=UTC),
        template_revision="abc123",
        rules_generation=Generation(7),
    )
    return replace(mail, **changes)
