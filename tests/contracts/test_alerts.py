"""promtool on the alerts that deploy/ ships: each fires when it should, alone, and not before."""

import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

pytestmark = pytest.mark.prometheus

SHIPPED = Path(__file__).parents[2] / "deploy/monitoring/alerts.yml"
ASKED_AT = 125  # minutes; each series has a value a minute
RUN = ("push_records_total{outcome='mailed'}", "0+100x130")
DELIVER = ("push_intake_total{result='taken'}", "0+5x130")
ALWAYS = {RUN[0]: RUN[1], DELIVER[0]: DELIVER[1]}


class Case(NamedTuple):
    """A series, values that an alert is for, and values that are none of its business."""

    alert: str
    series: str
    fires: str
    silent: str


GROWS, STOOD = "0+0x110 3+0x20", "3+0x130"  # three more, lately; three more, long ago
ON, OFF = "1+0x130", "0+0x130"
CASES = [
    Case("PushBehind", "push_consumer_lag_seconds{topic='t'}", "400+0x130", "9+0x130"),
    Case("PushRecordsLost", "push_records_lost_total", GROWS, STOOD),
    Case("PushForeignRules", "push_foreign_rules_total", GROWS, STOOD),
    Case("PushDeadLetters", "push_dead_letters_total{reason='internal'}", GROWS, STOOD),
    Case("PushFallbackMails", "push_fallback_mails_total", GROWS, STOOD),
    Case("PushPostponed", "push_postponed_total{error='KafkaUnavailable'}", "0+5x130", "0+1x130"),
    Case("PushRulesTooOld", "push_rules_too_old", ON, OFF),
    Case("PushRulesRejected", "push_rules_rejected", "2+0x130", OFF),
    Case("PushRulesHealed", "push_rules_healed_total", GROWS, STOOD),
    Case("PushRepeatsWindowShort", "push_repeats_window_seconds", "3600+0x130", "604800+0x130"),
    Case("PushMailsHeld", "push_deliveries_held", ON, OFF),
    Case("PushMailsWaiting", "push_deliveries_waiting", "5000+0x130", "5000+0x110 10+0x20"),
    Case("PushPolicyBreakerOpen", "push_policy_breaker_open", ON, OFF),
    Case("PushRelayLeftAlone", "push_relay_left_alone{relay='m:25'}", ON, "0+0x115 1+0x15"),
    Case("PushInDoubt", "push_in_doubt_total", "0+1x130", GROWS),
    Case("PushRefused", "push_deliveries_total{result='policy_refused'}", "0+1x130", GROWS),
]


def complaint(prometheus: Path, folder: Path, series: dict[str, str], fires: list[str]) -> str:
    """Return what promtool says where other alerts than these fire of the series, or nothing."""
    document = {
        "rule_files": [str(SHIPPED)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": n, "values": v} for n, v in series.items()],
                "promql_expr_test": [
                    {
                        "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                        "eval_time": f"{ASKED_AT}m",
                        "exp_samples": [
                            {"labels": f'{{alertname="{name}"}}', "value": 1} for name in fires
                        ],
                    }
                ],
            }
        ],
    }
    file = folder / "alerts.test.yml"
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    promtool = prometheus.with_name("promtool")
    tried = subprocess.run(
        [promtool, "test", "rules", file], capture_output=True, text=True, check=False
    )
    return "" if tried.returncode == 0 else tried.stdout + tried.stderr


@pytest.mark.parametrize("case", CASES, ids=[case.alert for case in CASES])
def test_an_alert_fires_alone_and_stays_silent_otherwise(
    prometheus: Path, tmp_path: Path, case: Case
) -> None:
    fires = complaint(prometheus, tmp_path, {**ALWAYS, case.series: case.fires}, [case.alert])
    silent = complaint(prometheus, tmp_path, {**ALWAYS, case.series: case.silent}, [])

    assert (fires, silent) == ("", "")


@pytest.mark.parametrize(
    ("left", "alert"),
    [
        pytest.param(DELIVER, "PushRunGone", id="run is gone"),
        pytest.param(RUN, "PushDeliverGone", id="deliver is gone"),
    ],
)
def test_a_daemon_that_is_gone_is_missed(
    prometheus: Path, tmp_path: Path, left: tuple[str, str], alert: str
) -> None:
    assert complaint(prometheus, tmp_path, dict([left]), [alert]) == ""


def test_every_alert_has_a_case() -> None:
    (group,) = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))["groups"]
    gone = {"PushRunGone", "PushDeliverGone"}

    assert {rule["alert"] for rule in group["rules"]} == {case.alert for case in CASES} | gone
