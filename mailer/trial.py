"""Templates tried on events of every shape, before a treasurer's event finds the shape that fails.

Every example, each once more with every optional fact left out, one after another and all at once,
and with texts as hostile as they come; each told in every level, language and to both audiences.
"""

from collections.abc import Iterator
from dataclasses import MISSING, fields, replace
from itertools import product

from mailer.rendering import Renderer
from schemas.addresses import EmailAddress
from schemas.errors import RenderFailed
from schemas.events import ErrorItem, PaymentEvent, PaymentStatusUpdated, RejectedTransaction
from schemas.example_events import examples_by_name
from schemas.rules import AllAccounts, OnStatusUpdated, Recipient, Rule, Tenant, WantedRule
from schemas.vocabulary import Audience, DetailLevel, Language, RuleId, SubjectFact

HOSTILE = "<script>x</script>\"'&\r\n\u202e{{ 7 * 7 }}%(rule)s https://evil.example " + "x" * 900
_NEEDED = frozenset({"event_id", "tenant_id", "occurred_at", "status", "file_id"})
_READER = EmailAddress("reader@example.com")
_LARGEST_HTML = 102_000  # bytes; longer mails are clipped (email.md, section 9)


def trial_faults(renderer: Renderer) -> list[str]:
    """Return what is wrong with the templates, each fault once, with the first shape of it."""
    found: dict[str, str] = {}
    for shape, event in shapes():
        for level, audience, language in product(DetailLevel, Audience, Language):
            reader = Recipient(_READER, audience, language)
            fault = _fault(renderer, event, _wanted(event, level), reader)
            if fault:
                found.setdefault(fault, f"{fault} ({shape}, {level}, {audience}, {language})")
    return [f"mail template {told}" for told in found.values()]


def shapes() -> Iterator[tuple[str, PaymentEvent]]:
    """Return events of every shape with a name for each."""
    for name, event in examples_by_name().items():
        optional = {
            field.name: field.default
            for field in fields(event)
            if field.default is not MISSING and field.name not in _NEEDED
        }
        yield name, event
        yield f"{name} with nothing optional", replace(event, **optional)
        yield f"{name} with hostile texts", _hostile(event)
        for field_name, nothing in optional.items():
            if getattr(event, field_name) != nothing:
                yield f"{name} without {field_name}", replace(event, **{field_name: nothing})


def _hostile(event: PaymentEvent) -> PaymentEvent:
    texts = {
        field.name: HOSTILE
        for field in fields(event)
        if isinstance(getattr(event, field.name), str)
        and field.name not in {*_NEEDED, "control_sum", "currency", "rejected_sum"}
    }
    errors = (ErrorItem(error_code=HOSTILE, error_message=HOSTILE, error_details=HOSTILE),) * 50
    hostile = replace(event, **texts, errors=errors)  # type: ignore[arg-type]  # texts they are
    if not isinstance(hostile, PaymentStatusUpdated):
        return hostile
    payments = (RejectedTransaction(end_to_end_id=HOSTILE, reason_code=HOSTILE),) * 100
    log = f"{HOSTILE}\n" * 50
    return replace(
        hostile, rejected_transactions=payments, additional_information=log, reason=HOSTILE
    )


def _wanted(event: PaymentEvent, level: DetailLevel) -> WantedRule:
    rule = Rule(
        tenant_id=event.tenant_id,
        rule_id=RuleId("r-trial"),
        description=HOSTILE,
        trigger=OnStatusUpdated(frozenset(), AllAccounts()),
        subject_may_show=frozenset(SubjectFact),
        detail_internal=level,
        detail_external=level,
    )
    tenant = Tenant(tenant_id=event.tenant_id, name=HOSTILE)
    return WantedRule(tenant=tenant, rule=rule, recipients=())


def _fault(
    renderer: Renderer, event: PaymentEvent, wanted: WantedRule, recipient: Recipient
) -> str:
    try:
        html = renderer.content(event, wanted, recipient).html
    except RenderFailed as error:
        return str(error)
    name = f"{event.routing.event_type}.html"
    if "<script>x" in html:
        return f"{name}: foreign text is not escaped"
    return f"{name}: more than 102 kB" if len(html.encode()) > _LARGEST_HTML else ""
