"""What an operator may type for a setting, read strictly: text in, a value or one complaint out.

Each function raises `InvalidValue` with the end of a sentence: what is wrong, the wrong word in
quotes and what is allowed. Functions for secrets, URLs with user info and addresses quote nothing
that could be one. Nothing is trimmed and nothing is guessed.
"""

import re
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from schemas.addresses import EmailAddress
from schemas.errors import InvalidValue

_HOST = r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_.])?|\[[0-9A-Fa-f:.%]+\])"
_BROKER = re.compile(rf"(?:[A-Za-z_]+://)?{_HOST}(?::(?P<port>\d{{1,9}}))?")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")  # Kafka's own rule: Topic.java, LEGAL_CHARS
_DOMAIN = re.compile(r"(?=.{1,200}\Z)[a-z0-9-]+(?:\.[a-z0-9-]+)+")
_HOST_AND_PORT = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[]*):(?P<port>[^:]*)")
_DURATION = re.compile(  # ISO 8601 without years and months, which have no fixed length
    r"P(?=.)(?:(?P<weeks>\d{1,4})W)?(?:(?P<days>\d{1,6})D)?"
    r"(?:T(?=.)(?:(?P<hours>\d{1,6})H)?(?:(?P<minutes>\d{1,6})M)?"
    r"(?:(?P<seconds>\d{1,9}(?:\.\d{1,6})?)S)?)?"
)
_MAILBOX = re.compile(
    r'(?:(?P<name>"[^"<>\\]*"|[^"<>\\]*?) *<(?P<inside>[^<>]*)>)|(?P<bare>[^<>]*)'
)


# 64 signs (RFC 5321 4.5.3.1.1) less a plus and a token; none that means something in a URL
_PLAIN_LOCAL_PART = re.compile(r"[A-Za-z0-9._-]{1,31}")
_LONGEST_BASE_URL = 200  # characters; with a token it still folds into a header line
SHORTEST_KEY = 16  #: characters


class Sender(NamedTuple):
    """Who mails are from: a name to show, if any, and an address."""

    name: str | None
    address: EmailAddress


class Relay(NamedTuple):
    """A mail server."""

    host: str
    port: int


def line(text: str) -> str:
    """Read one line of visible text."""
    if not text.strip() or not text.isprintable():
        raise InvalidValue("must be one line of visible text")
    return text


def secret(text: str) -> str:
    """Read a secret: anything on one line; a complaint about it never quotes it."""
    if any(sign in text for sign in "\r\n\0"):
        raise InvalidValue("must be one line")
    return text


def token_key(text: str) -> str:
    """Read a key that nobody can guess; a complaint about it never quotes it."""
    if len(secret(text)) < SHORTEST_KEY:
        raise InvalidValue(f"is too short; at least {SHORTEST_KEY} characters are needed")
    return text


def brokers(text: str) -> str:
    """Read Kafka's bootstrap servers: `host:port`, several with commas between."""
    for broker in text.split(","):
        match = _BROKER.fullmatch(broker.strip())
        if match is None:
            raise InvalidValue(f"{broker!r} is no broker; allowed is HOST:PORT[,HOST:PORT…]")
        if match["port"] is not None:
            port(match["port"])
    return text


def topic(text: str) -> str:
    """Read the name of a topic."""
    if not _TOPIC.fullmatch(text) or text in {".", ".."}:
        raise InvalidValue(
            f"{text!r} is no name of a topic; allowed are 1 to 249 of A-Z a-z 0-9 . _ -"
        )
    return text


def port(text: str) -> int:
    """Read a port to connect to."""
    return _whole(text, 1, 65_535, "port")


def own_port(text: str) -> int:
    """Read a port to listen on, or 0 for none."""
    return _whole(text, 0, 65_535, "port")


def batch_size(text: str) -> int:
    """Read how many records a batch may have."""
    return _whole(text, 1, 100_000, "number of records")


def count(text: str) -> int:
    """Read a number of records, 0 for none."""
    return _whole(text, 0, 100_000_000, "number of records")


def percent(text: str) -> int:
    """Read a share in percent."""
    return _whole(text, 1, 100, "percentage")


def repeats_limit(text: str) -> int:
    """Read how many event ids a worker may remember."""
    return _whole(text, 1, 50_000_000, "number of ids")


def _whole(text: str, least: int, most: int, noun: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
        raise InvalidValue(f"{text!r} is no {noun}; allowed are {least} to {most}")
    return int(text)


def yes_or_no(text: str) -> bool:
    """Read `true` or `false`."""
    if text not in {"true", "false"}:
        raise InvalidValue(f"{text!r} is neither; allowed are true and false")
    return text == "true"


def duration(text: str) -> timedelta:
    """Read a length of time as ISO 8601 writes it, more than none and at most a year."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise InvalidValue(
            f"{text!r} is no duration; allowed is ISO 8601, as in PT0.25S, PT5M or P1D"
        )
    length = timedelta(**{unit: float(amount or 0) for unit, amount in match.groupdict().items()})
    if not timedelta(milliseconds=10) <= length <= timedelta(days=366):
        raise InvalidValue(f"{text!r} is out of range; allowed are PT0.01S to P366D")
    return length


def duration_or_none(text: str) -> timedelta:
    """Read a short length of time that may be none at all."""
    length = timedelta(0) if text == "PT0S" else duration(text)
    if length > timedelta(seconds=5):
        raise InvalidValue(f"{text!r} is out of range; allowed are PT0S to PT5S")
    return length


def durations(text: str) -> tuple[timedelta, ...]:
    """Read lengths of time with commas between, none shorter than the one before it."""
    lengths = tuple(duration(part.strip()) for part in text.split(","))
    if list(lengths) != sorted(lengths):
        raise InvalidValue(f"{text!r}: no pause may be shorter than the one before it")
    return lengths


def iso_duration(length: timedelta) -> str:
    """Return a length of time as ISO 8601 writes it, such as PT0.25S, PT5M and P1D."""
    minutes, seconds = divmod(length.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f"{seconds}.{length.microseconds:06}".rstrip("0").rstrip(".")
    days = f"{length.days}D" if length.days else ""
    parts = ((str(hours), "H"), (str(minutes), "M"), (fraction, "S"))
    time = "".join(f"{amount}{unit}" for amount, unit in parts if amount != "0")
    return f"P{days}T{time}" if time else f"P{days or 'T0S'}"


def host(text: str) -> str:
    """Read the name or the IP address of a machine; a port is a setting of its own."""
    if not re.fullmatch(rf"{_HOST}|[0-9A-Fa-f:]*::?[0-9A-Fa-f:.]+", text) or len(text) > 253:
        raise InvalidValue(f"{text!r} is no host; allowed is a name or an IP address")
    return text


def relays(text: str) -> str:
    """Read mail servers, `HOST` or `HOST:PORT`, with commas between, and keep them as typed."""
    relay_list(text, 25)
    return text


def relay_list(text: str, default_port: int) -> tuple[Relay, ...]:
    """Return the mail servers that a text names, or raise `InvalidValue`."""
    return tuple(_relay(one.strip(), default_port) for one in text.split(",")) if text else ()


def _relay(text: str, default_port: int) -> Relay:
    match = _HOST_AND_PORT.fullmatch(text)
    if match is None:  # an IPv6 address without brackets, or a fault
        return Relay(host(text), default_port)
    return Relay(host(match["host"]).strip("[]"), port(match["port"]))


def domain(text: str) -> str:
    """Read the domain of mail addresses."""
    if not _DOMAIN.fullmatch(text):
        raise InvalidValue(f"{text!r} is no domain; allowed are lower case a-z 0-9 - and dots")
    return text


def at_once(text: str) -> int:
    """Read how many of something there may be at once."""
    return _whole(text, 1, 10_000, "number")


def rate(text: str) -> float:
    """Read how many a second."""
    if not re.fullmatch(r"[0-9]{1,6}(?:\.[0-9]{1,3})?", text) or not 0.01 <= float(text) <= 100_000:
        raise InvalidValue(f"{text!r} is no rate; allowed are 0.01 to 100000 a second")
    return float(text)


def sender(text: str) -> Sender:
    """Read `address` or `Name <address>`. The domain's case is spelling; no header slips in."""
    match = _MAILBOX.fullmatch(text)
    if match is None or not text.isprintable():
        raise InvalidValue("is no sender; allowed is an address, or Name <address>, on one line")
    local, at, domain = (match["bare"] or match["inside"] or "").rpartition("@")
    try:
        address = EmailAddress(f"{local}{at}{domain.lower()}")
    except InvalidValue:
        raise InvalidValue(
            "holds no mail address; allowed is an address, or Name <address>, in ASCII "
            "(a domain with other letters in its xn-- form)"
        ) from None
    return Sender((match["name"] or "").strip('" ') or None, address)


def sender_line(text: str) -> str:
    """Read who mails are from and keep it as it was typed."""
    sender(text)
    return text


def mailbox(text: str) -> str:
    """Read a bare address; its local part has room for a token, and no sign that URLs change."""
    read = sender(text)
    if read.name is not None or "<" in text:
        raise InvalidValue("allowed is an address alone, without a name")
    if not _PLAIN_LOCAL_PART.fullmatch(read.address.text.partition("@")[0]):
        raise InvalidValue("allowed before the @ are 1 to 31 of A-Z a-z 0-9 . _ -")
    return read.address.text


def database_url(text: str) -> str:
    """Read where the rules live; a file of SQLite needs a folder that exists."""
    parts = _url(text, ("sqlite", "postgresql", "postgres"), "a database")
    if parts.scheme == "sqlite":
        _sqlite_file(text)
    return text


def _sqlite_file(text: str) -> None:
    _, separator, path = text.partition(":///")
    path = unquote(path.partition("?")[0])
    if not separator or not path or path == ":memory:":
        raise InvalidValue("names no file; allowed is sqlite:///FILE or sqlite:////FOLDER/FILE")
    folder = Path(path).absolute().parent
    if not folder.is_dir():
        raise InvalidValue(f"the folder '{folder}' does not exist")
    if Path(path).is_dir():
        raise InvalidValue(f"'{path}' is a folder, not a file")


def folder(text: str) -> str:
    """Read the name of a folder that exists."""
    if not Path(text).is_dir():
        raise InvalidValue(f"the folder '{text}' does not exist")
    return text


def registry_url(text: str) -> str:
    """Read where the Schema Registry is; user info is allowed and never shown."""
    return _web_url(text)


def portal_url(text: str) -> str:
    """Read where the portal is: mails link to it, so it carries no user info and no query."""
    return _printed_url(text)


def unsubscribe_url(text: str) -> str:
    """Read where mails of a rule can be ended: over TLS only (RFC 8058 3.1), with room for more."""
    if not _printed_url(text).startswith("https://"):
        raise InvalidValue("must begin with https://, as RFC 8058 asks for")
    if not text.isascii() or len(text) > _LONGEST_BASE_URL:
        raise InvalidValue(f"must be ASCII, of at most {_LONGEST_BASE_URL} characters")
    return text


def _printed_url(text: str) -> str:
    parts = urlsplit(_web_url(text))
    if parts.username is not None or parts.query or parts.fragment:
        raise InvalidValue("may have no user info, query or fragment; it is printed in mails")
    return text


def _web_url(text: str) -> str:
    parts = _url(text, ("http", "https"), "a web address")
    if not parts.hostname:
        raise InvalidValue(f"names no host; allowed is {parts.scheme}://HOST[:PORT][/PATH]")
    return text


def _url(text: str, schemes: tuple[str, ...], noun: str) -> SplitResult:
    """Take a URL apart, or complain without quoting more than its scheme."""
    scheme, separator, _ = text.partition("://")
    allowed = " and ".join((", ".join(f"{s}://" for s in schemes[:-1]), f"{schemes[-1]}://"))
    if not separator:
        raise InvalidValue(f"is no URL; allowed are {allowed}")
    if scheme not in schemes:
        word = f"'{scheme}://'" if re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]{0,30}", scheme) else "it"
        raise InvalidValue(f"{word} is not the URL of {noun}; allowed are {allowed}")
    try:
        parts = urlsplit(text)
        _ = parts.port  # is read, and so checked, only when asked for
    except ValueError:
        raise InvalidValue(
            "is no URL: its host or port cannot be read (signs like / # ? @ in a password "
            "must be percent-encoded)"
        ) from None
    if any(sign.isspace() or not sign.isprintable() for sign in text) or parts.port == 0:
        raise InvalidValue("is no URL: it holds a space, an invisible sign or port 0")
    return parts


def without_password(url: str) -> str:
    """Return the URL as it may be shown: the password masked, everything else as it is.

    Passwords may also stand in the query (`?password=`), which PostgreSQL allows.
    """
    shown = re.sub(r"(?<=://)([^:/?#@]*):([^/?#]*)@", r"\1:********@", url)
    return re.sub(r"(?i)([?&](?:ssl)?password=)[^&#]*", r"\1********", shown)
