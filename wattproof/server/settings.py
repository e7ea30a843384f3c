"""What the operator has set: environment first, then ``config.toml`` in the home, then defaults.

The working directory is never read. Secrets come from the environment or from ``secrets.toml`` in the home, which must
be readable by its owner alone; they stay in `Settings.environ`, which no text form of `Settings` shows.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, get_args

from wattproof.methodology.errors import InvalidInput, KeyUnusable, UnknownZone
from wattproof.server.apps.offered import APPS_SETTINGS, AppsSetting
from wattproof.server.serving.limits import Limits, parse_limits

__all__ = ["CONFIG_KEYS", "LogStyle", "Settings", "default_home", "load_settings", "unknown_variables"]

_T = TypeVar("_T")

LogStyle = Literal["json", "text", "off"]
"""How the log on stderr is written."""

DEFAULT_MAX_COST_USD = 0.10
_MAX_FILE_BYTES = 64 * 1024
_TENANT = re.compile(r"local|t_[a-z2-7]{26}", re.ASCII)

CONFIG_KEYS: Mapping[str, str] = {
    "zone": "WATTPROOF_ZONE",
    "offline": "WATTPROOF_OFFLINE",
    "max_cost_usd": "WATTPROOF_MAX_COST_USD",
    "grid": "WATTPROOF_GRID",
    "profiles": "WATTPROOF_PROFILES",
    "apps": "WATTPROOF_APPS",
    "log_origin": "WATTPROOF_LOG_ORIGIN",
    "limits": "WATTPROOF_LIMITS",
    "log": "WATTPROOF_LOG",
    "http_auth": "WATTPROOF_HTTP_AUTH",
    "oauth_issuer": "WATTPROOF_OAUTH_ISSUER",
    "oauth_resource": "WATTPROOF_OAUTH_RESOURCE",
    "oauth_audience": "WATTPROOF_OAUTH_AUDIENCE",
    "oauth_jwks": "WATTPROOF_OAUTH_JWKS",
}
"""Each key of config.toml and the environment variable that overrides it."""

PROFILES = ("ops", "audit")
"""Sets of tools beside the core, off unless named."""

# Checked by `server.auth.settings` where HTTP is served; only whether they are text is looked at here.
_CALLERS = ("http_auth", "oauth_issuer", "oauth_resource", "oauth_audience", "oauth_jwks")

_ENVIRONMENT_ONLY = (
    "WATTPROOF_FAST_START",
    "WATTPROOF_HOME",
    "WATTPROOF_HTTP_TOKEN",
    "WATTPROOF_INSTANCE_SECRET",
    "WATTPROOF_ISSUER_KEY",
    "WATTPROOF_ISSUER_KEY_NEXT",
    "WATTPROOF_LEDGER",
    "WATTPROOF_LOG_KEY",
    "WATTPROOF_LOG_KEY_NEXT",
    "WATTPROOF_TENANT",
)


@dataclass(frozen=True, slots=True)
class Settings:
    """Validated once, at start.

    `home` is absolute. `zone` is a bundled zone key for local models, or None. `max_cost_usd` is the ceiling of one run
    in US dollars. `live_grid` false: the annual edition only, for results that never change; no source is asked.
    `profiles` are the sets of tools beside the core. `apps` says who is offered views: clients that say that they show
    them (auto), all, or none. `log_origin` begins the name of every log in its checkpoints, such
    as `ledger.example.com`; None: `wattproof.local`. `limits` are those of `serve --http`; `log` is the form of its log
    on stderr, None: text at a terminal, else JSON lines. `environ` is the environment with the secrets file under it
    and these settings written into it.
    """

    home: Path
    zone: str | None = None
    offline: bool = False
    max_cost_usd: float = DEFAULT_MAX_COST_USD
    live_grid: bool = True
    profiles: tuple[str, ...] = ()
    apps: AppsSetting = "auto"
    log_origin: str | None = None
    limits: Limits = field(default_factory=Limits)
    log: LogStyle | None = None
    environ: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    @property
    def ledger_dsn(self) -> str | None:
        """The PostgreSQL database of the ledger (WATTPROOF_LEDGER), with its password; None: a file in the home."""
        return self.environ.get("WATTPROOF_LEDGER") or None

    @property
    def log_id(self) -> str:
        """Whose log commands and stdio act on: this installation's own, or the tenant's in WATTPROOF_TENANT."""
        return self.environ.get("WATTPROOF_TENANT", "").strip() or "local"

    @property
    def http_token(self) -> str | None:
        """A fixed bearer token for `serve --http`, so that clients survive a restart; None: draw one."""
        return self.environ.get("WATTPROOF_HTTP_TOKEN") or None


def default_home() -> Path:
    """The platform's data directory for this user."""
    from platformdirs import user_data_path

    return user_data_path("wattproof", appauthor=False)


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Settings from `environ` and the files of the home that it names; creates nothing.

    Raises:
        InvalidInput: a variable or a key of config.toml has a wrong value; the text names it.
        KeyUnusable: secrets.toml can be read by others.
    """
    home = _home(environ)
    config = _config(home / "config.toml")
    zone = _pick(environ, config, home, "zone", _zone)
    offline = _pick(environ, config, home, "offline", _flag) or False
    max_cost_usd = _pick(environ, config, home, "max_cost_usd", _amount)
    live_grid = _pick(environ, config, home, "grid", _grid)
    dsn = environ.get("WATTPROOF_LEDGER", "").strip()
    if dsn and not dsn.startswith(("postgresql://", "postgres://")):
        raise InvalidInput("WATTPROOF_LEDGER", "names no PostgreSQL database", "give postgresql://USER@HOST/DATABASE")
    tenant = environ.get("WATTPROOF_TENANT", "").strip()
    if tenant and _TENANT.fullmatch(tenant) is None:
        raise InvalidInput("WATTPROOF_TENANT", f"is {tenant[:40]!r}", "give an id that `wattproof tenants` lists")
    effective = {"WATTPROOF_ZONE": zone or "", "WATTPROOF_OFFLINE": "1" if offline else ""}
    callers = {CONFIG_KEYS[key]: _pick(environ, config, home, key, _text) or "" for key in _CALLERS}
    return Settings(
        home=home,
        zone=zone,
        offline=offline,
        max_cost_usd=DEFAULT_MAX_COST_USD if max_cost_usd is None else max_cost_usd,
        live_grid=live_grid is not False,
        log_origin=_pick(environ, config, home, "log_origin", _origin),
        profiles=_pick(environ, config, home, "profiles", _profiles) or (),
        apps=_pick(environ, config, home, "apps", _apps) or "auto",
        limits=_pick(environ, config, home, "limits", parse_limits) or Limits(),
        log=_pick(environ, config, home, "log", _log),
        environ={**_secrets(home / "secrets.toml"), **environ, **effective, **callers},
    )


def unknown_variables(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Names that start with WATTPROOF_ and that nothing reads: most likely a typing error."""
    known = {*CONFIG_KEYS.values(), *_ENVIRONMENT_ONLY}
    return tuple(sorted(name for name in environ if name.startswith("WATTPROOF_") and name not in known))


def _home(environ: Mapping[str, str]) -> Path:
    text = environ.get("WATTPROOF_HOME", "").strip()
    if not text:
        return default_home()
    home = Path(text).expanduser()
    if not home.is_absolute():
        raise InvalidInput("WATTPROOF_HOME", f"is the relative path {text!r}", "give an absolute path")
    return home


def _read(path: Path) -> dict[str, Any]:
    try:
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise InvalidInput(str(path), f"cannot be read ({error.strerror})", "make it readable or remove it") from error
    if len(raw) > _MAX_FILE_BYTES:
        raise InvalidInput(str(path), f"has {len(raw)} bytes", f"keep it under {_MAX_FILE_BYTES}")
    import tomllib

    try:
        return tomllib.loads(raw.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(str(path), f"is not valid TOML ({error})", "correct that line or remove the file") from error


def _config(path: Path) -> dict[str, Any]:
    config = _read(path)
    for key in config:
        if key not in CONFIG_KEYS:
            from difflib import get_close_matches

            close = get_close_matches(key, CONFIG_KEYS, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise InvalidInput(f"{path}: {key}", "is not a setting", f"{hint}known keys: {', '.join(CONFIG_KEYS)}")
    return config


def _secrets(path: Path) -> dict[str, str]:
    secrets = _read(path)
    if not secrets:
        return {}
    mode = stat.S_IMODE(path.stat().st_mode)
    if os.name == "posix" and mode & 0o077:
        raise KeyUnusable(f"{path} can be read by others (mode {mode:04o}); run: chmod 600 {path}")
    for name, value in secrets.items():
        if not isinstance(value, str):
            raise InvalidInput(f"{path}: {name}", "is not a string", 'write it as NAME = "value"')
    return secrets


def _pick(
    environ: Mapping[str, str], config: Mapping[str, Any], home: Path, key: str, parse: Callable[[str, object], _T]
) -> _T | None:
    variable = CONFIG_KEYS[key]
    text = environ.get(variable, "").strip()
    if text:
        return parse(variable, text)
    if key in config:
        return parse(f"{home / 'config.toml'}: {key}", config[key])
    return None


def _zone(where: str, value: object) -> str:
    from wattproof.methodology.zones import zone_average

    if not isinstance(value, str):
        raise InvalidInput(where, f"is {value!r}", 'give a zone such as "FR" or "SE-SE3"')
    try:
        return zone_average(value).zone
    except UnknownZone as error:
        raise InvalidInput(where, f"is {value!r}, an unknown zone", f"closest: {', '.join(error.closest)}") from error


def _flag(where: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if isinstance(value, str) and value.lower() in words:
        return words[value.lower()]
    raise InvalidInput(where, f"is {value!r}", "give 1 or 0 in the environment, true or false in config.toml")


def _grid(where: str, value: object) -> bool:
    if value in ("live", "annual"):
        return value == "live"
    raise InvalidInput(where, f"is {value!r}", 'give "live", or "annual" to ask no grid source')


def _profiles(where: str, value: object) -> tuple[str, ...]:
    names: list[Any] = value.replace(",", " ").split() if isinstance(value, str) else _as_list(value)
    for name in names:
        if name not in PROFILES:
            raise InvalidInput(where, f"names {name!r}", f"known profiles: {', '.join(PROFILES)}")
    return tuple(profile for profile in PROFILES if profile in names)


def _apps(where: str, value: object) -> AppsSetting:
    for known in APPS_SETTINGS:
        if value == known:
            return known
    raise InvalidInput(where, f"is {value!r}", 'give "auto", "on" or "off"')


def _origin(where: str, value: object) -> str:
    """A schema-less URL without spaces and plus, as C2SP tlog-checkpoint asks."""
    text = value.strip().strip("/") if isinstance(value, str) else ""
    if not text or "://" in text or len(text) > 200 or any(not "!" <= ch <= "~" or ch == "+" for ch in text):
        raise InvalidInput(
            where, f"is {value!r}", 'give a name such as "ledger.example.com", without https:// and spaces'
        )
    return text


def _text(where: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidInput(where, f"is {value!r}", "give text in quotes")
    return value.strip()


def _log(where: str, value: object) -> LogStyle:
    styles: Mapping[object, LogStyle] = {"json": "json", "text": "text", "off": "off"}
    if not isinstance(value, str) or value not in styles:
        raise InvalidInput(where, f"is {value!r}", f"give {', '.join(get_args(LogStyle))}")
    return styles[value]


def _as_list(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else [value]


def _amount(where: str, value: object) -> float:
    problem = InvalidInput(where, f"is {value!r}", "give an amount in US dollars from 0 to 1000, such as 0.10")
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise problem
    try:
        amount = float(value)
    except ValueError as error:
        raise problem from error
    if not 0 <= amount <= 1000:
        raise problem
    return amount
