"""Who must get a mail, by brute force over plain rules and plain events.

Shares no code with the product: it reads the rules file's data and the events' JSON view, and
applies domain.md section 2 sentence by sentence.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Plain = Mapping[str, Any]

KNOWN_STATUSES = {
    "KON_ACCEPTED_AND_QUEUED",
    "FIN_UPLOAD_SUCCEEDED",
    "FIN_UPLOAD_FAILED",
    "FIN_UPLOAD_UNCLEAR",
    "FIN_VEU_FORWARDED",
    "FIN_VEU_CANCELED",
    "FIN_ACCEPTED",
    "FIN_PARTIALLY_ACCEPTED",
    "FIN_CONFIRMED",
    "FIN_REJECTED",
}
NOT_EXECUTED = {"FIN_UPLOAD_FAILED", "FIN_UPLOAD_UNCLEAR", "FIN_VEU_CANCELED", "FIN_REJECTED"}


def expected_mails(tenants: Iterable[Plain], events: Iterable[Plain]) -> dict[str, tuple[str, ...]]:
    """Return mail id → (tenant, event id, rule id, address), for events as (topic, fields)."""
    by_id = {tenant["id"]: tenant for tenant in tenants}
    return {
        name: (event["tenant_id"], event["event_id"], rule_id, address)
        for event in events
        for name, rule_id, address in mails_of(by_id.get(event["tenant_id"]), event)
    }


def mails_of(tenant: Plain | None, event: Plain) -> Iterator[tuple[str, str, str]]:
    """Yield (mail id, rule id, address) for each mail that an event of this tenant gives."""
    for rule in tenant["rules"] if tenant else ():
        if wants(rule, event):
            for address in addresses(tenant or {}, rule):
                yield mail_id(event["event_id"], rule["id"], address), rule["id"], address


def mail_id(event_id: str, rule_id: str, address: str) -> str:
    """Return a mail's name (R15): 32 hex digits over what makes it."""
    text = f"mail:1\0{event_id}\0{rule_id}\0{address}"
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:32]


def outcome(tenant: Plain | None, event: Plain) -> str:
    """Say what becomes of a readable event that was not settled before (domain.md, section 2)."""
    if tenant is None or not tenant["rules"]:
        return "no_rules"
    if "status" in event:
        if event["status"] not in KNOWN_STATUSES | {"KON_REJECTED"}:
            return "unknown_status"
        if event["status"] == event.get("previous_status"):
            return "unchanged"
    wanting = [rule for rule in tenant["rules"] if wants(rule, event)]
    if not wanting:
        return "no_match"
    return "mailed" if any(any(addresses(tenant, rule)) for rule in wanting) else "no_recipient"


def wants(rule: Plain, event: Plain) -> bool:
    """Say whether a rule of the event's own tenant fires (R3, R6 to R13)."""
    if not rule.get("enabled", True):
        return False
    if "status" not in event:
        return bool(rule["event"] == "payment-file-rejected")
    if rule["event"] != "payment-status-updated":
        return False
    status = event["status"]
    if status not in KNOWN_STATUSES or status == event.get("previous_status"):
        return False
    ticked = NOT_EXECUTED if rule.get("preset") == "not_executed" else set(rule["statuses"])
    if status not in ticked:
        return False
    accounts = rule["bank_accounts"]
    return accounts == "all" or any(name in accounts for name in event["account_ids"])


def addresses(tenant: Plain, rule: Plain) -> Iterator[str]:
    """Yield each address once: active users with an address, then external ones (R17, R22, R23)."""
    seen = set()
    users = {user["id"]: user for user in tenant["users"]}
    listed = [users[name] for name in rule.get("internal_recipients", [])]
    internal = [u["email"] for u in listed if u.get("active", True) and u.get("email")]
    external = [
        entry if isinstance(entry, str) else entry["email"]
        for entry in rule.get("external_recipients", [])
    ]
    for address in internal + external:
        local, _, domain = address.strip().partition("@")
        identity = f"{local}@{domain.lower()}"
        if identity not in seen:
            seen.add(identity)
            yield identity
