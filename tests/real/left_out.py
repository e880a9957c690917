"""A plugin for pytest: what was left out is said in capitals, and in CI it is a failure.

CI is where the variable `CI` is set to anything but nothing, `0` and `false`.
"""

import os
from collections import Counter
from collections.abc import Iterable, Mapping

import pytest

NAMES = {
    "kafka": "APACHE KAFKA",
    "registry": "THE SCHEMA REGISTRY",
    "postgresql": "POSTGRESQL",
    "prometheus": "PROMETHEUS",
    "chromium": "CHROMIUM",
    "spamassassin": "SPAMASSASSIN",
    "postfix": "POSTFIX",
}
SkipReport = pytest.TestReport | pytest.CollectReport


def in_ci(environment: Mapping[str, str]) -> bool:
    """Say whether nothing may be left out."""
    return environment.get("CI", "").lower() not in {"", "0", "false"}


def summary(skips: Iterable[SkipReport]) -> list[str]:
    """Return a line for each part, in capitals, with how many tests it concerns and why."""
    counts = Counter((_part(report), _reason(report)) for report in skips)
    return [
        f"LEFT OUT: {part}, {count} {'TEST' if count == 1 else 'TESTS'}: {reason}"
        for (part, reason), count in sorted(counts.items())
    ]


def _part(report: SkipReport) -> str:
    found = [name for marker, name in NAMES.items() if marker in report.keywords]
    return found[0] if found else "OTHER"


def _reason(report: SkipReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


def _lines(config: pytest.Config) -> list[str]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return summary(reporter.stats.get("skipped", [])) if reporter else []


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run in CI if anything was left out."""
    if in_ci(os.environ) and _lines(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say what was left out, last of all."""
    lines = _lines(config)
    if not lines:
        return
    terminalreporter.section("LEFT OUT", red=True)
    for line in lines:
        terminalreporter.line(line, red=True)
    if in_ci(os.environ):
        terminalreporter.line("THIS IS CI: NOTHING MAY BE LEFT OUT, SO THIS RUN FAILED", red=True)
