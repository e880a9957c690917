"""The files that mails are made of: those of the package, and an operator's own in their place.

An operator's folder may hold any of the same names, and templates of other names that these use. A
template of the same name replaces the package's; of a wording file, only the entries it has.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path

from schemas.errors import InvalidSettings, InvalidValue
from schemas.vocabulary import Language

_TEMPLATES = (".html", ".txt")
_WORDING = frozenset(f"wording.{language}.toml" for language in Language)


@dataclass(frozen=True)
class Sources:
    """Templates and wording, text by file name."""

    packaged: Mapping[str, str] = field(repr=False)
    own: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def templates(self) -> dict[str, str]:
        """Return the templates in force."""
        files = {**self.packaged, **self.own}
        return {name: text for name, text in files.items() if name.endswith(_TEMPLATES)}

    def wording(self, language: Language) -> str:
        """Return the package's wording of a language."""
        return self.packaged.get(f"wording.{language}.toml", "")

    def own_wording(self, language: Language) -> str:
        """Return what the operator says otherwise, or nothing."""
        return self.own.get(f"wording.{language}.toml", "")

    @cached_property
    def revision(self) -> str:
        """Return a short name for what the files say, whoever changed them."""
        told = hashlib.sha256()
        for files in (self.packaged, self.own):
            for name in sorted(files):
                told.update(f"{name}\0{files[name]}\0".encode())
        return told.hexdigest()[:12]


def packaged_sources() -> Sources:
    """Return the package's files alone."""
    folder = resources.files("mailer") / "templates"
    return Sources(
        {
            file.name: file.read_text("utf-8")
            for file in folder.iterdir()
            if file.name.endswith((*_TEMPLATES, ".toml"))
        }
    )


def sources_with_own(folder: Path) -> Sources:
    """Return the package's files with an operator's in their place.

    Raise `InvalidSettings` with a fault for each file that can mean nothing or cannot be read.
    """
    packaged = packaged_sources().packaged
    own: dict[str, str] = {}
    faults: list[str] = []
    for file in sorted(folder.iterdir()):
        if file.name.startswith("."):  # what editors and Kubernetes' volumes leave
            continue
        try:
            own[file.name] = _read(file)
        except InvalidValue as error:
            faults.append(f"mail template {file.name}: {error}")
    if faults:
        raise InvalidSettings(faults)
    return Sources(packaged, own)


def _read(file: Path) -> str:
    if not file.name.endswith(_TEMPLATES) and file.name not in _WORDING:
        raise InvalidValue(f"is neither .html, .txt nor one of {', '.join(sorted(_WORDING))}")
    try:
        return file.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise InvalidValue(f"cannot be read ({type(error).__name__})") from None
