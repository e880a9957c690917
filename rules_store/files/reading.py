"""Rules files to rules: everything that is wrong is found, in all files at once.

The form is public and versioned; `rules_store/rules.schema.json` describes it for editors, this is
what decides. Files are read a tenant at a time, so a million rules need no more memory than one.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from rules_store.files.fields import Field, Report, quoted
from rules_store.files.nodes import Kind, NotYaml, Part, Scalar
from rules_store.files.tenants import Beside, read_tenant_rules
from rules_store.files.yaml import Readable, parse_yaml
from schemas.errors import InvalidInput
from schemas.rules import TenantRules
from schemas.vocabulary import TenantId

VERSION = "1"

Stored = Callable[[TenantId], TenantRules | None]  #: what the store has of a tenant


@dataclass(frozen=True, slots=True)
class RulesFile:
    """A file's name, as faults give it, and its bytes, or where they can be read once."""

    name: str
    content: bytes | Readable


@dataclass(frozen=True, slots=True)
class FiledRules:
    """What the files say, in their order, and what is worth a word about them."""

    tenants: tuple[TenantRules, ...]
    notes: tuple[str, ...] = ()


def read_rules_files(files: Sequence[RulesFile], stored: Stored | None = None) -> FiledRules:
    """Return what all files say together, or raise `InvalidInput` with every fault.

    A fault is one line, `FILE:LINE: path.to.field: what is wrong`. It quotes the wrong word and
    says what is allowed; addresses, IBANs and names of people are never quoted. `stored` is asked
    where a tenant has faults: what the store has already, a file may say again.
    """
    reader = RulesReader() if stored is None else RulesReader(stored)
    tenants = tuple(reader.read(files))
    return FiledRules(tenants, reader.notes)


@dataclass(frozen=True, slots=True)
class RulesReader:
    """Reads files one after another, a tenant at a time.

    `adding` says that what the store has stays beside what the files say, so that rules may name
    users and bank accounts of the store.
    """

    stored: Stored = lambda _: None
    adding: bool = False
    _report: Report = field(default_factory=Report)
    _seen: dict[str, str] = field(default_factory=dict)  # which tenant is where

    def read(self, files: Iterable[RulesFile]) -> Iterator[TenantRules]:
        """Return the tenants of all files; raise `InvalidInput` with all faults at the end.

        After the first fault no tenant comes any more, and whoever has used those before must
        undo it.
        """
        for file in files:
            for tenant_rules in self._tenants(file):
                if not self._report.faults:
                    yield tenant_rules
        if self._report.faults:
            raise InvalidInput(self._report.fault_lines())

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what is worth a word about what was read so far, a line each."""
        return self._report.note_lines()

    def place_of(self, tenant_id: TenantId) -> str:
        """Return where a tenant was read, as `FILE:LINE`."""
        return self._seen[tenant_id]

    def _tenants(self, file: RulesFile) -> Iterator[TenantRules]:
        for found in parse_yaml(file.content, main_list="tenants"):
            if isinstance(found, NotYaml):
                self._report.faults.append((file.name, found.line, f"file: {found.reason}"))
                return
            top = Field(file.name, found.node, self._report)
            if isinstance(found, Part):
                top.key = f"tenants[{found.at}]"
                if (tenant_rules := self._tenant(top)) is not None:
                    yield tenant_rules
            else:
                _check_around(top)

    def _tenant(self, part: Field) -> TenantRules | None:
        self._see(part)
        mark = self._report.mark()
        found = read_tenant_rules(part, Beside())
        if not self._report.is_faulty_since(mark):
            return found
        stored = self.stored(TenantId(part.word_at("id")))
        if stored is None:
            return found
        self._report.rewind(mark)
        return read_tenant_rules(part, Beside(stored=stored, adding=self.adding))

    def _see(self, part: Field) -> None:
        place = part.find("id")
        if place is None or not (tenant_id := part.word_at("id")):
            return
        if tenant_id in self._seen:
            place.fault(f"duplicate tenant {quoted(tenant_id)}; it is in {self._seen[tenant_id]}")
        else:
            self._seen[tenant_id] = f"{place.file}:{place.node.line}"


def _check_around(top: Field) -> None:
    """Check what stands around the tenants, which are out of it by now."""
    fields = top.keys(("version", "tenants"), ())
    if "version" in fields:
        _check_version(fields["version"])
    if "tenants" in fields:
        fields["tenants"].parts()


def _check_version(version: Field) -> None:
    node = version.node
    if not isinstance(node, Scalar) or node.kind is not Kind.NUMBER or node.text != VERSION:
        shown = quoted(node.text) if isinstance(node, Scalar) else "this"
        version.fault(f"unknown version {shown}; allowed: {VERSION}")
