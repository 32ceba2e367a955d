"""Publishing of the platform's own images: that a run which was cut off anywhere is finished by the next one.

The programs are small stand-ins that write down how they were called and keep what a registry would keep, for docker,
syft, cosign and a registry cannot be had here. What this does not prove: that the real ones take these arguments.
"""

from __future__ import annotations

import os
import re
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from components._versions import IMAGES

ROOT: Final = Path(__file__).resolve().parents[2]
REGISTRY: Final = "registry.test/x"
SIGNER: Final = "https://git.test/o/n/.github/workflows/delivery.yml@refs/heads/main"
NAMES: Final = ("ml", "training")
PARENTS: Final = ("base", "builder", "ml-packages", "tensorflow", "training-packages")
DIGEST: Final = f"sha256:{1:064d}"
MANIFEST: Final = f"https://{REGISTRY.replace('/', '/v2/', 1)}/mlplatform/ml/manifests/1.2.3"
TOKEN: Final = "https://registry.test/token"
ASKED: Final = "unexpected status from"

# What exists is a file of that name in the folder of the registry. A call that contains the text of $CUT fails. What
# $ANSWER holds is all that the registry is found to say of its images.
STAND_IN: Final = f"""#!/bin/sh
printf '%s %s\\n' "${{0##*/}}" "$*" >> "$CALLS"
if [ -n "$CUT" ]; then case "${{0##*/}} $*" in *"$CUT"*) echo "cut off" >&2; exit 7 ;; esac; fi
for last; do :; done
key() {{ printf '%s/%s %s' "$KEPT" "$1" "$(printf '%s' "$2" | tr '/' '_')"; }}
case "${{0##*/}} $*" in
  "docker push"*) touch "$(key pushed "$last")" ;;
  "docker buildx imagetools inspect"*)
    if [ -n "$ANSWER" ]; then printf '%s\\n' "$ANSWER" >&2; exit 1; fi
    if [ -e "$(key pushed "$last")" ]; then echo {DIGEST}; else echo "ERROR: $last: not found" >&2; exit 1; fi ;;
  "syft scan"*) touch "${{4#spdx-json=}}" ;;
  "cosign sign"*) touch "$(key signed "$last")" ;;
  "cosign attest"*) [ -e "$6" ] && touch "$(key attested "$last")" ;;
  "cosign verify-attestation"*) [ -e "$(key attested "$last")" ] ;;
  "cosign verify"*) [ -e "$(key signed "$last")" ] ;;
esac
"""


@dataclass(frozen=True)
class Run:
    """One run of the script: how it ended, and how it called the programs."""

    code: int
    calls: list[str]
    said: str

    def of(self, start: str) -> list[str]:
        """Return the calls that start so."""
        return [call for call in self.calls if call.startswith(start)]


@dataclass(frozen=True)
class Registry:
    """A folder that stands for a registry, and the programs that use it."""

    folder: Path

    def publish(self, *, cut: str = "", answer: str = "") -> Run:
        """Run the script; a call of a program fails if it contains `cut`, and each look at an image with `answer`."""
        programs, kept, calls = (self.folder / name for name in ("programs", "kept", "calls"))
        programs.mkdir(exist_ok=True)
        kept.mkdir(exist_ok=True)
        calls.write_text("", encoding="utf-8")
        for name in ("docker", "syft", "cosign"):
            program = programs / name
            program.write_text(STAND_IN, encoding="utf-8")
            program.chmod(program.stat().st_mode | stat.S_IXUSR)
        files = {"PATH": f"{programs}:{os.environ['PATH']}", "CALLS": str(calls), "KEPT": str(kept)}
        environment = {**files, "CUT": cut, "ANSWER": answer}
        command = ["sh", str(ROOT / "delivery" / "publish.sh"), REGISTRY, "1.2.3", SIGNER]
        done = subprocess.run(command, cwd=self.folder, env=environment, check=False, capture_output=True, text=True)
        return Run(done.returncode, calls.read_text(encoding="utf-8").splitlines(), done.stderr)

    def kept(self) -> set[str]:
        """Return what is there: `pushed`, `attested` or `signed`, and of which image."""
        return {file.name for file in (self.folder / "kept").iterdir()}


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path)


def place(name: str) -> str:
    return f"{REGISTRY}/mlplatform/{name}"


def whole() -> set[str]:
    """Return what is there when both images are published."""
    flat = {name: place(name).replace("/", "_") for name in NAMES}
    return {
        f"{what} {flat[name]}{reference}"
        for name in NAMES
        for what, reference in (("pushed", ":1.2.3"), ("attested", f"@{DIGEST}"), ("signed", f"@{DIGEST}"))
    }


def test_every_own_image_is_described_and_signed_by_digest_when_published(registry: Registry) -> None:
    run = registry.publish()
    assert run.code == 0, run.said
    assert registry.kept() == whole()
    assert {image.repository.rpartition("/")[2] for image in IMAGES.values() if image.own} == set(NAMES)
    trusted = f"--certificate-oidc-issuer https://token.actions.githubusercontent.com --certificate-identity {SIGNER}"
    for name in NAMES:
        reference = f"{place(name)}@{DIGEST}"
        wanted = [
            f"docker build --file images/{name}/Containerfile --tag {place(name)}:1.2.3 .",
            f"docker push {place(name)}:1.2.3",
            f"cosign verify-attestation --type spdxjson {trusted} {reference}",
            f"syft scan registry:{reference} --output spdx-json={name}.spdx.json",
            f"cosign attest --yes --type spdxjson --predicate {name}.spdx.json {reference}",
            f"cosign verify {trusted} {reference}",
            f"cosign sign --yes {reference}",
        ]
        assert [call for call in run.calls if call in wanted] == wanted


def test_every_image_is_built_after_what_it_is_made_from_and_before_the_first_push(registry: Registry) -> None:
    run = registry.publish()
    built = re.findall(r"images/([\w-]+)/Containerfile", "\n".join(run.calls))
    assert built == [*PARENTS, *NAMES]
    for number, name in enumerate(built):
        text = (ROOT / "images" / name / "Containerfile").read_text(encoding="utf-8")
        parents = re.findall(r"=localhost/mlplatform/([\w-]+):local", text)
        assert set(parents) <= set(built[:number]), f"{name} is built before what it is made from"
    steps = [" ".join(call.split()[:2]) for call in run.calls]
    assert max(number for number, step in enumerate(steps) if step == "docker build") < steps.index("docker push")


def test_nothing_is_done_again_when_all_is_there(registry: Registry) -> None:
    registry.publish()
    again = registry.publish()
    assert again.code == 0
    asked = {" ".join(call.split()[:2]) for call in again.calls}
    assert asked == {"docker buildx", "cosign verify", "cosign verify-attestation"}


@pytest.mark.parametrize(
    "cut",
    [
        *(f"docker build --file images/{name}/" for name in (*PARENTS, *NAMES)),
        *(
            start.format(place(name))
            for name in NAMES
            for start in (
                "docker push {}:",
                "docker buildx imagetools inspect --format {{{{.Manifest.Digest}}}} {}:",
                "syft scan registry:{}@",
            )
        ),
        *(f"cosign {verb} --yes{rest}" for verb, rest in (("attest", " --type"), ("sign", f" {place('ml')}@"))),
        f"--predicate training.spdx.json {place('training')}@",
        f"cosign sign --yes {place('training')}@",
    ],
)
def test_next_run_does_what_is_missing_and_nothing_twice_when_one_is_cut_off(registry: Registry, cut: str) -> None:
    first = registry.publish(cut=cut)
    assert first.code != 0, "a version of which a part is missing must not look published"
    assert first.calls[-1].find(cut) >= 0, "nothing is done after what failed"
    if cut.startswith("docker build "):
        assert first.of("docker push") == [], "nothing is pushed before all is built"
    there = registry.kept()
    second = registry.publish()
    assert second.code == 0, second.said
    assert registry.kept() == whole()
    done = [call for call in second.calls if re.match(r"docker push|cosign (sign|attest) ", call)]
    assert len(done) == len(whole() - there), "what was there already is not done again"
    for name in NAMES:
        if f"pushed {place(name).replace('/', '_')}:1.2.3" in there:
            assert not any(f"images/{name}/Containerfile" in call for call in second.calls), name


def test_nothing_is_built_or_pushed_when_the_registry_does_not_say_what_is_there(registry: Registry) -> None:
    run = registry.publish(cut=f"docker buildx imagetools inspect {place('training')}:")
    assert run.code != 0
    assert f"cannot tell whether {place('training')}:1.2.3 is there already: cut off" in run.said
    assert {" ".join(call.split()[:2]) for call in run.calls} == {"docker buildx"}
    assert registry.kept() == set()


@pytest.mark.parametrize(
    "answer",
    [
        f"ERROR: {ASKED} HEAD request to {MANIFEST}: 401 Unauthorized",
        f"ERROR: {ASKED} HEAD request to {MANIFEST}: 403 Forbidden",
        f"ERROR: {ASKED} HEAD request to {MANIFEST}: 429 Too Many Requests",
        f"ERROR: {ASKED} HEAD request to {MANIFEST}: 503 Service Unavailable",
        f"ERROR: failed to authorize: failed to fetch oauth token: {ASKED} POST request to {TOKEN}: 404 Not Found",
        "ERROR: pull access denied, repository does not exist or may require authorization: authorization failed",
        f'ERROR: failed to do request: Head "{MANIFEST}": dial tcp: lookup registry.test: no such host',
        f"ERROR: rejecting 4194305 byte manifest for {place('ml')}:1.2.3: not found",
        "ERROR: no resolve hosts: not found",
        f"no such manifest: {place('ml')}:1.2.3",
        f"ERROR: {place('ml')}:1.2.3: not found\nERROR: the login has expired",
        "docker: unknown command: docker buildx",
    ],
)
def test_no_version_is_pushed_over_when_the_registry_says_anything_but_not_found(
    registry: Registry, answer: str
) -> None:
    registry.publish()
    there = registry.kept()
    run = registry.publish(answer=answer)
    assert run.code != 0
    assert run.said == f"cannot tell whether {place('ml')}:1.2.3 is there already: {answer}\n"
    assert run.calls == [f"docker buildx imagetools inspect {place('ml')}:1.2.3"]
    assert registry.kept() == there
