"""Settings: the environment, then config.toml in the home, then defaults."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wattproof.methodology.errors import InvalidInput, KeyUnusable
from wattproof.server.settings import load_settings, unknown_variables


def test_an_empty_home_gives_defaults_and_is_not_created(tmp_path: Path) -> None:
    settings = load_settings({"WATTPROOF_HOME": str(tmp_path / "home")})
    assert (settings.zone, settings.offline, settings.max_cost_usd) == (None, False, 0.10)
    assert not (tmp_path / "home").exists()


def test_a_home_that_is_a_file_is_for_the_ledger_to_refuse(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert load_settings({"WATTPROOF_HOME": str(tmp_path / "file")}).home == tmp_path / "file"


def test_without_a_home_the_platform_decides() -> None:
    assert load_settings({}).home.is_absolute()


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('zone = "SE"\noffline = true\nmax_cost_usd = 0.5\n')
    settings = load_settings({"WATTPROOF_HOME": str(tmp_path), "WATTPROOF_ZONE": "fr"})
    assert (settings.zone, settings.offline, settings.max_cost_usd) == ("FR", True, 0.5)
    assert (settings.environ["WATTPROOF_ZONE"], settings.environ["WATTPROOF_OFFLINE"]) == ("FR", "1")


def test_a_ceiling_of_zero_is_zero_and_not_the_default(tmp_path: Path) -> None:
    settings = load_settings({"WATTPROOF_HOME": str(tmp_path), "WATTPROOF_MAX_COST_USD": "0"})
    assert settings.max_cost_usd == 0


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('zoen = "FR"', "did you mean 'zone'"),
        ('zone = "FRA"', "an unknown zone"),
        ("zone = 3", "zone"),
        ('offline = "perhaps"', "offline"),
        ("max_cost_usd = -1", "max_cost_usd"),
        ("max_cost_usd = true", "max_cost_usd"),
        ("max_cost_usd = nan", "max_cost_usd"),
        ("zone = ", "not valid TOML"),
    ],
)
def test_a_wrong_file_is_refused_by_file_and_key(tmp_path: Path, text: str, named: str) -> None:
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(InvalidInput, match=r"config\.toml") as caught:
        load_settings({"WATTPROOF_HOME": str(tmp_path)})
    assert named in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WATTPROOF_HOME", "relative/home"),
        ("WATTPROOF_ZONE", "Atlantis"),
        ("WATTPROOF_OFFLINE", "maybe"),
        ("WATTPROOF_MAX_COST_USD", "ten"),
        ("WATTPROOF_GRID", "sometimes"),
        ("WATTPROOF_PROFILES", "ops,oops"),
        ("WATTPROOF_LOG_ORIGIN", "https://ledger.example.com"),
        ("WATTPROOF_LOG_ORIGIN", "two words"),
    ],
)
def test_a_wrong_variable_is_named(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(InvalidInput, match=name):
        load_settings({"WATTPROOF_HOME": str(tmp_path), name: value})


def test_grid_profiles_and_origin_come_from_either_place(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('grid = "annual"\nprofiles = ["ops"]\nlog_origin = "ledger.example.com/"\n')
    settings = load_settings({"WATTPROOF_HOME": str(tmp_path), "WATTPROOF_GRID": "live"})
    assert (settings.live_grid, settings.profiles, settings.log_origin) == (True, ("ops",), "ledger.example.com")


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_a_secrets_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets.toml"
    secrets.write_text('OVHCLOUD_API_KEY = "hidden"')
    secrets.chmod(0o640)
    with pytest.raises(KeyUnusable, match="chmod 600"):
        load_settings({"WATTPROOF_HOME": str(tmp_path)})


def test_secrets_sit_under_the_environment_and_never_show(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets.toml"
    secrets.write_text('OVHCLOUD_API_KEY = "hidden"\nGROQ_API_KEY = "older"')
    secrets.chmod(0o600)
    settings = load_settings({"WATTPROOF_HOME": str(tmp_path), "GROQ_API_KEY": "newer"})
    assert settings.environ["OVHCLOUD_API_KEY"] == "hidden"
    assert settings.environ["GROQ_API_KEY"] == "newer"
    assert "hidden" not in repr(settings)
    assert "newer" not in repr(settings)


def test_a_misspelt_variable_is_found() -> None:
    assert unknown_variables({"WATTPROOF_ZONES": "FR", "WATTPROOF_ZONE": "FR", "PATH": ""}) == ("WATTPROOF_ZONES",)
