"""How external readers end their mails of a rule: RFC 8058 by web, RFC 2369 by mail.

A rule is a standing subscription that somebody else made, so its external readers are always
offered a way out, where the operator serves one (email.md, section 8).
"""

from dataclasses import dataclass, field

from mailer.tokens import unsubscribe_token
from schemas.addresses import EmailAddress
from schemas.rules import Recipient, Rule
from schemas.vocabulary import Audience


@dataclass(frozen=True, slots=True)
class WaysOut:
    """Where one reader ends the mails of one rule, as URLs."""

    url: str | None = None
    mailto: str | None = None


NO_WAY_OUT = WaysOut()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsubscribing:
    """What serves it; `url` is a page's without the token, `mailbox` takes `local+token`."""

    key: str = field(repr=False)
    url: str
    mailbox: EmailAddress | None = None

    def ways_out(self, rule: Rule, recipient: Recipient) -> WaysOut:
        """Return an external reader's ways out; users of the tenant change the rule instead."""
        if recipient.audience is not Audience.EXTERNAL:
            return NO_WAY_OUT
        token = unsubscribe_token(self.key, rule.tenant_id, rule.rule_id, recipient.address)
        return WaysOut(f"{self.url.rstrip('/')}/{token}", self._mailto(token))

    def _mailto(self, token: str) -> str | None:
        if self.mailbox is None:
            return None
        local, _, domain = self.mailbox.text.partition("@")
        return f"mailto:{local}+{token}@{domain}"
