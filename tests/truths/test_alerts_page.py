"""The alerts that deploy/ ships ask for metrics that there are, and say where to read on."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.truths.test_metrics_page import documented

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
METRICS = {name for daemon in ("run", "deliver") for name, _, _ in documented(daemon)}
HEADINGS = re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)


def alerts() -> list[dict[str, Any]]:
    text = (ROOT / "deploy/monitoring/alerts.yml").read_text(encoding="utf-8")
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def anchor(heading: str) -> str:
    """Return the name by which a heading is linked to."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("rule", alerts(), ids=[rule["alert"] for rule in alerts()])
def test_an_alert_asks_for_what_there_is_and_says_where_to_read_on(rule: dict[str, Any]) -> None:
    page, _, place = rule["annotations"]["runbook"].partition("#")

    assert set(re.findall(r"push_\w+", rule["expr"])) <= METRICS
    assert (ROOT / page).is_file()
    assert place in map(anchor, HEADINGS)
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert f"| `{rule['alert']}` |" in PAGE
