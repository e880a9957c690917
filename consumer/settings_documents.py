"""The settings as documents: deploy/settings.example.env and the table of docs/configuration.md.

Both are made out of `Settings`, so a truth test can hold the files to it.
"""

from consumer.settings import (
    FIELDS,
    REQUIRED_BY_DELIVER,
    REQUIRED_BY_RUN,
    SECRET_NAMES,
    Settings,
    spelt,
    variable_of,
)

_HEAD = """\
# Every setting of push-services with its default; made by `push-services config example`.
# A line that begins with #PUSH_ shows the default, or an example where there is none.
# Secrets may come from a file instead: PUSH_DATABASE_URL_FILE=/run/secrets/database-url
"""
_KAFKA = """\
# any librdkafka property, in capitals and with underscores for dots
#PUSH_KAFKA_SECURITY_PROTOCOL=sasl_ssl
"""


def example_env() -> str:
    """Return the text of deploy/settings.example.env: what must be set is, the rest is shown."""
    return "\n".join([_HEAD, *map(_example, FIELDS), _KAFKA])


def _example(field: str) -> str:
    name, needed = variable_of(field), _needed_by(field)
    note = f"; {needed}" if needed else ""
    return f"# {_described(field)}{note}\n{'' if needed else '#'}{name}={_typed(field)}\n"


def settings_table() -> str:
    """Return the settings as a Markdown table: variable, default, meaning."""
    rows = ["| Variable | Default | Meaning |", "|---|---|---|", *map(_row, FIELDS)]
    kafka = "| `PUSH_KAFKA_…` | | any librdkafka property, in capitals, underscores for dots |"
    return "\n".join([*rows, kafka]) + "\n"


def _row(field: str) -> str:
    name, default = variable_of(field), _default(field)
    secret = " Or `_FILE`." if name in SECRET_NAMES else ""
    cell = f"`{default}`" if default and " " not in default else default
    meaning = _described(field)[:1].upper() + _described(field)[1:]
    return f"| `{name}` | {cell or _needed_by(field)} | {meaning}.{secret} |"


def _described(field: str) -> str:
    return Settings.model_fields[field].description or ""


def _needed_by(field: str) -> str:
    commands = {"run": REQUIRED_BY_RUN, "deliver": REQUIRED_BY_DELIVER}
    needing = [command for command, required in commands.items() if field in required]
    return f"required by {' and '.join(needing)}" if needing else ""


def _default(field: str) -> str:
    """Return the default as it would be typed, or in words where it depends on something."""
    about = Settings.model_fields[field]
    if field in {"transactional_id", "topic_repeats", "wire_format"}:
        return _typed(field)
    value = about.get_default(call_default_factory=False)
    return spelt(value.get_secret_value() if hasattr(value, "get_secret_value") else value)


def _typed(field: str) -> str:
    examples = Settings.model_fields[field].examples
    return str(examples[0]) if examples else _default(field)
