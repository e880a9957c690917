"""Jars out of Maven, kept in `.cache` inside the checkout: resolved once, then found."""

import fcntl
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.real import found
from tests.real.found import CACHE, LeftOut

COPY_DEPENDENCIES = "org.apache.maven.plugins:maven-dependency-plugin:3.7.1:copy-dependencies"
# 2.x copies an artifact as it is; 3.x also wants the parent of its POM, which not every
# repository has.
COPY = "org.apache.maven.plugins:maven-dependency-plugin:2.10:copy"
PATIENCE = 130  # seconds for one attempt


def kept(name: str, goal: Sequence[str], *, unpack: str | None = None) -> Path:
    """Return the folder `.cache/<name>` with what a goal resolves, resolving it if need be.

    `unpack` names the one archive in it to be replaced by its contents. Raise `LeftOut` without
    Java or Maven, and when two attempts have failed.
    """
    folder = CACHE / name
    if folder.is_dir():
        return folder
    mvn = found.maven()
    if found.java() is None or mvn is None:
        raise LeftOut("no Java and Maven here (make system-packages)")
    with _alone(), TemporaryDirectory(dir=CACHE) as nursery:
        if not folder.is_dir():  # nobody else was faster
            got = Path(nursery) / "got"
            _resolve([str(mvn), "-q", "-B", *goal, f"-DoutputDirectory={got}"])
            if unpack:
                _replace_by_its_contents(got / unpack)
            folder.parent.mkdir(parents=True, exist_ok=True)
            got.rename(folder)  # whole or not at all
    return folder


def _replace_by_its_contents(archive: Path) -> None:
    with tarfile.open(archive) as opened:
        # Python 3.11.2, which is Debian 12's, trusts every member and has no other way.
        opened.extraction_filter = getattr(tarfile, "data_filter", None)
        opened.extractall(archive.parent)
    archive.unlink()


@contextmanager
def _alone() -> Iterator[None]:
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "maven.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _resolve(command: Sequence[str]) -> None:
    if not (_succeeds(command) or _succeeds([*command, "-U"])):  # networks hiccup
        raise LeftOut("Maven could not resolve the jars, twice")


def _succeeds(command: Sequence[str]) -> bool:
    try:
        result = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return result.returncode == 0
