from email import message_from_bytes, policy

from mailer.mime import mime_bytes
from mailer.tokens import unsubscribe_token
from mailer.unsubscribing import Unsubscribing
from schemas.addresses import EmailAddress
from schemas.mails import OutgoingMail
from schemas.rules import Recipient
from schemas.vocabulary import Audience, RuleId, TenantId
from tests.builders import a_decision, a_recipient, a_renderer, a_status_update, a_wanted_rule

KEY = "a key of sixteen"
OUTSIDE = a_recipient(address=EmailAddress("steuer@kanzlei.example"), audience=Audience.EXTERNAL)
TOKEN = unsubscribe_token(KEY, TenantId("m-10482"), RuleId("r-every-status"), OUTSIDE.address)


def unsubscribing(**changes: object) -> Unsubscribing:
    by_mail = EmailAddress("unsub@mail.push.example")
    fields = {"key": KEY, "url": "https://portal.example/u/", "mailbox": by_mail} | changes
    return Unsubscribing(**fields)  # type: ignore[arg-type]  # the fields are the caller's


def mail(offered: Unsubscribing | None, recipient: Recipient) -> OutgoingMail:
    renderer = a_renderer(unsubscribing=offered)
    return renderer.render(a_status_update(), a_wanted_rule(), recipient, a_decision())


def test_an_external_reader_gets_the_pair_of_headers_with_a_token_that_verifies() -> None:
    message = message_from_bytes(mime_bytes(mail(unsubscribing(), OUTSIDE)), policy=policy.default)

    assert message["List-Unsubscribe"] == (
        f"<https://portal.example/u/{TOKEN}>, <mailto:unsub+{TOKEN}@mail.push.example>"
    )
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_without_a_mailbox_the_page_alone_is_offered() -> None:
    sent = mail(unsubscribing(mailbox=None), OUTSIDE)

    assert sent.unsubscribe_url == f"https://portal.example/u/{TOKEN}"
    assert sent.unsubscribe_mailto is None


def test_a_user_of_the_tenant_gets_none() -> None:
    sent = mail(unsubscribing(), a_recipient())

    assert (sent.unsubscribe_url, sent.unsubscribe_mailto) == (None, None)


def test_where_nothing_serves_it_nobody_is_offered_it() -> None:
    sent = mail(None, OUTSIDE)

    assert (sent.unsubscribe_url, sent.unsubscribe_mailto) == (None, None)


def test_the_key_shows_itself_nowhere() -> None:
    assert KEY not in repr(a_renderer(unsubscribing=unsubscribing()))
