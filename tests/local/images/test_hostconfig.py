"""What a build borrows from this machine."""

from __future__ import annotations

import configparser
import tomllib
from pathlib import Path

from local.images import debian, hostconfig

_LISTING = r""":env:.cert='/etc/ssl/certs/ca-certificates.crt'
:env:.default-timeout='180'
global.index-url='https://mirror.example/simple'
global.extra-index-url='\nhttps://one.example/simple\nhttps://two.example/simple'
global.find-links='/opt/wheels'
"""


def test_only_addresses_are_taken_when_pip_has_settings_of_many_kinds() -> None:
    assert hostconfig.package_index(_LISTING) == {
        "index-url": ["https://mirror.example/simple"],
        "extra-index-url": ["https://one.example/simple", "https://two.example/simple"],
    }


def test_pip_and_uv_read_the_same_index_when_configured() -> None:
    index = hostconfig.package_index(_LISTING)
    pip = configparser.ConfigParser()
    pip.read_string(hostconfig.pip_configuration(index, with_certificates=True))
    uv = tomllib.loads(hostconfig.uv_configuration(index))

    assert pip["global"]["index-url"] == uv["index-url"] == "https://mirror.example/simple"
    assert pip["global"]["extra-index-url"].split() == uv["extra-index-url"]
    assert pip["global"]["cert"] == "/mnt/certificates.crt"


def test_the_files_are_empty_settings_when_the_machine_has_none() -> None:
    assert hostconfig.pip_configuration({}, with_certificates=False) == "[global]\n"
    assert hostconfig.uv_configuration({}) == ""


def test_a_named_bundle_comes_first_when_the_environment_names_one(tmp_path: Path) -> None:
    bundle = tmp_path / "own.crt"
    bundle.write_text("certificates")

    assert hostconfig.certificates({"SSL_CERT_FILE": str(bundle)}) == bundle
    assert hostconfig.certificates({"SSL_CERT_FILE": str(tmp_path / "absent")}) != tmp_path / "absent"


def test_downloads_are_shared_when_the_user_has_a_cache(tmp_path: Path) -> None:
    own = tmp_path / "uv"
    fallback = tmp_path / "fallback"

    assert hostconfig.package_cache({"UV_CACHE_DIR": str(own)}, fallback) == fallback
    own.mkdir()
    assert hostconfig.package_cache({"UV_CACHE_DIR": str(own)}, fallback) == own


def test_every_mount_covers_something_that_is_there_when_no_python_is_installed(tmp_path: Path) -> None:
    pairs = hostconfig.mounts(tmp_path, tmp_path / "sources", tmp_path / "cache", with_python=False)

    assert {target for _, target in pairs} == {"/mnt", "/etc/apt/apt.conf.d", "/etc/apt/sources.list"}


def test_this_machines_mirror_is_used_when_it_has_the_suite() -> None:
    listing = (
        "Debian bookworm main http://mirror.example/debian/\n"
        "Debian bookworm contrib http://mirror.example/debian/\n"
        "Debian bookworm-security main http://mirror.example/security/\n"
        "Other bookworm main http://other.example/\n"
    )

    assert debian.package_sources(listing) == [
        "deb http://mirror.example/debian/ bookworm main",
        "deb http://mirror.example/security/ bookworm-security main",
    ]


def test_the_tools_own_mirror_is_used_when_this_machine_runs_another_release() -> None:
    assert debian.package_sources("Debian trixie main http://mirror.example/debian/\n") == []
    assert debian.package_sources("") == []
