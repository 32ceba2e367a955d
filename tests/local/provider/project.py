"""A throw-away Pulumi project driven by the real engine on a local file backend."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from local.provider import install
from local.toolchain import Toolchain

_STACK = "test"
_LONGEST_RUN_SECONDS = 400
_PROLOGUE = """
import pulumi
import pulumi_kubernetes as k8s
from pulumi import ResourceOptions

provider = k8s.Provider("embedded", **{provider})


def opts(**more):
    return ResourceOptions(provider=provider, **more)


"""


_LIST_OF_PACKAGES = ("list", "-v", "--format", "json")
_PIP = """
import sys

if (sys.prefix, sys.argv[1:]) != ({prefix!r}, {arguments!r}):
    sys.exit(f"no pip stands here that would do this: {{sys.prefix}}, {{sys.argv[1:]}}")
sys.stdout.write({text!r})
"""


class Project:
    """One project folder with one stack.

    Nothing is destroyed at the end: what a test makes lies in its own namespace and goes with that.
    """

    def __init__(self, folder: Path, toolchain: Toolchain, kubeconfig: Path) -> None:
        self.folder = folder / "project"
        self.environment = {
            **os.environ,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), toolchain.path_env()]),
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_STACK": _STACK,
            "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PYTHONPATH": str(folder / "python"),
        }
        self._python = folder / "python"
        self._plugin = folder / "plugin"
        self._state = folder / "state"
        self._home = folder / "home"
        self._kubeconfig = kubeconfig

    def create(self) -> None:
        """Write the project and make its stack."""
        self._write()
        self._state.mkdir()
        self.run("stack", "init", _STACK)

    def create_like(self, other: Project) -> None:
        """Write the project with a copy of another's stack, which is quicker than making one."""
        self._write()
        shutil.copytree(other._state, self._state)
        shutil.copytree(other._home, self._home)
        shutil.copy(other.folder / f"Pulumi.{_STACK}.yaml", self.folder)

    def program(self, body: str, **provider: Any) -> None:
        """Make `body` the program; it has `k8s`, `pulumi` and `opts(...)` with the explicit provider."""
        arguments = {"kubeconfig": str(self._kubeconfig), **provider}
        text = _PROLOGUE.replace("{provider}", repr(arguments)) + textwrap.dedent(body)
        (self.folder / "__main__.py").write_text(text, encoding="utf-8")

    def run(self, *arguments: str, check: bool = True) -> str:
        """Run `pulumi` and return all it printed; its exit code must be 0 unless `check` is false."""
        done = subprocess.run(
            self._command(arguments),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=_LONGEST_RUN_SECONDS,
            check=False,
        )
        text = done.stdout + done.stderr
        if check:
            assert done.returncode == 0, text
        return text

    def fail(self, *arguments: str) -> str:
        """Run `pulumi`, which has to end with an error, and return all it printed."""
        done = subprocess.run(
            self._command(arguments),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=_LONGEST_RUN_SECONDS,
            check=False,
        )
        text = done.stdout + done.stderr
        assert done.returncode != 0, text
        return text

    def up(self, *arguments: str) -> str:
        """Update the stack without a preview."""
        return self.run("up", "--yes", "--skip-preview", *arguments)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `pulumi` in a session of its own and return the process."""
        return subprocess.Popen(
            self._command(arguments),
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def deployment(self) -> dict[str, Any]:
        """Return the stack's state as the backend keeps it; secrets are encrypted."""
        file = self._state / ".pulumi" / "stacks" / "demo" / f"{_STACK}.json"
        return json.loads(file.read_text(encoding="utf-8"))["checkpoint"]["latest"]

    def resources(self) -> dict[str, dict[str, Any]]:
        """Return the stack's resources by their name in the program."""
        found: list[dict[str, Any]] = self.deployment().get("resources", [])
        return {str(resource["urn"]).rpartition("::")[2]: resource for resource in found}

    def outputs(self) -> dict[str, Any]:
        """Return the stack's outputs."""
        return self.resources()[f"demo-{_STACK}"]["outputs"]

    def stored_text(self) -> str:
        """Return everything that the backend has on disk."""
        return "\n".join(path.read_text(errors="replace") for path in self._state.rglob("*") if path.is_file())

    def _write(self) -> None:
        install(self._plugin)
        _write_pip(self._python)
        self.folder.mkdir()
        plugins = {"providers": [{"name": "kubernetes", "path": str(self._plugin)}]}
        settings = {"name": "demo", "runtime": "python", "plugins": plugins}
        (self.folder / "Pulumi.yaml").write_text(json.dumps(settings), encoding="utf-8")
        self.program("")

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        return ["pulumi", "--non-interactive", "--color", "never", "--cwd", str(self.folder), *arguments]


def _write_pip(folder: Path) -> None:
    """Write a `pip` that knows what the language host asks for in every run, and fails when anything else is asked.

    The real one takes most of a second of CPU time to say the same each time. End-to-end tests have the real one.
    """
    package = folder / "pip"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    text = _PIP.format(prefix=sys.prefix, arguments=list(_LIST_OF_PACKAGES), text=_list_of_packages())
    (package / "__main__.py").write_text(text, encoding="utf-8")


@functools.cache
def _list_of_packages() -> str:
    """Return what the real pip says of this environment."""
    command = [sys.executable, "-m", "pip", *_LIST_OF_PACKAGES]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
