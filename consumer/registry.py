"""Writer schemas by registry id, GUID or fingerprint, and our own registered: the door to urllib.

The registry's Confluent-compatible interface is used: `GET schemas/ids/N`, `GET schemas/guids/G`,
`POST subjects/S/versions` to register and `POST subjects/S` to look up.
"""

import base64
import http.client
import json
import logging
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from schemas.avro import AvroSchema
from schemas.errors import (
    AccessDenied,
    InvalidEvent,
    InvalidSettings,
    InvalidValue,
    RegistryUnavailable,
)
from schemas.framing import Fingerprint, RegistryId, SchemaName
from schemas.published import by_fingerprint, text_of
from schemas.vocabulary import DeadLetterReason

logger = logging.getLogger(__name__)

Value = TypeVar("Value")

TIMEOUT = 5.0  # seconds for an answer
UNKNOWN_FOR = 30.0  # seconds an id counts as unknown before it is asked for again
MOST_UNKNOWN = 10_000  # ids remembered as not found: noise must not fill the memory
LARGEST_ANSWER = 1_000_000  # bytes

_DENIED = (401, 403)
_SCHEMA_REFUSED = (409, 422)
_NOT_THERE = (400, 404, 422)  # 400 and 422: an id that cannot be one, so noise in the framing
_CONTENT = "application/vnd.schemaregistry.v1+json"


@dataclass(frozen=True, slots=True)
class PublishedSchemas:
    """`WriterSchemas` without a registry: single-object encoding of our own schemas."""

    def named(self, schema: SchemaName) -> AvroSchema:
        """Return one of our own schemas; see `WriterSchemas`."""
        if not isinstance(schema, Fingerprint):
            raise _unknown("the framing names a registry's schema, and no registry is configured")
        known = by_fingerprint().get(schema)
        if known is None:
            raise _unknown("no published schema has this fingerprint")
        return known


@dataclass(slots=True)
class RegistrySchemas:
    """`WriterSchemas` with a registry; fingerprints are still our own schemas'.

    A schema found is kept for ever, as its id is its for ever; why none was found, for a while.
    """

    registry: "Registry"
    now: Callable[[], float] = time.monotonic
    _known: dict[SchemaName, AvroSchema] = field(default_factory=dict)
    _not_found: dict[SchemaName, tuple[float, str]] = field(default_factory=dict)

    def named(self, schema: SchemaName) -> AvroSchema:
        """Return the schema; see `WriterSchemas`."""
        if isinstance(schema, Fingerprint):
            return PublishedSchemas().named(schema)
        known = self._known.get(schema)
        if known is None:
            known = self._known[schema] = self._asked(schema)
        return known

    def _asked(self, schema: SchemaName) -> AvroSchema:
        until, complaint = self._not_found.get(schema, (0.0, ""))
        if self.now() < until:
            raise _unknown(complaint)
        try:
            return self._found(schema)
        except InvalidEvent as error:
            self._note_not_found(schema, str(error))
            raise

    def _found(self, schema: SchemaName) -> AvroSchema:
        kind = "ids" if isinstance(schema, RegistryId) else "guids"
        text = self.registry.schema_text(f"schemas/{kind}/{schema[0]}")
        if text is None:
            raise _unknown("the registry does not know the schema")
        try:
            return AvroSchema(text)
        except InvalidValue:
            raise _unknown("the registry's schema is not Avro") from None

    def _note_not_found(self, schema: SchemaName, complaint: str) -> None:
        """Note it as the newest; of too many, the oldest is forgotten."""
        self._not_found.pop(schema, None)
        if len(self._not_found) >= MOST_UNKNOWN:
            del self._not_found[next(iter(self._not_found))]
        self._not_found[schema] = (self.now() + UNKNOWN_FOR, complaint)


def _unknown(detail: str) -> InvalidEvent:
    return InvalidEvent(DeadLetterReason.UNKNOWN_SCHEMA, detail)


class Registry:
    """A Schema Registry, asked over HTTP; user and password may stand in the URL."""

    def __init__(self, url: str, timeout: float = TIMEOUT) -> None:
        """Note where the registry is; `timeout` is in seconds, for each step of an answer."""
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        self._base = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
        self._headers = {"Accept": f"{_CONTENT}, application/json", "Content-Type": _CONTENT}
        self._timeout = timeout
        self._authorization: str | None = None
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._authorization = f"Basic {base64.b64encode(pair.encode()).decode()}"

    def schema_text(self, path: str) -> str | None:
        """Return an Avro schema's text, "" for one of another kind, or None if it is not known.

        Raise `RegistryUnavailable` where no answer, or none that can be understood, comes.
        """
        answer = self._ask(path, None)
        if answer is None:
            return None
        if answer.get("schemaType") not in (None, "AVRO"):
            return ""
        return _understood(answer, "schema", str)

    def register(self, subject: str, name: str) -> int:
        """Register our schema of that name under a subject; return its id, also if it was there."""
        answer = self._ask(f"subjects/{quote(subject, safe='')}/versions", text_of(name))
        if answer is None:
            raise RegistryUnavailable(f"registry: no such path for subject {subject}")
        return _understood_id(answer)

    def look_up(self, subject: str, name: str) -> int | None:
        """Return the id of our schema under a subject, or None if it is not there."""
        answer = self._ask(f"subjects/{quote(subject, safe='')}", text_of(name))
        return None if answer is None else _understood_id(answer)

    def _ask(self, path: str, schema: str | None) -> dict[str, Any] | None:
        body = None if schema is None else json.dumps({"schema": schema}).encode()
        request = urllib.request.Request(  # noqa: S310  settings allow http and https alone
            f"{self._base}/{path}", data=body, headers=self._headers
        )
        if self._authorization is not None:  # not for whomever an answer may redirect us to
            request.add_unredirected_header("Authorization", self._authorization)
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as response:  # noqa: S310
                answer = json.loads(response.read(LARGEST_ANSWER))
        except urllib.error.HTTPError as error:
            error.close()
            raise_refusal(error.code, registering=schema is not None)
            return None
        except (OSError, http.client.HTTPException, ValueError, RecursionError) as error:
            raise RegistryUnavailable(f"registry: {type(error).__name__}") from error
        if not isinstance(answer, dict):
            raise RegistryUnavailable("registry: an answer that is no object")
        return answer


def raise_refusal(code: int, *, registering: bool) -> None:
    """Raise what an HTTP status means, or nothing: then what was asked for is not there."""
    if code in _DENIED:
        raise AccessDenied(f"registry: HTTP {code}")
    if registering and code in _SCHEMA_REFUSED:
        fault = f"the registry refuses our schema (HTTP {code})"
        raise InvalidSettings([f"PUSH_SCHEMA_REGISTRY_URL: {fault}"])
    if code not in _NOT_THERE:
        raise RegistryUnavailable(f"registry: HTTP {code}")


def _understood(answer: dict[str, Any], name: str, kind: type[Value]) -> Value:
    value = answer.get(name)
    if not isinstance(value, kind):
        raise RegistryUnavailable(f"registry: an answer without {name}")
    return value


def _understood_id(answer: dict[str, Any]) -> int:
    number = _understood(answer, "id", int)
    if isinstance(number, bool) or not 0 <= number < 2**32:  # four bytes in Confluent framing
        raise RegistryUnavailable("registry: an answer whose id cannot be one")
    return number
