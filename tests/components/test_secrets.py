"""Derivation of secrets. Test vectors: RFC 5869, appendix A."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pulumi
import pytest

from components._secrets import SecretSource, hkdf_sha256
from tests.support.recording_monitor import Graph, Secret, run

RFC_VECTORS = [
    (
        "0b" * 22,
        "000102030405060708090a0b0c",
        "f0f1f2f3f4f5f6f7f8f9",
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    ),
    (
        "".join(f"{byte:02x}" for byte in range(0x50)),
        "".join(f"{byte:02x}" for byte in range(0x60, 0xB0)),
        "".join(f"{byte:02x}" for byte in range(0xB0, 0x100)),
        (
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09"
            "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"
        ),
    ),
]


@pytest.mark.parametrize(("key", "salt", "info", "expected"), RFC_VECTORS)
def test_derived_bytes_are_those_of_the_standard_when_given_its_vectors(
    key: str, salt: str, info: str, expected: str
) -> None:
    derived = hkdf_sha256(
        bytes.fromhex(key), salt=bytes.fromhex(salt), info=bytes.fromhex(info), length=len(expected) // 2
    )
    assert derived.hex() == expected


@pytest.mark.parametrize("length", [0, -1, 8161])
def test_length_is_refused_when_out_of_range(length: int) -> None:
    with pytest.raises(ValueError, match="allowed is 1 to 8160"):
        hkdf_sha256(b"key", salt=b"", info=b"", length=length)


def derive(master: str = "m" * 32, **wanted: Callable[[SecretSource], pulumi.Output[str]]) -> Graph:
    def program() -> None:
        source = SecretSource(pulumi.Output.secret(master))
        for name, make in wanted.items():
            pulumi.export(name, make(source))

    return run(program)


def test_password_is_secret_and_needs_no_quoting_when_derived() -> None:
    password = derive(value=lambda source: source.password("db/admin")).stack_outputs["value"]
    assert isinstance(password, Secret)
    assert len(bytes.fromhex(password.value)) == 32


def test_passwords_differ_when_purpose_or_master_do() -> None:
    outputs = derive(a=lambda source: source.password("a"), b=lambda source: source.password("b")).stack_outputs
    other = derive("n" * 32, a=lambda source: source.password("a")).stack_outputs
    assert len({outputs["a"].value, outputs["b"].value, other["a"].value}) == 3


def test_password_is_the_same_when_derived_again() -> None:
    first, second = (derive(a=lambda source: source.password("a")).stack_outputs["a"] for _ in range(2))
    assert first == second


def test_fingerprint_is_public_and_tells_nothing_of_the_password_when_derived() -> None:
    outputs = derive(
        print=lambda source: source.fingerprint("a"), word=lambda source: source.password("a")
    ).stack_outputs
    assert isinstance(outputs["print"], str)
    assert outputs["print"] not in outputs["word"].value


def test_fingerprint_changes_when_the_master_secret_does() -> None:
    first = derive(value=lambda source: source.fingerprint("a", "b")).stack_outputs["value"]
    second = derive("n" * 32, value=lambda source: source.fingerprint("a", "b")).stack_outputs["value"]
    assert first != second


def test_fernet_key_is_32_bytes_in_base64_when_derived() -> None:
    key = derive(value=lambda source: source.fernet_key("hooks")).stack_outputs["value"]
    assert isinstance(key, Secret)
    assert len(base64.urlsafe_b64decode(key.value)) == 32


def test_fingerprint_of_a_given_secret_is_public_and_follows_it_when_it_changes() -> None:
    def of(given: str, master: str = "m" * 32) -> object:
        outputs = derive(master, value=lambda source: source.fingerprint_of(pulumi.Output.secret(given))).stack_outputs
        return outputs["value"]

    assert isinstance(of("given"), str)
    assert of("given") == of("given")
    assert len({of("given"), of("another"), of("given", "n" * 32)}) == 3, "without the master secret nobody can guess"
