"""The distribution, installed as a user would: complete outside the checkout, without extras."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.real.found import CHECKOUT
from tests.real.push_services import clean_environment

pytestmark = [pytest.mark.package, pytest.mark.timeout(600)]

OUTSIDE = {k: v for k, v in clean_environment().items() if k != "PYTHONPATH"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the commands of a new environment that holds only the distribution."""
    folder = tmp_path_factory.mktemp("installed")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    run([*build, "--wheel-dir", str(folder), str(CHECKOUT)], folder)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", with_pip=True)
    pip = [str(folder / "venv/bin/python"), "-m", "pip", "install", "--quiet"]
    run([*pip, "--require-hashes", "-r", str(CHECKOUT / "requirements/base.lock")], folder)
    run([*pip, "--no-deps", str(wheel)], folder)
    return folder / "venv/bin"


def run(command: list[str], folder: Path, **settings: str) -> str:
    done = subprocess.run(
        command, cwd=folder, env=OUTSIDE | settings, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_demo_runs_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    said = run([str(installed / "push-services"), "demo", "--once", "--port", "0"], tmp_path)

    assert "13 mails expected, 13 arrived" in said
    assert list(tmp_path.iterdir()) == []  # it leaves nothing behind


def test_tables_and_rules_need_nothing_of_the_checkout(installed: Path, tmp_path: Path) -> None:
    command = str(installed / "push-services")
    database = f"sqlite:///{tmp_path / 'push.db'}"
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "version: 1\ntenants:\n- {id: m-1, name: Eins GmbH, users: [{id: u-1, name: Anna, "
        "email: anna@eins.example}], rules: [{description: Abgelehnt, "
        "event: payment-file-rejected, internal_recipients: [u-1]}]}\n",
        encoding="utf-8",
    )

    run([command, "db", "upgrade"], tmp_path, PUSH_DATABASE_URL=database)
    run([command, "rules", "apply", str(rules)], tmp_path, PUSH_DATABASE_URL=database)

    listed = run([command, "rules", "list"], tmp_path, PUSH_DATABASE_URL=database)
    assert listed.startswith("m-1 ")


def test_what_is_not_python_is_packaged_too(installed: Path, tmp_path: Path) -> None:
    schemas = str(len(list((CHECKOUT / "schemas/avsc").iterdir())))
    look = (
        "from importlib.resources import files as f;"
        "import psycopg;"
        "print(len(list((f('schemas')/'avsc').iterdir())),"
        "(f('rules_store')/'rules.schema.json').is_file(),"
        "len([t for t in (f('mailer')/'templates').iterdir()]) >= 6)"
    )

    found = run([str(installed / "python"), "-c", look], tmp_path).split()
    assert found == [schemas, "True", "True"]
