"""`make doctor`: what this machine has for running and testing, and what will be left out.

Needs nothing installed: the standard library alone.
"""

import importlib.util
import os
import sys
from collections.abc import Iterator

from tests.real import found


def findings() -> Iterator[tuple[str, str]]:
    """Yield what was looked for and where it is; empty: nowhere."""
    yield "Python", sys.version.split()[0] if sys.version_info >= (3, 11) else ""
    yield "venv", "yes" if importlib.util.find_spec("ensurepip") else ""
    yield "Docker engine", found.docker_engine() or ""
    yield "Java", str(found.java() or "")
    yield "Maven", str(found.maven() or "")
    yield "PostgreSQL", ", ".join(map(str, found.postgresql_servers()))
    yield "psql", str(found.psql() or "")
    yield "sqlite3", str(found.sqlite3() or "")
    yield "Prometheus", str(found.prometheus() or "")
    yield "Chromium", str(found.chromium() or "")
    yield "SpamAssassin", str(found.spamassassin() or "")
    yield "Postfix", str(found.postfix() or "")


def consequences(has: dict[str, str]) -> Iterator[str]:
    """Yield a line for each thing that will not work here, and what to do about it."""
    jvm = has["Java"] and has["Maven"]
    if not has["Python"] or not has["venv"]:
        yield "NOTHING RUNS without Python >= 3.11 and its venv (apt-get install python3-venv)"
    if not has["Docker engine"] and not jvm:
        yield "LEFT OUT: APACHE KAFKA, THE SCHEMA REGISTRY (make system-packages)"
    if not has["Docker engine"] and not has["PostgreSQL"]:
        yield "LEFT OUT: POSTGRESQL (make install brings one)"
    if not has["psql"]:
        yield "LEFT OUT: PSQL (make system-packages)"
    if not has["sqlite3"]:
        yield "LEFT OUT: SQLITE3 (make system-packages)"
    for name in ("Prometheus", "Chromium", "SpamAssassin", "Postfix"):
        if not has[name]:
            yield f"LEFT OUT: {name.upper()} (make system-packages)"
    if has["Postfix"] and os.geteuid() != 0:
        yield "LEFT OUT: POSTFIX (it starts as root only)"


def report() -> None:
    """Print it all."""
    has = dict(findings())
    for name, place in has.items():
        print(f"{name:<14} {place or 'no'}")
    print(f"{'Runs as':<14} {'root' if os.geteuid() == 0 else 'a user without privileges'}")
    print()
    print("\n".join(consequences(has)) or "Nothing will be left out.")


if __name__ == "__main__":
    report()
