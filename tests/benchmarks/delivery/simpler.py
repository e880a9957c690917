"""The two simpler ways, each as a process of its own: what is compared with `deliver`.

`loop`: reads the records, builds the standard library's `EmailMessage`, opens a connection a mail
and keeps no ledger. `threads`: as many threads as `deliver` has connections, each with smtplib and
a kept connection, our MIME and our ledger, a transaction a step.
"""

import argparse
import smtplib
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from email.utils import format_datetime

from confluent_kafka import Consumer

from consumer.registry import PublishedSchemas
from mailer.addressing import names_of
from mailer.mime import mime_bytes
from mailer.ports import Arrival, Start
from mailer.replies import Phase, Reply
from mailer.results import Fate, Result
from mailer.sql import SqlLedger
from mailer.tables import ledger_engine
from schemas.codec import Codec
from schemas.mails import OutgoingMail
from schemas.records import Record
from tests.real.waiting import LOOPBACK

_TAKEN_IN_AT_ONCE = 500


def records(bootstrap: str, topic: str, count: int) -> Iterator[Record]:
    """Yield the topic's records, as a plain consumer gets them."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"simpler-{topic}",
            "auto.offset.reset": "earliest",
            "fetch.queue.backoff.ms": 10,
        }
    )
    consumer.subscribe([topic])
    left = count
    while left:
        message = consumer.poll(1.0)
        if message is None or message.error() is not None:
            continue
        left -= 1
        partition, offset = message.partition() or 0, message.offset() or 0
        yield Record(topic, partition, offset, -1, message.key(), message.value())
    consumer.close()


def built(mail: OutgoingMail) -> EmailMessage:
    """Return the mail as the standard library builds it."""
    message = EmailMessage()
    message["From"] = f"{mail.from_name} <{mail.from_address.text}>"
    message["To"] = mail.recipient.text
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(mail.date)
    message["Message-ID"] = mail.message_id
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    return message


def loop(bootstrap: str, topic: str, count: int, port: int) -> None:
    """Deliver one mail after the other."""
    codec = Codec(PublishedSchemas())
    for record in records(bootstrap, topic, count):
        mail = codec.decode_mail(record.value)
        with smtplib.SMTP(LOOPBACK, port, "loop", timeout=60) as client:
            client.send_message(built(mail))


def threads(bootstrap: str, topic: str, count: int, port: int, url: str, number: int) -> None:
    """Take all in, then deliver with so many threads."""
    codec, names = Codec(PublishedSchemas()), names_of("a key for measuring")
    ledger = SqlLedger(ledger_engine(url))
    arrivals = []
    for record in records(bootstrap, topic, count):
        mail = codec.decode_mail(record.value)
        arrivals.append(Arrival.of(mail, record, names(mail)))
    for start in range(0, len(arrivals), _TAKEN_IN_AT_ONCE):
        ledger.take_in(arrivals[start : start + _TAKEN_IN_AT_ONCE])
    workers = [
        threading.Thread(target=_work, args=(ledger, codec, port, f"thread-{each}"))
        for each in range(number)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def _work(ledger: SqlLedger, codec: Codec, port: int, owner: str) -> None:
    with smtplib.SMTP(LOOPBACK, port, "thread", timeout=60) as client:
        client.ehlo()
        while claims := ledger.claim(owner, 1):
            claim = claims[0]
            mail = codec.decode_mail(claim.value)
            content = mime_bytes(mail)
            client.mail(mail.from_address.text, [f"size={len(content)}"])
            client.rcpt(mail.recipient.text)
            client.docmd("DATA")
            if ledger.write([], [claim]).started[0] is not Start.GO:
                raise RuntimeError("a claim was lost")
            client.send(content + b".\r\n")
            code, raw = client.getreply()
            reply = Reply.read(code, raw, Phase.CONTENT, mail.recipient)
            ledger.write([(claim, Result(Fate.SENT, reply))])


def main() -> None:
    """Be one of them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("way", choices=["loop", "threads"])
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--url", default="")
    parser.add_argument("--threads", type=int, default=16)
    given = parser.parse_args()
    common = (given.bootstrap, given.topic, given.count, given.port)
    if given.way == "loop":
        loop(*common)
    else:
        threads(*common, given.url, given.threads)


if __name__ == "__main__":
    main()
