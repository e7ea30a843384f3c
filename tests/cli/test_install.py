"""Writing this installation into an MCP host's file, without harming anything else in it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.errors import InvalidInput, Refused, UnknownName
from wattproof.server.hosts import HOSTS, config_path
from wattproof.server.install import InstallPlan, apply_plan, launch_command, plan_install

JsonObject = dict[str, Any]


def environ(home: Path) -> dict[str, str]:
    return {"HOME": str(home), "USERPROFILE": str(home), "APPDATA": str(home / "AppData" / "Roaming")}


@pytest.mark.parametrize(
    ("host", "platform", "path"),
    [
        ("claude-desktop", "darwin", "Library/Application Support/Claude/claude_desktop_config.json"),
        ("claude-desktop", "win32", "AppData/Roaming/Claude/claude_desktop_config.json"),
        ("claude-desktop", "linux", ".config/Claude/claude_desktop_config.json"),
        ("vscode", "darwin", "Library/Application Support/Code/User/mcp.json"),
        ("vscode", "win32", "AppData/Roaming/Code/User/mcp.json"),
        ("vscode", "linux", ".config/Code/User/mcp.json"),
        ("cursor", "linux", ".cursor/mcp.json"),
        ("claude-code", "linux", ".claude.json"),
    ],
)
def test_each_host_keeps_its_file_in_its_own_place(tmp_path: Path, host: str, platform: str, path: str) -> None:
    assert config_path(HOSTS[host], environ(tmp_path), platform) == tmp_path / path


def test_claude_code_may_keep_its_file_elsewhere(tmp_path: Path) -> None:
    assert config_path(HOSTS["claude-code"], {"CLAUDE_CONFIG_DIR": str(tmp_path)}, "linux") == tmp_path / ".claude.json"


def test_an_unknown_platform_asks_for_the_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="--config"):
        config_path(HOSTS["cursor"], environ(tmp_path), "sunos5")


def test_an_unknown_host_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="claude-desktop, vscode, cursor, claude-code"):
        plan_install("emacs", environ(tmp_path))


@pytest.mark.parametrize(
    ("host", "key", "entry_type"),
    [
        ("claude-desktop", "mcpServers", None),
        ("vscode", "servers", "stdio"),
        ("cursor", "mcpServers", None),
        ("claude-code", "mcpServers", "stdio"),
    ],
)
def test_a_new_file_has_the_hosts_shape_and_an_absolute_command(
    tmp_path: Path, host: str, key: str, entry_type: str | None
) -> None:
    target = tmp_path / "new" / "config.json"
    plan = plan_install(host, environ(tmp_path), target)
    assert not target.exists()
    assert apply_plan(plan, "stamp") is None
    written = json.loads(target.read_text())
    entry = written[key]["wattproof"]
    assert Path(entry["command"]).is_absolute()
    assert Path(entry["command"]).is_relative_to(Path(sys.prefix))
    assert entry.get("type") == entry_type


def test_other_servers_keys_order_and_indent_stay(tmp_path: Path) -> None:
    target = tmp_path / "config.json"
    target.write_text('{\n    "zebra": 1,\n    "mcpServers": {"other": {"command": "x"}},\n    "appetite": "é"\n}\n')
    apply_plan(plan_install("cursor", environ(tmp_path), target), "stamp")
    document = json.loads(target.read_text(encoding="utf-8"))
    assert list(document) == ["zebra", "mcpServers", "appetite"]
    assert document["mcpServers"]["other"] == {"command": "x"}
    assert '    "appetite": "é"\n}\n' in target.read_text(encoding="utf-8")


def test_the_file_as_it_was_is_kept_byte_by_byte_with_its_mode(tmp_path: Path) -> None:
    target = tmp_path / "config.json"
    original = b'\xef\xbb\xbf{\r\n  "mcpServers": {}\r\n}'
    target.write_bytes(original)
    target.chmod(0o600)
    backup = apply_plan(plan_install("cursor", environ(tmp_path), target), "20261122")
    assert backup is not None
    assert backup.read_bytes() == original
    written = target.read_bytes()
    assert written.startswith(b"\xef\xbb\xbf{\r\n")
    assert b"\n" not in written.replace(b"\r\n", b"")
    if os.name == "posix":
        assert (target.stat().st_mode & 0o777, backup.stat().st_mode & 0o777) == (0o600, 0o600)


def test_a_second_time_changes_nothing(tmp_path: Path) -> None:
    target = tmp_path / "config.json"
    apply_plan(plan_install("vscode", environ(tmp_path), target), "one")
    plan = plan_install("vscode", environ(tmp_path), target)
    assert not plan.changes
    assert plan.diff == ""


def test_what_the_user_added_to_our_entry_stays(tmp_path: Path) -> None:
    target = tmp_path / "config.json"
    entry: JsonObject = {"command": "/old/wattproof", "args": [], "env": {"OVHCLOUD_API_KEY": "hidden"}, "timeout": 5}
    target.write_text(json.dumps({"mcpServers": {"wattproof": entry}}))
    given = {**environ(tmp_path), "WATTPROOF_HOME": str(tmp_path)}
    apply_plan(plan_install("cursor", given, target), "stamp")
    written = json.loads(target.read_text())["mcpServers"]["wattproof"]
    assert written["command"] != "/old/wattproof"
    assert written["timeout"] == 5
    assert written["env"]["OVHCLOUD_API_KEY"] == "hidden"
    assert written["env"]["WATTPROOF_HOME"] == str(tmp_path)


def test_the_diff_shows_our_command_and_nobodys_secret(tmp_path: Path) -> None:
    target = tmp_path / "config.json"
    other = {"command": "npx", "args": ["--token=SECRET-A"], "env": {"KEY": "SECRET-B"}}
    ours = {"env": {"OVHCLOUD_API_KEY": "SECRET-C"}}
    target.write_text(json.dumps({"mcpServers": {"other": other, "wattproof": ours}, "oauth": "SECRET-D"}, indent=2))
    plan = plan_install("claude-desktop", environ(tmp_path), target)
    assert "SECRET" not in plan.diff
    assert launch_command({})["command"] in plan.diff


def test_secrets_of_the_environment_are_never_copied(tmp_path: Path) -> None:
    given = {**environ(tmp_path), "OVHCLOUD_API_KEY": "hidden", "WATTPROOF_ISSUER_KEY": "hidden"}
    plan = plan_install("cursor", given, tmp_path / "config.json")
    assert b"hidden" not in plan.after


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, // comment\n}',
        '{"a": 1,}',
        "not json",
        '{"a": NaN}',
        '{"a": 1, "a": 2}',
        "[1]",
        '{"mcpServers": []}',
        "\xff",
    ],
)
def test_a_file_that_is_not_plain_json_is_left_alone(tmp_path: Path, text: str) -> None:
    target = tmp_path / "config.json"
    target.write_bytes(text.encode("latin-1"))
    with pytest.raises(Refused, match=r"config\.json"):
        plan_install("cursor", environ(tmp_path), target)
    assert target.read_bytes() == text.encode("latin-1")
    assert list(tmp_path.iterdir()) == [target]


def test_a_lone_surrogate_survives_as_an_escape(tmp_path: Path) -> None:
    target = tmp_path / "config.json"
    target.write_text('{"a": "\\ud83d"}')
    apply_plan(plan_install("cursor", environ(tmp_path), target), "stamp")
    assert json.loads(target.read_bytes())["a"] == "\ud83d"


def test_a_file_that_changes_meanwhile_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "config.json"
    target.write_text("{}")
    plan = plan_install("cursor", environ(tmp_path), target)
    target.write_text('{"theirs": 1}')
    with pytest.raises(Refused, match="in the meantime"):
        apply_plan(plan, "stamp")
    assert target.read_text() == '{"theirs": 1}'


def test_a_link_to_a_dotfile_stays_a_link(tmp_path: Path) -> None:
    real, target = tmp_path / "dotfiles.json", tmp_path / "config.json"
    real.write_text("{}")
    target.symlink_to(real)
    apply_plan(plan_install("cursor", environ(tmp_path), target), "stamp")
    assert target.is_symlink()
    assert "wattproof" in real.read_text()


def test_a_write_that_fails_leaves_no_trace(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    plan = InstallPlan(HOSTS["cursor"], blocked / "config.json", None, b"{}", "")
    with pytest.raises(Refused, match="cannot be"):
        apply_plan(plan, "stamp")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    document=st.dictionaries(st.text(), json_values, max_size=4),
    indent=st.sampled_from([None, 2, 4, "\t"]),
)
def test_whatever_else_the_file_holds_survives(
    tmp_path_factory: pytest.TempPathFactory, document: JsonObject, indent: int | str | None
) -> None:
    document.pop("mcpServers", None)
    target = tmp_path_factory.mktemp("host") / "config.json"
    target.write_text(json.dumps(document, indent=indent), encoding="utf-8")
    apply_plan(plan_install("cursor", {"HOME": "/nowhere"}, target), "stamp")
    written = json.loads(target.read_text(encoding="utf-8"))
    assert set(written.pop("mcpServers")) == {"wattproof"}
    assert written == document
