"""Electricity Maps v4, NESO and Energy-Charts on a real socket of 127.0.0.1, as unkind as the real ones.

One server plays all three, each under a path of its own. Each API takes the next mode of its script; the last one
repeats. A hanging handler waits on an event that `release` sets: no sleeps.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

APIS = ("electricity-maps", "neso", "energy-charts")
TOKEN = "em-token-of-the-test"
HOUR_S, HALF_S, QUARTER_S = 3600, 1800, 900
PLAN_DENIAL = {
    "error": "Request unauthorized for zoneKey=DE,requestType=latest,dataType=carbon-intensity.",
    "message": "You do not have access to this specific endpoint for this specific zone.",
}
_STATUS: dict[str, tuple[int, str, bytes]] = {
    "400": (400, "text/plain", b"'xx' is not the code for an available country."),
    "401": (401, "application/json", b'{"error": "Invalid auth-token {token}"}'),
    "plan": (401, "application/json", json.dumps(PLAN_DENIAL).encode()),
    "403": (403, "text/plain", b"Access denied"),
    "404": (404, "application/json", b'{"status": "error", "message": "No recent data for zone \\"XX\\""}'),
    "429": (429, "application/json", b'{"error": "Too many requests"}'),
    "500": (500, "text/html", b"<html>internal\x1b[31m error</html>"),
    "503": (503, "text/plain", b"overloaded"),
    "redirect": (302, "text/plain", b""),
    "html": (200, "text/html", b"<html><body>maintenance</body></html>"),
    "empty": (200, "application/json", b""),
    "bad_json": (200, "application/json", b'{"zone": "FI", "carbonIntensity": NaN}'),
    "bad_utf8": (200, "application/json", b'{"zone": "\xff\xfe"}'),
    "bad_shape": (200, "application/json", b'[{"zone": []}, null, 3]'),
}
VALUE_MODES = ("nulls", "text", "negative", "monstrous", "future", "stale", "other_zone")
MODES = ("ok", "hang", "cut", "gzip", "huge", *_STATUS, *VALUE_MODES)


@dataclass
class GridApis:
    """The handle that tests hold. `now_s` is the time that the APIs take for now (Unix seconds)."""

    base_url: str
    now_s: float
    value_gco2e_per_kwh: float = 82.0
    regions: dict[str, str] = field(default_factory=lambda: {"aws/eu-north-1": "SE-SE3"})
    received: list[str] = field(default_factory=list[str])
    _modes: dict[str, list[str]] = field(default_factory=lambda: {api: ["ok"] for api in APIS})
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _closing: threading.Event = field(default_factory=threading.Event)

    @property
    def base_urls(self) -> dict[str, str]:
        """Where each source finds its API."""
        energy_charts = f"{self.base_url}/energy-charts"
        return {
            "electricity-maps": f"{self.base_url}/electricity-maps/v4",
            "neso": f"{self.base_url}/neso",
            "energy-charts": energy_charts,
            "energy-charts+ipcc-2014": energy_charts,
        }

    def script(self, api: str, *modes: str) -> None:
        """Let an API (or `all`) serve these modes in turn; the last one repeats."""
        assert set(modes) <= set(MODES), f"no such mode: {set(modes) - set(MODES)}"
        with self._lock:
            for name in APIS if api == "all" else (api,):
                self._modes[name] = list(modes)

    def take(self, api: str, path: str) -> str:
        with self._lock:
            self.received.append(path)
            modes = self._modes[api]
            return modes.pop(0) if len(modes) > 1 else modes[0]

    def wait_closing(self, at_most_s: float) -> None:
        self._closing.wait(at_most_s)

    def release(self) -> None:
        """Let hanging handlers go."""
        self._closing.set()


@contextlib.contextmanager
def serving(now_s: float) -> Generator[GridApis]:
    """The fake APIs on a free port of 127.0.0.1 for as long as the block runs."""

    class Bound(_Handler):
        pass

    server = _Server(("127.0.0.1", 0), Bound)
    apis = GridApis(f"http://127.0.0.1:{server.server_address[1]}", now_s)
    Bound.apis = apis
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield apis
    finally:
        apis.release()
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is part of the game."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    apis: GridApis

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing: stderr belongs to the test."""

    def do_GET(self) -> None:
        split = urlsplit(self.path)
        api, _, path = split.path.lstrip("/").partition("/")
        asked = dict(parse_qsl(split.query))
        mode = self.apis.take(api, self.path)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            if mode == "hang":
                self.apis.wait_closing(60)
                self.close_connection = True
            elif mode in _STATUS:
                self._send(*_STATUS[mode])
            elif api == "electricity-maps" and self.headers.get("auth-token") != TOKEN:
                self._send(*_STATUS["401"])
            else:
                self._answer(mode, json.dumps(_BODIES[api](self.apis, path, asked, mode)).encode())

    def _answer(self, mode: str, body: bytes) -> None:
        if mode == "gzip":
            self._send(200, "application/json", gzip.compress(body), content_encoding="gzip")
        elif mode == "huge":
            self._send(200, "application/json", body + b" " * 3_000_000)
        elif mode == "cut":
            self._send(200, "application/json", body[: len(body) // 2], promised=len(body))
            self.close_connection = True
        else:
            self._send(200, "application/json", body)

    def _send(
        self, status: int, media_type: str, body: bytes, *, promised: int | None = None, content_encoding: str = ""
    ) -> None:
        # Like some real APIs, it says the key again that it was sent.
        body = body.replace(b"{token}", self.headers.get("auth-token", "").encode())
        self.send_response(status)
        self.send_header("content-type", media_type)
        self.send_header("content-length", str(len(body) if promised is None else promised))
        if content_encoding:
            self.send_header("content-encoding", content_encoding)
        if status == 302:
            self.send_header("location", f"{self.apis.base_url}/elsewhere")
        if status == 429:
            self.send_header("retry-after", "30")
        self.end_headers()
        self.wfile.write(body)


def _electricity_maps(apis: GridApis, path: str, asked: dict[str, str], mode: str) -> dict[str, Any]:
    _, signal, temporality = path.split("/")
    centre = f"{asked.get('dataCenterProvider')}/{asked.get('dataCenterRegion')}"
    zone = "NZ" if mode == "other_zone" else asked.get("zone") or apis.regions.get(centre, "US")
    hour = int(apis.now_s) // HOUR_S * HOUR_S
    if signal != "carbon-intensity":
        stated = {"unit": "%", "value": 104 if signal == "renewable-energy" else 93, "datetime": _at(hour)}
        return {"zone": zone, **stated, "flowTraced": True, "temporalGranularity": "hourly"}
    if temporality == "latest":
        return {"zone": zone, **_hour(apis, hour + _shift_s(mode), mode), "temporalGranularity": "hourly"}
    hours = range(24) if temporality == "forecast" else range(-23, 1)
    rows = [_hour(apis, hour + ahead * HOUR_S, mode) for ahead in hours]
    return {"zone": zone, temporality: rows, "temporalGranularity": "hourly"}


def _hour(apis: GridApis, starts_at: int, mode: str) -> dict[str, Any]:
    return {
        "carbonIntensity": _value(apis.value_gco2e_per_kwh, mode),
        "datetime": _at(starts_at),
        "emissionFactorType": "lifecycle",
        "flowTraced": True,
        "isEstimated": starts_at + 2 * HOUR_S > apis.now_s,
        "estimationMethod": "FORECASTS_HIERARCHY",
    }


def _neso(apis: GridApis, path: str, asked: dict[str, str], mode: str) -> dict[str, Any]:
    half = int(apis.now_s) // HALF_S * HALF_S + _shift_s(mode)
    ahead = range(96) if "fw" in path else range(-47, 1) if "pt24h" in path else range(1)
    return {"data": [_half_hour(apis, half + step * HALF_S, mode) for step in ahead]}


def _half_hour(apis: GridApis, starts_at: int, mode: str) -> dict[str, Any]:
    forecast = _value(146.0, mode)
    actual = None if starts_at + HALF_S > apis.now_s else forecast
    intensity = {"forecast": forecast, "actual": actual, "index": "low"}
    return {"from": _at(starts_at), "to": _at(starts_at + HALF_S), "intensity": intensity}


def _energy_charts(apis: GridApis, path: str, asked: dict[str, str], mode: str) -> dict[str, Any]:
    quarter = int(apis.now_s) // QUARTER_S * QUARTER_S + _shift_s(mode)
    times = [quarter + step * QUARTER_S for step in range(-12, 8)]
    known = [_value(400.0, mode) if at + HOUR_S <= apis.now_s or mode == "future" else None for at in times]
    if path == "co2eq":
        ahead = [None if value is not None else _value(405.0, mode) for value in known]
        return {"unix_seconds": times, "co2eq": known, "co2eq_forecast": ahead, "deprecated": False}
    # 30 GW of coal and 30 of wind, and no figure where there is none yet.
    megawatts = [None if value is None else _value(30_000.0, mode) for value in known]
    types = [{"name": name, "data": megawatts} for name in ("Fossil hard coal", "Wind onshore", "Load")]
    return {"unix_seconds": times, "production_types": types, "deprecated": False}


_BODIES: dict[str, Callable[[GridApis, str, dict[str, str], str], dict[str, Any]]] = {
    "electricity-maps": _electricity_maps,
    "neso": _neso,
    "energy-charts": _energy_charts,
}


def _value(value: float, mode: str) -> object:
    strange: dict[str, object] = {"nulls": None, "text": str(value), "negative": -value, "monstrous": value * 1e9}
    return strange.get(mode, value)


def _shift_s(mode: str) -> int:
    return {"future": 48 * HOUR_S, "stale": -48 * HOUR_S}.get(mode, 0)


def _at(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
