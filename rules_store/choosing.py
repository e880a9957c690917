"""Which rules somebody asks for: by what they wait for and whom they mail."""

from dataclasses import dataclass

from rules_store.addresses import identity_of, split_addresses
from schemas.rules import AllAccounts, OnStatusUpdated, Rule
from schemas.vocabulary import EventType, PaymentStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What a rule must have to be taken; None asks for nothing."""

    event_type: EventType | None = None
    status: PaymentStatus | None = None
    account_id: str | None = None
    recipient: str | None = None  #: a user's id or an address
    enabled: bool | None = None

    def takes(self, rule: Rule) -> bool:
        """Say whether the rule has all that is asked for."""
        return (
            self.event_type in (None, rule.trigger.event_type)
            and self.enabled in (None, rule.enabled)
            and (self.status is None or _wants_status(rule, self.status))
            and (self.account_id is None or _wants_account(rule, self.account_id))
            and (self.recipient is None or _names(rule, self.recipient))
        )


def _wants_status(rule: Rule, status: PaymentStatus) -> bool:
    # a rejected file has the one status that cannot be ticked (R11)
    trigger = rule.trigger
    if isinstance(trigger, OnStatusUpdated):
        return status in trigger.ticked
    return not status.tickable


def _wants_account(rule: Rule, account_id: str) -> bool:
    # a rejected file is the whole tenant's business, whatever account it touches (R6)
    trigger = rule.trigger
    if not isinstance(trigger, OnStatusUpdated) or isinstance(trigger.accounts, AllAccounts):
        return True
    return account_id in trigger.accounts.account_ids


def _names(rule: Rule, recipient: str) -> bool:
    if recipient in rule.internal_recipients:
        return True
    wanted = identity_of(recipient)
    return any(
        identity_of(address) == wanted
        for external in rule.external_recipients
        for address in split_addresses(external.address)
    )
