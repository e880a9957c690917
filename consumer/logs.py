"""JSON lines: a fixed action, and everything variable as a field.

The text of a line is one of `LogAction` and is never formatted; a truth test holds the code to the
list. Other people's lines (librdkafka, SQLAlchemy) come as the action `library_log`. Whatever a
line holds, mail addresses and IBANs are masked in it on the way out: the last line of defence, and
no reason to log any.
"""

import json
import logging
import sys
import threading
import traceback
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Literal, TextIO, TypeAlias

from consumer.redaction import redacted
from schemas.errors import PushError

logger = logging.getLogger(__name__)

LogAction: TypeAlias = Literal[
    "abort_failed",
    "batch_postponed",
    "batch_settled",
    "claims_taken_over",
    "client_went_back",
    "close_failed",
    "crashed",
    "foreign_rule_refused",
    "kafka_consumer_error",
    "kafka_waited_for",
    "ledger_available",
    "ledger_for_one_process",
    "ledger_kept",
    "ledger_unavailable",
    "left_at_once",
    "library_log",
    "mail_deferred",
    "mail_fell_back",
    "mail_refused",
    "mail_sent",
    "mail_suppressed",
    "mails_held",
    "mails_taken_in",
    "partition_taken_over",
    "partitions_assigned",
    "partitions_revoked",
    "place_not_believed",
    "policy_breaker_closed",
    "policy_breaker_opened",
    "probe_failed",
    "probes_listening",
    "publication_too_large",
    "record_dead_lettered",
    "records_lost",
    "relay_back",
    "relay_left_alone",
    "relay_trouble",
    "reports_postponed",
    "result_not_noted",
    "retention_too_short",
    "retention_unknown",
    "rule_rejected",
    "rules_available",
    "rules_current_again",
    "rules_healed",
    "rules_loading",
    "rules_notices_interrupted",
    "rules_notices_silent",
    "rules_swapped",
    "rules_too_old",
    "rules_unavailable",
    "running",
    "schema_newer",
    "smtp_without_encryption",
    "stopped",
    "stopping",
    "suppression_off",
    "take_over_postponed",
    "time_zone_unknown",
    "topic_made",
    "topic_widened",
    "topics_missing",
    "unsubscribe_not_offered",
    "upkeep_postponed",
    "waited_for",
]

_OURS = ("consumer", "mailer", "rules_store", "schemas")
#: Logged at the operator's level like our own; all other libraries speak up from WARNING on.
_HEARD = (*_OURS, "librdkafka")
_ROOT = Path(__file__).parents[1]
_RESERVED = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_PLAIN = (str, int, float, bool, type(None))

Field: TypeAlias = "str | int | float | bool | list[Field] | dict[str, Field] | None"


def set_up(level: str, *, stream: TextIO) -> None:
    """Log to the stream from `level` on: JSON lines, or for a person where it is a terminal."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(ForPeople() if stream.isatty() else JsonLines())
    root = logging.getLogger()
    for former in root.handlers[:]:
        root.removeHandler(former)
    root.addHandler(handler)
    root.setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level]))
    for name in _HEARD:
        logging.getLogger(name).setLevel(level)


def log_crashes() -> None:
    """Log what nobody caught, on any thread, instead of printing a traceback with its values."""
    sys.excepthook = _log_crash
    threading.excepthook = lambda crash: _log_crash(
        crash.exc_type, crash.exc_value, crash.exc_traceback
    )


def _log_crash(
    kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logger.critical("crashed", exc_info=(kind, error or kind(), trace))


class JsonLines(logging.Formatter):
    """One JSON object per line: time (UTC), level, action, logger, then the line's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without its end."""
        return json.dumps(fields_of(record), ensure_ascii=False)


class ForPeople(logging.Formatter):
    """A short line for a terminal: time of day, level, action, fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without its end, with colours."""
        fields = fields_of(record)
        time, level, action = (str(fields.pop(name)) for name in ("time", "level", "action"))
        fields.pop("logger")
        colour = _COLOURS.get(record.levelno, "")
        told = "  ".join(f"{_DIM}{name}={_OFF}{_brief(value)}" for name, value in fields.items())
        return f"{_DIM}{time[11:19]}{_OFF} {colour}{level:8}{_OFF}{action}  {told}".rstrip()


_DIM, _OFF = "\x1b[2m", "\x1b[0m"
_COLOURS = {
    logging.WARNING: "\x1b[33m",
    logging.ERROR: "\x1b[31m",
    logging.CRITICAL: "\x1b[31;1m",
}


def _brief(value: Field) -> str:
    """Return a field for a terminal; text of others must not steer it."""
    if isinstance(value, str) and value.isprintable() and " " not in value:
        return value
    return json.dumps(value, ensure_ascii=not str(value).isprintable())


def fields_of(record: logging.LogRecord) -> dict[str, Field]:
    """Return everything a line says, each text with addresses and IBANs masked."""
    fields: dict[str, Field] = {
        "time": _utc(datetime.fromtimestamp(record.created, UTC)),
        "level": record.levelname.lower(),
        "action": _action(record),
        "logger": record.name,
    }
    if fields["action"] == "library_log":
        fields["text"] = redacted(record.getMessage())
    extra = {name: value for name, value in vars(record).items() if name not in _RESERVED}
    fields |= {name: _field(value) for name, value in extra.items() if name not in fields}
    if record.exc_info and record.exc_info[1] is not None:
        fields |= _told(record.exc_info[1])
    return fields


def _action(record: logging.LogRecord) -> str:
    ours = record.name.partition(".")[0] in _OURS
    return str(record.msg) if ours and not record.args else "library_log"


def _field(value: object) -> Field:
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, datetime):
        return _utc(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Mapping):
        return {redacted(str(name)): _field(part) for name, part in value.items()}
    if isinstance(value, list | tuple | AbstractSet):
        return [_field(part) for part in value]
    return redacted(str(value) if isinstance(value, date) else repr(value))


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _told(error: BaseException) -> dict[str, Field]:
    """Return what may be said of an exception: kind and place; the text only if it is ours."""
    told: dict[str, Field] = {"error_type": type(error).__name__, "where": _where(error)}
    if isinstance(error, PushError):
        told["error"] = redacted(str(error))
    cause = error.__cause__ or error.__context__
    if cause is not None:
        told["cause_type"] = type(cause).__name__
    return told


def _where(error: BaseException) -> list[Field]:
    """Return `file:line` of each frame in our folders, the outermost first."""
    frames = traceback.extract_tb(error.__traceback__)
    return [
        f"{path.relative_to(_ROOT)}:{frame.lineno}"
        for frame in frames
        if (path := Path(frame.filename)).is_relative_to(_ROOT)
        and path.relative_to(_ROOT).parts[0] in _OURS
    ]
