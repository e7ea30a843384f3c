"""The image and the compose file. There is no Docker daemon in the tests: what can be run without one is run.

`.ci/packaging.py` runs the commands of the Dockerfile's first stage in a folder.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from typer.main import get_command

from docs.generate.distribution import IMAGE, REGISTRY_NAME, REPOSITORY
from docs.generate.variables import OWN
from tests.packaging.conftest import ROOT
from wattproof.resources.receipts.keys import issuer_from_env, log_keys_from_env
from wattproof.server.cli import build_app

DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
INSTRUCTIONS = re.findall(
    r"^([A-Z]+) ((?:.*\\\n)*.*)$", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE), re.MULTILINE
)
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "packaging" / "compose" / "compose.yaml").read_text("utf-8"))
DOCKER = ROOT / "packaging" / "docker"
PIN = re.compile(r"^([a-z0-9._-]+)(?:\[[a-z]+\])?==([^ ]+)", re.MULTILINE)


def arguments(name: str) -> list[str]:
    return [text for instruction, text in INSTRUCTIONS if instruction == name]


def is_sent(path: str) -> bool:
    """Whether .dockerignore lets the builder see `path`: the last pattern to match it or a folder over it decides."""
    sent = True
    parts = path.split("/")
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        pattern = line.removeprefix("!").removeprefix("**/")
        anywhere = "**/" in line
        prefixes = ["/".join(parts[: n + 1]) for n in range(len(parts))]
        if line and not line.startswith("#") and any(fnmatch(p, pattern) for p in (parts if anywhere else prefixes)):
            sent = line.startswith("!")
    return sent


def test_the_last_stage_starts_from_a_bare_base_as_a_numbered_user_who_is_not_root() -> None:
    assert len(arguments("FROM")) == 2
    assert arguments("USER") == ["10001:10001"]
    assert [name for name, _ in INSTRUCTIONS].index("USER") > [text for _, text in INSTRUCTIONS].index(
        "python:${PYTHON}"
    )
    assert arguments("ADD") == []
    assert arguments("ARG") == ["PYTHON=3.13-slim-trixie"]


def test_the_image_runs_without_a_shell_around_it_and_says_how_it_fares() -> None:
    assert arguments("ENTRYPOINT") == ['["/bin/sh", "/opt/wattproof/entrypoint.sh"]']
    assert "exec wattproof" in (DOCKER / "entrypoint.sh").read_text("utf-8")
    assert "healthcheck.py" in arguments("HEALTHCHECK")[0]
    assert any("compileall" in text for text in arguments("RUN"))


def test_the_labels_name_the_server_of_the_registry_entry() -> None:
    labels = dict(re.findall(r'([\w.]+)="([^"]*)"', arguments("LABEL")[0]))

    assert labels["io.modelcontextprotocol.server.name"] == REGISTRY_NAME
    assert labels["org.opencontainers.image.source"] == REPOSITORY
    assert REPOSITORY.removeprefix("https://github.com/") in IMAGE


def test_everything_that_is_copied_is_there_and_is_sent_to_the_builder() -> None:
    sources = [source for text in arguments("COPY") if not text.startswith("--from") for source in text.split()[:-1]]

    assert sources
    assert [source for source in sources if not (ROOT / source).exists() or not is_sent(source)] == []


@pytest.mark.parametrize(
    "path",
    [".git/config", ".venv/bin/python", "tests/conftest.py", "packaging/compose/secrets/PGPASSWORD", "wattproof/a.pyc"],
)
def test_what_the_image_is_not_made_of_is_not_sent_to_the_builder(path: str) -> None:
    assert not is_sent(path)


def test_the_image_has_the_locked_runtime_and_nothing_older() -> None:
    runtime, image = (
        dict(PIN.findall((ROOT / "requirements" / name).read_text("utf-8"))) for name in ("runtime.txt", "image.txt")
    )

    assert runtime.items() <= image.items()
    assert {"psycopg", "opentelemetry-sdk", "prometheus-client"} <= image.keys()


def with_a_stub(folder: Path) -> dict[str, str]:
    """An environment in which `wattproof` prints its words and its secrets."""
    stub = folder / "bin" / "wattproof"
    stub.parent.mkdir()
    stub.write_text('#!/bin/sh\necho "$@" "${WATTPROOF_HTTP_TOKEN-none}" "${lower-none}"\n', "utf-8")
    stub.chmod(0o755)
    return {"PATH": f"{stub.parent}{os.pathsep}{os.defpath}", "SECRETS_FOLDER": str(folder / "secrets")}


def test_a_secret_that_is_mounted_as_a_file_becomes_the_variable_of_its_name(tmp_path: Path) -> None:
    env = with_a_stub(tmp_path)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "WATTPROOF_HTTP_TOKEN").write_text("a token with a $sign\n", "utf-8")
    (tmp_path / "secrets" / "lower").write_text("not taken", "utf-8")

    assert entrypoint(env, "serve", "--http") == "serve --http a token with a $sign none\n"


def test_without_secrets_the_image_just_starts(tmp_path: Path) -> None:
    assert entrypoint(with_a_stub(tmp_path), "serve") == "serve none none\n"


def entrypoint(env: dict[str, str], *words: str) -> str:
    command = ["/bin/sh", str(DOCKER / "entrypoint.sh"), *words]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout


def healthy(pid: int) -> int:
    return subprocess.run(
        [sys.executable, str(DOCKER / "healthcheck.py"), str(pid)], capture_output=True, check=False
    ).returncode


def test_the_healthcheck_follows_a_server_over_http(tmp_path: Path) -> None:
    env = {
        "PATH": os.defpath,
        "HOME": str(tmp_path),
        "WATTPROOF_HOME": str(tmp_path / "home"),
        "WATTPROOF_OFFLINE": "1",
    }
    port = free_port()
    words = ("serve", "--http", "--port", str(port))
    with subprocess.Popen([sys.executable, "-m", "wattproof", *words], env=env, stderr=subprocess.PIPE) as server:
        assert server.stderr is not None
        # The address is said once the socket listens; a request then waits in it until the server reads.
        server.stderr.readline()
        # On a busy machine the first answer may take longer than the check waits; Docker asks again, too.
        while_serving = any(healthy(server.pid) == 0 for _ in range(5))
        server.terminate()
        server.stderr.read()

    assert while_serving


def test_the_healthcheck_fails_where_nothing_answers_and_asks_nothing_over_stdio() -> None:
    silent = [sys.executable, "-c", "input()", "--http", "--port", str(free_port())]
    stdio = [sys.executable, "-c", "input()"]
    for command, expected in ((silent, 1), (stdio, 0)):
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert healthy(process.pid) == expected
            process.communicate(b"\n")


def free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        return cast("int", listener.getsockname()[1])


def test_the_compose_file_sets_only_variables_that_wattproof_reads() -> None:
    server = COMPOSE["services"]["server"]
    known = {variable.name for variable in OWN}

    # PGPASSWORD is read by the database driver.
    assert {*server["environment"], *server["secrets"]} - known == {"PGPASSWORD"}
    assert {name for name in server["environment"] if "KEY" in name or "TOKEN" in name} == set()


def test_the_compose_file_names_what_it_declares() -> None:
    services = COMPOSE["services"].values()
    used = {secret for service in services for secret in service["secrets"]}
    mounted = {volume.partition(":")[0] for service in services for volume in service["volumes"]}

    assert used == COMPOSE["secrets"].keys()
    assert {volume for volume in mounted if not volume.startswith(".")} == COMPOSE["volumes"].keys()
    assert all(
        service["depends_on"].keys() <= COMPOSE["services"].keys() for service in services if "depends_on" in service
    )
    assert "healthcheck" in COMPOSE["services"]["database"]


def test_the_command_of_the_compose_file_is_one_that_wattproof_has() -> None:
    command, *options = COMPOSE["services"]["server"]["command"]
    serve: Any = cast("Any", get_command(build_app())).commands[command]
    known = {name for parameter in serve.params for name in parameter.opts}

    assert {option for option in options if option.startswith("--")} <= known


def test_only_this_machine_reaches_the_compose_file_and_the_container_can_change_only_its_data() -> None:
    server = COMPOSE["services"]["server"]

    assert all(port.startswith("127.0.0.1:") for port in server["ports"])
    assert "ports" not in COMPOSE["services"]["database"]
    assert server["read_only"]
    assert server["cap_drop"] == ["ALL"]


def test_the_secrets_are_drawn_once_in_the_form_that_is_read(tmp_path: Path) -> None:
    shutil.copy(ROOT / "packaging" / "compose" / "make-secrets.sh", tmp_path)

    def drawn() -> list[str]:
        run = subprocess.run(["sh", str(tmp_path / "make-secrets.sh")], capture_output=True, text=True, check=True)
        return [line.removeprefix("secrets/") for line in run.stdout.split()]

    first = drawn()
    secrets = {name: (tmp_path / "secrets" / name).read_text("utf-8") for name in first}

    assert set(first) == COMPOSE["secrets"].keys()
    assert (
        issuer_from_env(secrets["WATTPROOF_ISSUER_KEY"]).kid != log_keys_from_env(secrets["WATTPROOF_LOG_KEY"])[0].kid
    )
    assert len(secrets["WATTPROOF_HTTP_TOKEN"]) >= 40
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0
    assert drawn() == []
