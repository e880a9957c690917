"""The mails of the measurement: as large as real ones, to many domains, as records of a topic."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from confluent_kafka import Producer

from schemas.addresses import EmailAddress
from schemas.codec import encode_mail
from schemas.framing import single_object_prefix
from schemas.mails import OutgoingMail
from schemas.published import OUTGOING_MAIL, published
from schemas.vocabulary import FileId, MailId, TenantId
from tests.builders import an_outgoing_mail

DOMAINS = 1_000  #: treasurers sit at many companies
_LINE = "Auftrag EB-2026-0042: von der Bank abgelehnt (AC01), Kontonummer falsch – bitte prüfen. "
TEXT = _LINE * 12  # about 1 kB
HTML = f"<!DOCTYPE html>\n<html lang='de'><body>{'<p>' + _LINE + '</p>'}" + f"<p>{_LINE}</p>\n" * 50


def mails(count: int, run: str) -> Iterator[OutgoingMail]:
    """Yield mails of one run, about 7 kB each as MIME, each to somebody else."""
    now = datetime.now(UTC).replace(microsecond=0)
    for number in range(count):
        name = hashlib.sha256(f"{run}/{number}".encode()).hexdigest()[:32]
        yield an_outgoing_mail(
            mail_id=MailId(name),
            tenant_id=TenantId(f"m-{number % 50}"),
            file_id=FileId(f"file-{number}"),
            recipient=EmailAddress(f"anna{number}@d{number % DOMAINS}.example"),
            text=f"{number}\n{TEXT}",
            html=HTML,
            message_id=f"<{name}@mail.push.example>",
            date=now,
            expires_at=now + timedelta(days=1),
        )


def publish(bootstrap: str, topic: str, count: int, run: str) -> None:
    """Write so many mails to a topic, keyed like their events."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 20, "acks": "all"})
    prefix = single_object_prefix(published(OUTGOING_MAIL).fingerprint)
    for mail in mails(count, run):
        producer.produce(topic, encode_mail(mail, prefix), str(mail.file_id).encode())
        producer.poll(0)
    producer.flush(60)
