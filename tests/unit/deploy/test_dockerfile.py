"""The image: what its Dockerfile promises, read out of the file itself."""

import json
import re
from pathlib import PurePosixPath

import pytest

from tests.unit.deploy.files import DEPLOY, ROOT, Instruction, dockerfile_stages

BUILD, FINAL = dockerfile_stages()
BUILD_TOOLS = (
    r"\b(apt|apt-get|gcc|g\+\+|make|build-essential|pip3? install|pip3? wheel|curl|wget)\b"
)


def rests(stage: list[Instruction], word: str) -> list[str]:
    """Return what follows each instruction of this name."""
    return [instruction.rest for instruction in stage if instruction.word == word]


def test_both_stages_start_from_one_base_that_a_build_may_name_by_digest() -> None:
    assert [rests(stage, "FROM") for stage in (BUILD, FINAL)] == [
        ["${PYTHON_IMAGE} AS build"],
        ["${PYTHON_IMAGE}"],
    ]


def test_the_base_is_a_slim_python_3_11_by_tag() -> None:
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")

    assert re.findall(r"^ARG PYTHON_IMAGE=(.*)$", text, re.MULTILINE) == [
        "python:3.11-slim-bookworm"
    ]


def test_every_foreign_wheel_is_checked_against_the_hash_in_a_lock() -> None:
    commands = [command.strip() for run in rests(BUILD, "RUN") for command in run.split("&&")]
    fetching = [c for c in commands if c.startswith("pip ") and "--no-index" not in c]

    assert [command.split()[1] for command in fetching] == ["install", "wheel"]
    assert [
        c for c in fetching if not re.search(r"--require-hashes .*-r locks/\S+\.lock$", c)
    ] == []


def test_the_image_ends_as_a_user_that_is_not_root_and_has_a_number() -> None:
    assert rests(FINAL, "USER") == ["65532:65532"]
    assert FINAL.index(Instruction("USER", "65532:65532")) > max(
        index for index, instruction in enumerate(FINAL) if instruction.word == "RUN"
    )


def test_the_final_stage_neither_builds_nor_installs() -> None:
    assert [run for run in rests(FINAL, "RUN") if re.search(BUILD_TOOLS, run)] == []


def test_the_final_stage_takes_nothing_but_the_finished_environment() -> None:
    assert rests(FINAL, "COPY") == ["--from=build /opt/push-services /opt/push-services"]
    assert rests(FINAL, "ADD") == []


def test_the_entry_point_is_the_command_in_exec_form() -> None:
    assert [json.loads(rest) for rest in rests(FINAL, "ENTRYPOINT")] == [["push-services"]]
    assert [json.loads(rest) for rest in rests(FINAL, "CMD")] == [["--help"]]


def test_probes_are_left_to_whoever_runs_the_image() -> None:
    assert rests(FINAL, "HEALTHCHECK") == []


def test_the_environment_is_on_the_path_and_logs_are_not_held_back() -> None:
    (env,) = rests(FINAL, "ENV")

    assert {"PATH=/opt/push-services/bin:$PATH", "PYTHONUNBUFFERED=1"} <= set(env.split())


@pytest.mark.parametrize(
    "source",
    [part for rest in rests(BUILD, "COPY") for part in rest.split()[:-1]],
)
def test_what_the_build_copies_is_let_in_by_dockerignore(source: str) -> None:
    # an allow-list: everything is kept out but what a line with ! names
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_in = [PurePosixPath(line[1:]) for line in lines if line.startswith("!")]
    path = PurePosixPath(source)

    assert "*" in lines
    assert [entry for entry in let_in if path.is_relative_to(entry)]


def blocks(lock: str) -> set[str]:
    """Return each package of a lock with its version and hashes."""
    return {
        block.strip() for block in re.split(r"^(?=\w)", lock, flags=re.MULTILINE) if block.strip()
    }


def test_the_lock_of_the_build_backend_is_a_part_of_the_developers_lock() -> None:
    # mend with: copy the blocks of these packages out of requirements/dev.lock
    build = blocks((DEPLOY / "build.lock").read_text(encoding="utf-8"))
    developers = blocks((ROOT / "requirements/dev.lock").read_text(encoding="utf-8"))

    assert build
    assert build <= developers


def test_the_lock_of_the_build_backend_carries_hashes_and_no_address() -> None:
    text = (DEPLOY / "build.lock").read_text(encoding="utf-8")

    assert "://" not in text
    assert all("--hash=sha256:" in block for block in blocks(text))
