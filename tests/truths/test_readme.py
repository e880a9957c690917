"""The README's commands are commands: the shell block for real use runs as written."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from consumer.cli import app
from tests.real.found import CHECKOUT
from tests.real.push_services import clean_environment, installed_command

README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)


def lines(block: str) -> list[str]:
    return [line.partition(" #")[0].strip() for line in block.splitlines() if line.strip()]


def test_each_make_target_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE))

    named = {
        word for block in BLOCKS for word in re.findall(r"^make ([a-z-]+)", block, re.MULTILINE)
    }

    assert named
    assert named <= targets


def test_the_commands_for_real_use_run_as_written(tmp_path: Path) -> None:
    (tmp_path / "consumer").symlink_to(CHECKOUT / "consumer")
    (block,) = [block for block in BLOCKS if "db upgrade" in block]
    commands = [line for line in lines(block) if line.startswith(("export", "push-services"))]
    script = "\n".join(commands).replace("push-services ", " ".join(installed_command()) + " ")

    done = subprocess.run(
        ["sh", "-eu", "-c", script],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "r-not-executed" in done.stdout


def test_the_commands_for_single_rules_run_as_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUSH_DATABASE_URL", f"sqlite:///{tmp_path / 'rules.db'}")
    (block,) = [block for block in BLOCKS if "rules add" in block]
    demo = str(CHECKOUT / "consumer/demo/rules.yaml")
    before = [["db", "upgrade"], ["rules", "apply", demo]]

    run = [
        CliRunner().invoke(app, words)
        for words in (*before, *(shlex.split(line)[1:] for line in lines(block)))
    ]

    assert [done.exit_code for done in run] == [0] * len(run), [done.stderr for done in run]


@pytest.mark.parametrize("link", re.findall(r"\]\((?!http)([^)#]+)\)", README))
def test_each_link_leads_somewhere(link: str) -> None:
    assert (CHECKOUT / link).exists()
