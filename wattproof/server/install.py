"""Write this installation into the configuration of an MCP host.

Each host keeps its servers in one JSON file, under one key: a row of `hosts.HOSTS`. A change is planned first, so that
it can be shown, then applied: backup, then an atomic replacement that keeps the file's mode and every other key.
"""

from __future__ import annotations

import codecs
import difflib
import json
import math
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from wattproof.methodology.errors import Refused, UnknownName
from wattproof.server.hosts import HOSTS, Host, config_path

__all__ = ["InstallPlan", "apply_plan", "host_entry", "launch_command", "plan_install"]

SERVER_NAME = "wattproof"
_CARRIED = ("WATTPROOF_HOME", "WATTPROOF_ZONE", "WATTPROOF_OFFLINE")
"""Settings that a host started from a desktop would lose. Never a secret."""


@dataclass(frozen=True, slots=True)
class InstallPlan:
    """What would be written. `before` is None when the file does not exist; `diff` is empty when nothing changes."""

    host: Host
    path: Path
    before: bytes | None
    after: bytes
    diff: str

    @property
    def changes(self) -> bool:
        return self.before != self.after


def launch_command(environ: Mapping[str, str]) -> dict[str, Any]:
    """How a host starts this very installation: an absolute command, and the settings that it would not inherit.

    The console script beside the interpreter where there is one. Otherwise the interpreter with ``-m wattproof``,
    and PYTHONPATH when the package lies outside that interpreter's own folders (a checkout that is not installed).
    """
    interpreter = Path(sys.executable).absolute()
    env = {name: environ[name] for name in _CARRIED if environ.get(name)}
    script = interpreter.with_name("wattproof.exe" if os.name == "nt" else "wattproof")
    if script.is_file():
        command: dict[str, Any] = {"command": str(script), "args": []}
    else:
        command = {"command": str(interpreter), "args": ["-m", "wattproof"]}
        root = Path(__file__).resolve().parents[2]
        if not root.is_relative_to(Path(sys.prefix).resolve()):
            env["PYTHONPATH"] = str(root)
    return {**command, "env": env} if env else command


def host_entry(host: Host, environ: Mapping[str, str]) -> dict[str, Any]:
    """The entry for this installation in the shape that the host reads."""
    entry = launch_command(environ)
    return entry if host.entry_type is None else {"type": host.entry_type, **entry}


def plan_install(host_id: str, environ: Mapping[str, str], path: Path | None = None) -> InstallPlan:
    """Read the host's file and work out the change; writes nothing.

    Raises:
        UnknownName: no such host.
        Refused: the file is not valid JSON, or its servers are not an object; it is left alone.
    """
    if host_id not in HOSTS:
        raise UnknownName(host_id, tuple(HOSTS))
    host = HOSTS[host_id]
    target = (path or config_path(host, environ)).absolute()
    before = _read(target)
    document = _parse(target, before)
    servers = _mapping(document.setdefault(host.servers_key, {}))
    if servers is None:
        raise Refused(f"{target}: {host.servers_key!r} is not an object; correct it by hand. Nothing was changed.")
    old_text = _render(document, before) if before is not None else ""
    entry = host_entry(host, environ)
    servers[SERVER_NAME] = _merged(servers.get(SERVER_NAME), entry)
    new_text = _render(document, before)
    if new_text == old_text and before is not None:
        return InstallPlan(host, target, before, before, "")
    diff = _diff(target, old_text, new_text, entry)
    return InstallPlan(host, target, before, _encode(new_text, before), diff)


def apply_plan(plan: InstallPlan, stamp: str) -> Path | None:
    """Write the plan and return the backup (None when there was no file). `stamp` goes into the backup's name.

    Raises:
        Refused: the file changed since it was planned, or cannot be written; it is left as it was.
    """
    target = plan.path.resolve()
    if _read(plan.path) != plan.before:
        raise Refused(f"{plan.path} was changed in the meantime; run the command again. Nothing was changed.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        backup = _backup(target, plan.before, stamp)
        _replace(target, plan.after)
    except OSError as error:
        raise Refused(f"{plan.path} cannot be written ({error.strerror}). Nothing was changed.") from error
    return backup


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused(f"{path} cannot be read ({error.strerror}). Nothing was changed.") from error


def _parse(path: Path, raw: bytes | None) -> dict[str, Any]:
    if raw is None or not raw.strip():
        return {}
    try:
        document: object = json.loads(
            raw.decode("utf-8-sig"),
            object_pairs_hook=_without_duplicates,
            parse_constant=_no_constant,
            parse_float=_finite,
        )
    except ValueError as error:
        raise Refused(
            f"{path} is not valid JSON ({error}), so it was left alone. Correct it (comments and trailing commas are "
            f"not JSON) and run this again, or add the entry by hand: wattproof install HOST --print."
        ) from error
    mapping = _mapping(document)
    if mapping is None:
        raise Refused(f"{path} does not hold a JSON object, so it was left alone.")
    return mapping


def _mapping(value: object) -> dict[str, Any] | None:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("the same key appears twice in one object")
    return found


def _finite(text: str) -> float:
    if math.isinf(number := float(text)):
        raise ValueError(f"{text} is beyond what can be written back")
    return number


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _merged(existing: object, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Our entry over what the user has added to it: other keys and other variables stay."""
    kept = _mapping(existing) or {}
    env = {**(_mapping(kept.get("env")) or {}), **entry.get("env", {})}
    return {**kept, **entry, **({"env": env} if env else {})}


def _render(document: dict[str, Any], before: bytes | None) -> str:
    """JSON in the file's own manner: its indent, or one line where it was one line."""
    text = (before or b"").decode("utf-8-sig").strip()
    lines = text.splitlines()
    if len(lines) == 1 and len(text) > len("{ }"):
        return _dumps(document, None)
    second = lines[1] if len(lines) > 1 else "  "
    indent = second[: len(second) - len(second.lstrip())] or "  "
    return _dumps(document, indent)


def _dumps(document: dict[str, Any], indent: str | None) -> str:
    text = json.dumps(document, indent=indent, separators=(",", ": " if indent else ":"), ensure_ascii=False)
    # A lone surrogate is valid JSON as an escape and no valid UTF-8: such a file is written in ASCII.
    lone = any("\ud800" <= character <= "\udfff" for character in text)
    return json.dumps(json.loads(text), indent=indent, separators=(",", ": " if indent else ":")) if lone else text


def _encode(text: str, before: bytes | None) -> bytes:
    """Bytes with the byte order mark, line ends and last line end that the file had."""
    old = before or b""
    if not old.strip() or old.endswith(b"\n"):
        text += "\n"
    if b"\r\n" in old:
        text = text.replace("\n", "\r\n")
    mark = codecs.BOM_UTF8 if old.startswith(codecs.BOM_UTF8) else b""
    return mark + text.encode("utf-8")


def _diff(path: Path, before: str, after: str, entry: Mapping[str, Any]) -> str:
    """What changes, line by line. Values that are not ours are masked: these files hold other servers' keys."""
    shown = {*_CARRIED, "PYTHONPATH", "type", "command", *entry.get("args", ())}
    old, new = (_pretty(text).splitlines() for text in (before, after))
    lines = list(difflib.unified_diff(old, new, str(path) if before else "(new file)", str(path), lineterm=""))
    return "\n".join(lines[:2] + [_masked(line, shown) for line in lines[2:]])


def _pretty(text: str) -> str:
    return _dumps(json.loads(text), "  ") if text else ""


def _masked(line: str, shown: set[str]) -> str:
    match = re.fullmatch(
        r'(.\s*(?:"(?P<key>(?:[^"\\]|\\.)*)": )?)(?P<value>"(?:[^"\\]|\\.)*"|[-\d.eE+]+)(?P<end>,?)', line
    )
    if match is None or (match["key"] or match["value"].strip('"')) in shown:
        return line
    return f'{match[1]}"…"{match["end"]}'


def _backup(target: Path, before: bytes | None, stamp: str) -> Path | None:
    if before is None:
        return None
    backup = target.with_name(f"{target.name}.before-wattproof-{stamp}")
    mode = target.stat().st_mode & 0o777
    _write_new(backup, before, mode)
    return backup


def _replace(target: Path, content: bytes) -> None:
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o600
    fresh = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        _write_new(fresh, content, mode)
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)


def _write_new(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        if os.name == "posix":
            os.fchmod(descriptor, mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
