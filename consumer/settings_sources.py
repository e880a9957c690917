"""Where the settings come from: variables named PUSH_…, and files that PUSH_…_FILE names.

Nothing here knows what a value means, only whose it is; every fault is a sentence that starts with
the variable as it was typed.
"""

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

PREFIX = "PUSH_"
KAFKA_PREFIX = "PUSH_KAFKA_"
FILE_SUFFIX = "_FILE"

#: librdkafka properties that hold real underscores (operations.md, section 3).
_UNDERSCORED = frozenset(
    {
        "enabled_events",
        "log_level",
        "ssl_ca",
        "ssl_certificate",
        "ssl_engine_callback_data",
        "ssl_key",
    }
)
#: librdkafka properties that are secrets: masked when shown, and allowed to come from a file.
_KAFKA_SECRETS = frozenset(
    {
        "sasl.username",
        "sasl.password",
        "sasl.oauthbearer.assertion.private.key.passphrase",
        "sasl.oauthbearer.assertion.private.key.pem",
        "sasl.oauthbearer.client.credentials.client.secret",
        "sasl.oauthbearer.client.secret",
        "sasl.oauthbearer.config",
        "ssl.key.password",
        "ssl.key.pem",
        "ssl.keystore.password",
    }
)
# Kubernetes sets these in every pod beside a Service called `push-services`.
_SERVICE_LINK = re.compile(r"PUSH_SERVICES_(?:SERVICE_|PORT(?:_|\Z))")


@dataclass(frozen=True, slots=True)
class Value:
    """What was given for a setting, and where: `environment PUSH_X` or `file /path`."""

    text: str = field(repr=False)
    source: str


@dataclass(frozen=True, slots=True)
class Given:
    """Everything that was given, by the name without _FILE, and what is wrong with the names.

    `settings` and `kafka` are both keyed by variable, `kafka` holding the librdkafka properties.
    """

    settings: Mapping[str, Value]
    kafka: Mapping[str, Value]
    faults: Sequence[str]
    attempted: AbstractSet[str]  # given, rightly or wrongly


def is_known(variable: str, names: AbstractSet[str], secrets: AbstractSet[str]) -> bool:
    """Say whether the variable can mean something: a setting, a secret's file or a property."""
    base = _file_of(variable, secrets)
    return variable in names or base is not None or is_kafka(variable)


def is_kafka(variable: str) -> bool:
    """Say whether the variable sets a librdkafka property, known to librdkafka or not."""
    return re.fullmatch(r"PUSH_KAFKA_[A-Z0-9]+(?:_[A-Z0-9]+)*", variable) is not None


def kafka_property(variable: str) -> str:
    """Return the librdkafka property that a variable PUSH_KAFKA_… sets."""
    lower = variable.removeprefix(KAFKA_PREFIX).lower()
    return lower if lower in _UNDERSCORED else lower.replace("_", ".")


def is_kafka_secret(variable: str) -> bool:
    """Say whether the variable sets a librdkafka property that nobody may see."""
    return is_kafka(variable) and kafka_property(variable) in _KAFKA_SECRETS


def read(environ: Mapping[str, str], names: AbstractSet[str], secrets: AbstractSet[str]) -> Given:
    """Collect what the environment gives for settings of these names; read the files it names."""
    settings: dict[str, Value] = {}
    kafka: dict[str, Value] = {}
    faults: list[str] = []
    attempted: set[str] = set()
    for variable in sorted(name for name in environ if name.startswith(PREFIX)):
        base = _file_of(variable, secrets)
        setting = base or variable
        attempted.add(setting)
        if not is_known(variable, names, secrets):
            faults.append(f"{variable}: {_unknown(variable, names, secrets)}")
        elif base is not None and base in environ:
            faults.append(f"{variable}: {base} is set too; only one of them may be")
        else:
            try:
                value = _value(variable, environ[variable], from_file=base is not None)
            except _Unusable as error:
                faults.append(f"{variable}: {error}")
            else:
                (settings if setting in names else kafka)[setting] = value
    return Given(settings, kafka, faults, attempted)


def _file_of(variable: str, secrets: AbstractSet[str]) -> str | None:
    """Return the secret that the variable names a file for, or None if it is no such variable."""
    base = variable.removesuffix(FILE_SUFFIX)
    if base == variable:
        return None
    return base if base in secrets or is_kafka_secret(base) else None


def _unknown(variable: str, names: AbstractSet[str], secrets: AbstractSet[str]) -> str:
    if _SERVICE_LINK.match(variable):
        return (
            "no such setting; Kubernetes sets it for a Service called push-services: "
            "set enableServiceLinks: false in the pod"
        )
    base = variable.removesuffix(FILE_SUFFIX)
    if base != variable and base in names:
        return f"no such setting; only secrets come from files, set {base}"
    possible = names | {f"{secret}{FILE_SUFFIX}" for secret in secrets}
    close = close_to(variable, possible, cutoff=0.75)
    return f"no such setting; did you mean {close}?" if close else "no such setting"


def close_to(variable: str, names: AbstractSet[str], *, cutoff: float) -> str | None:
    """Return the name that a misspelt one was most likely meant to be, if any is near."""
    return next(iter(get_close_matches(variable.upper(), sorted(names), 1, cutoff)), None)


class _Unusable(Exception):
    """A value that is not there."""


def _value(variable: str, text: str, *, from_file: bool) -> Value:
    if text == "":
        raise _Unusable("is empty; unset it to get the default")
    if not from_file:
        return Value(text, f"environment {variable}")
    return Value(_content(text), f"file {text}")


def _content(path: str) -> str:
    try:
        content = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise _Unusable(f"the file '{path}' does not exist") from None
    except (OSError, ValueError) as error:
        raise _Unusable(f"the file '{path}' cannot be read ({type(error).__name__})") from None
    content = content.rstrip("\r\n")
    if content == "":
        raise _Unusable(f"the file '{path}' is empty")
    return content
