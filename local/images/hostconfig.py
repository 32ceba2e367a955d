"""This machine's way to package registries (mirror, certificates, index): lent to builds, left out of images.

Everything is mounted over files and folders that exist in the images anyway: a mount point that the builder had to
make would stay behind as an empty file. Only in `builder`, which reaches no other image, may that happen.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

_CERTIFICATES = (
    Path("/etc/ssl/certs/ca-certificates.crt"),
    Path("/etc/pki/tls/certs/ca-bundle.crt"),
)
_CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_LENT = "/mnt"
"""An empty folder of every Debian; holds the certificates during a build, where `install-packages` looks for them."""
_LENT_CERTIFICATES = f"{_LENT}/certificates.crt"
_INDEX_SETTINGS = ("index-url", "extra-index-url", "find-links")
"""Settings that pip and uv share."""


def certificates(environment: Mapping[str, str]) -> Path | None:
    """Return this machine's bundle of certificate authorities, or None if it has none."""
    named = [Path(environment[name]) for name in _CERTIFICATE_VARIABLES if environment.get(name)]
    return next((path for path in [*named, *_CERTIFICATES] if path.is_file()), None)


def package_index(listing: str) -> dict[str, list[str]]:
    """Take from the output of `pip config list` where Python packages come from.

    Returns:
        Setting -> addresses. Local folders are left out, for a build cannot see them.
    """
    settings: dict[str, list[str]] = {}
    for line in listing.splitlines():
        name, _, quoted = line.partition("=")
        key = name.rpartition(".")[2].replace("_", "-")
        addresses = [word for word in quoted.strip().strip("'\"").replace("\\n", " ").split() if "://" in word]
        if key in _INDEX_SETTINGS and addresses:
            settings[key] = addresses
    return settings


def pip_configuration(index: Mapping[str, list[str]], *, with_certificates: bool) -> str:
    """Return a pip.conf."""
    lines = [f"{key} = {' '.join(addresses)}" for key, addresses in index.items()]
    if with_certificates:
        lines.append(f"cert = {_LENT_CERTIFICATES}")
    return "\n".join(["[global]", *lines, ""])


def uv_configuration(index: Mapping[str, list[str]]) -> str:
    """Return a uv.toml."""
    return "".join(
        f"{key} = {json.dumps(addresses[0] if key == 'index-url' else addresses)}\n" for key, addresses in index.items()
    )


def package_cache(environment: Mapping[str, str], fallback: Path) -> Path:
    """Return the folder in which uv keeps what it downloads: the user's own if there is one, else `fallback`."""
    base = Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    own = Path(environment.get("UV_CACHE_DIR") or base / "uv")
    if own.is_dir():
        return own
    fallback.mkdir(parents=True, exist_ok=True)
    return fallback


def mounts(folder: Path, sources: Path, packages: Path, *, with_python: bool) -> list[tuple[Path, str]]:
    """Write what a build borrows below `folder` and return (path here, path in the build) pairs.

    Args:
        folder: an empty folder that lives as long as the build.
        sources: the list of Debian package sources.
        packages: uv's cache.
        with_python: the build installs Python packages.
    """
    lent = folder / "lent"
    lent.mkdir()
    bundle = certificates(os.environ)
    if bundle:
        shutil.copy(bundle, lent / Path(_LENT_CERTIFICATES).name)
    apt = folder / "apt"
    apt.mkdir()
    (apt / "host").write_text(_apt_configuration())
    pairs = [(lent, _LENT), (apt, "/etc/apt/apt.conf.d"), (sources, "/etc/apt/sources.list")]
    if with_python:
        index = package_index(_pip_listing())
        (folder / "pip.conf").write_text(pip_configuration(index, with_certificates=bundle is not None))
        (folder / "uv.toml").write_text(uv_configuration(index))
        pairs += [
            (folder / "pip.conf", "/etc/pip.conf"),
            (folder / "uv.toml", "/etc/uv/uv.toml"),
            (packages, "/root/.cache/uv"),
        ]
    return pairs


def _apt_configuration() -> str:
    settings = {
        "APT::Install-Recommends": "false",
        "Acquire::Languages": "none",
        "Acquire::https::CAInfo": _LENT_CERTIFICATES,
    }
    return "".join(f'{name} "{value}";\n' for name, value in settings.items())


def _pip_listing() -> str:
    """Return this machine's pip settings; an environment without pip has only its variables."""
    done = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return done.stdout
    return "\n".join(f"{name[4:].lower()}={value}" for name, value in os.environ.items() if name.startswith("PIP_"))
