"""What import-linter holds: the layers, and one door for each outside library."""

import ast
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FOLDERS: list[str] = PYPROJECT["tool"]["importlinter"]["root_packages"]
CONTRACTS: dict[str, dict[str, Any]] = {
    contract["id"]: contract for contract in PYPROJECT["tool"]["importlinter"]["contracts"]
}
DOORS = {name: c for name, c in CONTRACTS.items() if c["type"] == "protected"}
GUARDED = {library for door in DOORS.values() for library in door["protected_modules"]}
UNSEEN = set(CONTRACTS["unseen"]["forbidden_modules"])

_REQUIREMENT = re.compile(r"[A-Za-z0-9._-]+")
_BROKEN = re.compile(r"^(?P<name>.+) BROKEN$", re.MULTILINE)


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter over the four folders that lie in this one."""
    command = "from importlinter.cli import lint_imports_command as run; run()"
    return subprocess.run(
        [sys.executable, "-c", command, "--no-cache", "--no-logo"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def copied(place: Path) -> Path:
    """Copy the four folders, to plant faults in."""
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, place / folder, ignore=shutil.ignore_patterns("*.pyc"))
    shutil.copy(ROOT / "pyproject.toml", place)
    return place


def imports_of(file: Path) -> Iterator[str]:
    """Yield what a file imports, wherever in it, as whole dotted names."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


@cache
def importers() -> dict[str, set[str]]:
    """Return which of our files import what, by their dotted names."""
    files = [file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")]
    return {
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): set(
            imports_of(file)
        )
        for file in files
    }


def top_levels(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def test_the_layers_and_doors_hold() -> None:
    run = lint_imports(ROOT)

    assert run.returncode == 0, run.stdout + run.stderr


def test_every_contract_breaks_when_it_is_broken(tmp_path: Path) -> None:
    # One file breaks all the doors; the others a layer, an order and a circle.
    copy = copied(tmp_path)
    everything = "".join(f"import {library}\n" for library in sorted(GUARDED | UNSEEN))
    (copy / "rules_store/planted.py").write_text(f"{everything}import mailer.mime\n")
    (copy / "schemas/planted.py").write_text("import schemas.planted_too\n")
    (copy / "schemas/planted_too.py").write_text("import schemas.planted\n")

    run = lint_imports(copy)

    assert run.returncode == 1, run.stdout + run.stderr
    broken = set(_BROKEN.findall(run.stdout))
    assert broken == {contract["name"] for contract in CONTRACTS.values()}


UPWARDS = (
    ("schemas.instants", "consumer.ports"),
    ("schemas.instants", "mailer.ports"),
    ("schemas.instants", "rules_store.ports"),
    ("mailer.replies", "rules_store.ports"),
    ("rules_store.zones", "mailer.replies"),
    ("mailer.replies", "consumer.ports"),
    ("rules_store.zones", "consumer.ports"),
)
FROM_BELOW = ("schemas.errors", "schemas.subjects")


@pytest.fixture(scope="module")
def told_of_climbers(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return what is told of files that import what lies above or beside them, all at once."""
    copy = copied(tmp_path_factory.mktemp("climbers"))
    for importer, imported in (*UPWARDS, FROM_BELOW):
        with (copy / f"{importer.replace('.', '/')}.py").open("a") as file:
            file.write(f"\nimport {imported}\n")
    return lint_imports(copy).stdout


@pytest.mark.parametrize(("importer", "imported"), UPWARDS)
def test_no_folder_imports_upwards_or_sideways(
    told_of_climbers: str, importer: str, imported: str
) -> None:
    folder, other = (name.partition(".")[0] for name in (importer, imported))

    assert CONTRACTS["layers"]["name"] in _BROKEN.findall(told_of_climbers)
    assert (
        f"\n{folder} is not allowed to import {other}:\n\n- {importer} -> {imported} (l."
        in told_of_climbers
    )


def test_schemas_may_not_be_read_from_the_bottom_up(told_of_climbers: str) -> None:
    importer, imported = FROM_BELOW

    assert CONTRACTS["schemas"]["name"] in _BROKEN.findall(told_of_climbers)
    assert f"\n{importer} is not allowed to import {imported}:\n" in told_of_climbers


def test_every_dependency_has_a_door() -> None:
    by_distribution: dict[str, set[str]] = {}
    for library, distributions in importlib.metadata.packages_distributions().items():
        for distribution in distributions:
            by_distribution.setdefault(normal(distribution), set()).add(library)

    required = [_REQUIREMENT.match(line) for line in PYPROJECT["project"]["dependencies"]]
    libraries = {m[0]: by_distribution[normal(m[0])] for m in required if m}

    public = {name: {lib for lib in libs if lib[0] != "_"} for name, libs in libraries.items()}
    assert [name for name, libs in public.items() if not libs & (GUARDED | UNSEEN)] == []


def normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def test_every_library_that_is_imported_has_a_door() -> None:
    ours = set(FOLDERS) | sys.stdlib_module_names
    outside = {library for names in importers().values() for library in top_levels(names) - ours}

    assert outside <= GUARDED


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
def test_no_door_stands_open_for_nobody(door: dict[str, Any]) -> None:
    library = set(door["protected_modules"])
    users = {file for file, names in importers().items() if top_levels(names) & library}

    allowed: list[str] = door["allowed_importers"]
    unused = [a for a in allowed if not any(u == a or u.startswith(f"{a}.") for u in users)]
    assert unused == []


def test_one_file_asks_over_http() -> None:
    # The graph knows urllib as a whole, and taking a URL apart is free to all.
    asking = {"urllib.request", "http.client", "urllib.error"}
    users = {file for file, names in importers().items() if names & asking}

    assert users == {"consumer.registry"}
