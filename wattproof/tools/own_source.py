"""Parts of our own source, verbatim, with everything that they need and nothing else: for a file that stands alone.

Starting from a few functions, every module-level name that they read is followed through our modules; the standard
library is imported. Two private names that collide get the name of their module as a suffix.
"""

from __future__ import annotations

import ast
import inspect
import symtable
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from itertools import chain
from types import ModuleType
from typing import Any

from wattproof.methodology.errors import NotDefined
from wattproof.methodology.methods import Method

__all__ = ["OwnSource"]

_OURS = "wattproof"
_METHOD_FIELDS = ("id", "title", "interval", "tier", "indicators", "embodied_included")

_Key = tuple[str, str]
_Binding = ast.stmt | ast.alias


@dataclass
class OwnSource:
    """Collects pieces of source. `add` each root, then read `imports` and `text`."""

    _names: dict[_Key, str] = field(default_factory=dict[_Key, str])
    _pieces: dict[_Key, str] = field(default_factory=dict[_Key, str])
    _imports: set[str] = field(default_factory=set[str])
    _has_stub: bool = False

    def add(self, module: str, name: str) -> str:
        """Collect `name` of `module` and all that it needs; returns what it is called in the text.

        Raises:
            NotDefined: the source is not there, or it cannot stand alone.
        """
        key = _home(module, name)
        if key in self._names:
            return self._names[key]
        self._names[key] = self._free_name(key)
        value = getattr(import_module(key[0]), key[1], None)
        if isinstance(value, Method):
            self._pieces[key] = self._stub(self._names[key], value)
        else:
            self._collect(key)
        return self._names[key]

    @property
    def imports(self) -> str:
        """Imports from the standard library, sorted, one name each."""
        return "\n".join(sorted(self._imports, key=lambda line: (line.startswith("from"), line)))

    @property
    def text(self) -> str:
        """The pieces, each after what it needs."""
        return "\n\n\n".join(self._pieces.values())

    def _free_name(self, key: _Key) -> str:
        taken = set(self._names.values())
        return key[1] if key[1] not in taken else f"{key[1]}_{key[0].rpartition('.')[2]}"

    def _collect(self, key: _Key) -> None:
        module, name = key
        node = _bindings(module)[name]
        if not isinstance(node, ast.stmt) or isinstance(node, ast.Import | ast.ImportFrom):
            raise NotDefined(f"{module}.{name} has no source of its own.")
        renamed = {} if self._names[key] == name else {name: self._names[key]}
        for used in sorted(_global_names(node)):
            binding = _bindings(module).get(used)
            if binding is None or used == name:
                continue
            if (standard := _standard_import(module, used)) is not None:
                self._imports.add(standard)
                continue
            called = self.add(module, used)
            if called != used:
                renamed[used] = called
        self._pieces[key] = _renamed(_segment(module, node), renamed)

    def _stub(self, name: str, method: Method) -> str:
        """What a formula reads of its own method: its name and kind, not how operands are gathered."""
        head = ""
        if not self._has_stub:
            self._has_stub = True
            undefined = inspect.getsource(Method.undefined).rstrip()
            head = (
                'class Method:\n    """The method\'s name and kind."""\n\n'
                "    def __init__(self, **fields):\n        self.__dict__.update(fields)\n\n"
                f"{undefined}\n\n\n"
            )
        fields = ",\n".join(f"    {each}={getattr(method, each)!r}" for each in _METHOD_FIELDS)
        return f"{head}{name} = Method(\n{fields},\n)"


def _home(module: str, name: str) -> _Key:
    """Where a name is bound by other than an import from another module of ours.

    Raises:
        NotDefined: no module binds it.
    """
    seen: set[_Key] = set()
    while (module, name) not in seen:
        seen.add((module, name))
        node = _bindings(module).get(name)
        if node is None:
            raise NotDefined(f"The source of {module}.{name} is not there.")
        origin = _import_of(module, name)
        if origin is None or not origin[0].startswith(_OURS):
            return module, name
        module, name = origin
    raise NotDefined(f"The source of {module}.{name} is not there.")


@cache
def _module(name: str) -> tuple[str, ast.Module]:
    found: ModuleType = import_module(name)
    try:
        source = inspect.getsource(found)
    except (OSError, TypeError) as error:
        raise NotDefined(f"The source of {name} is not installed.") from error
    return source, ast.parse(source)


@cache
def _bindings(module: str) -> Mapping[str, _Binding]:
    """Statement by the name that it binds, at the top level of a module."""
    found: dict[str, _Binding] = {}
    for node in _module(module)[1].body:
        for name in _bound_by(node):
            found[name] = node
    return found


def _bound_by(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign):
        yield from (each.id for target in node.targets for each in ast.walk(target) if isinstance(each, ast.Name))
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from ((alias.asname or alias.name).partition(".")[0] for alias in node.names)


def _import_of(module: str, name: str) -> _Key | None:
    """`(module, name)` that an `import from` binds `name` to; None for anything else."""
    node = _bindings(module)[name]
    if not isinstance(node, ast.ImportFrom) or node.module is None:
        return None
    original = next(alias.name for alias in node.names if (alias.asname or alias.name) == name)
    return node.module, original


def _standard_import(module: str, name: str) -> str | None:
    """The import statement of a name from the standard library; None for a name of ours."""
    node = _bindings(module)[name]
    if isinstance(node, ast.Import):
        alias = next(a for a in node.names if (a.asname or a.name).partition(".")[0] == name)
        return f"import {alias.name}" + (f" as {alias.asname}" if alias.asname else "")
    origin = _import_of(module, name)
    if origin is None or origin[0].startswith(_OURS):
        return None
    return f"from {origin[0]} import {origin[1]}" + (f" as {name}" if origin[1] != name else "")


def _segment(module: str, node: ast.stmt) -> str:
    """The source lines of a statement with its decorators, and the text that documents a constant."""
    lines = _module(module)[0].splitlines()
    decorators = getattr(node, "decorator_list", [])
    first = min(chain((node.lineno,), (each.lineno for each in decorators)))
    return "\n".join(lines[first - 1 : node.end_lineno])


class _WithoutAnnotations(ast.NodeTransformer):
    """Annotations are never evaluated in the text, so what they name is not needed."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        self.generic_visit(node)
        node.annotation = ast.Constant(0)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.generic_visit(node)
        node.returns = None
        return node


def _global_names(node: ast.stmt) -> frozenset[str]:
    """The global names that a statement reads, at whatever depth, but not in annotations."""
    bare = _WithoutAnnotations().visit(ast.parse(ast.unparse(node)))
    for inner in ast.walk(bare):
        if isinstance(inner, ast.Import | ast.ImportFrom):
            raise NotDefined("An import inside a function cannot stand alone.")
    return frozenset(_read(symtable.symtable(ast.unparse(bare), "<piece>", "exec")))


def _read(table: symtable.SymbolTable) -> Iterator[str]:
    at_top = table.get_type() == "module"
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (at_top or symbol.is_global()):
            yield symbol.get_name()
    for child in table.get_children():
        yield from _read(child)


def _renamed(text: str, names: Mapping[str, str]) -> str:
    """The text with these global names changed, wherever they stand as names; comments and layout are kept."""
    if not names:
        return text
    lines = [line.encode() for line in text.splitlines()]
    for row, column, old in sorted(_places(ast.parse(text), lines, names), reverse=True):
        line = lines[row]
        lines[row] = line[:column] + names[old].encode() + line[column + len(old.encode()) :]
    return b"\n".join(lines).decode()


def _places(tree: ast.AST, lines: list[bytes], names: Mapping[str, str]) -> Iterator[tuple[int, int, str]]:
    for node in ast.walk(tree):
        found: Any = node
        if isinstance(node, ast.Name) and node.id in names:
            yield node.lineno - 1, node.col_offset, node.id
        elif isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in names and node.col_offset == 0:
            line = lines[node.lineno - 1]
            yield node.lineno - 1, line.index(node.name.encode(), len(line.split(b" ")[0])), node.name
        elif isinstance(node, ast.arg) and node.arg in names:
            raise NotDefined(f"The argument {found.arg!r} hides a name that has to be changed.")
