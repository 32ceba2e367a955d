"""Drives the real Pulumi engine over the program in this repository, with everything it writes in one folder.

The engine runs in a generated project folder: a copy of Pulumi.yaml that names the provider stand-in, a link to the
program, and the stack's configuration made of Pulumi.local.yaml and what only this machine knows (image references,
addresses, the generated secret). Nothing is ever written into the repository.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from local import paths
from local.lifecycle import engines
from local.lifecycle.instance import STACK, Instance, write_private
from local.provider import install as provider_install
from local.toolchain import Toolchain
from ml.contracts.engine_environment import without_engine_settings
from ml.contracts.prerequisites import PRESENT

_PROJECT = "mlplatform"
_SECRET_KEY = f"{_PROJECT}:masterSecret"
_REFUSED = "incorrect passphrase"
"""What the engine says when it cannot read what was sealed."""
_PROGRAM_LINK = "program"


def settings() -> dict[str, Any]:
    """Return the settings that the repository has for this stack, by full name."""
    return dict(_load(paths.repo_root() / f"Pulumi.{STACK}.yaml").get("config", {}))


def expected_prerequisites() -> list[str]:
    """Return what the stack takes to be present in its cluster."""
    states = settings().get(f"{_PROJECT}:prerequisites")
    known = cast("dict[str, Any]", states) if isinstance(states, dict) else {}
    return [name for name, state in known.items() if state == PRESENT]


class StackError(Exception):
    """The engine ended with an error; its own output has already been shown."""


@dataclass(frozen=True, kw_only=True)
class Stack:
    """The `local` stack of one instance."""

    instance: Instance
    tools: Toolchain
    kubeconfig: Path

    @property
    def path(self) -> str:
        """PATH for the engine: the environment's Python first, then the engine's own folder, then the toolchain."""
        return os.pathsep.join(
            [str(Path(sys.prefix) / "bin"), str(engines.engine_dir(self.instance)), self.tools.path_env()]
        )

    @property
    def environment(self) -> dict[str, str]:
        """Variables under which `pulumi` and `kubectl` act on this stack and nothing else."""
        state = self.instance.state_dir
        return {
            "PATH": self.path,
            "KUBECONFIG": str(self.kubeconfig),
            "KUBECACHEDIR": str(state / "kubectl-cache"),
            "PULUMI_HOME": str(state / "pulumi-home"),
            "PULUMI_BACKEND_URL": f"file://{state / 'pulumi-state'}",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(self.instance.passphrase_file),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_ERROR_OUTPUT_STRING": "true",
            "PULUMI_AUTOMATION_API_SKIP_VERSION_CHECK": "true",
        }

    def prepare(self, images: Mapping[str, str]) -> None:
        """Write the project folder, the configuration and the connection file; create the stack if it is new.

        Raises:
            StackError: the engine refused something, or the secret of a stack that has been deployed is lost.
        """
        folder = self.instance.project_dir
        folder.mkdir(parents=True, exist_ok=True)
        (self.instance.state_dir / "pulumi-state").mkdir(exist_ok=True)
        plugin_dir = engines.provider_dir(self.instance)
        provider_install(plugin_dir)
        self._place_engine()
        repo = paths.repo_root()
        link = folder / _PROGRAM_LINK
        link.unlink(missing_ok=True)
        link.symlink_to(repo)
        project = cast("dict[str, Any]", yaml.safe_load((repo / "Pulumi.yaml").read_text(encoding="utf-8")))
        project["main"] = _PROGRAM_LINK
        project["plugins"] = {"providers": [{"name": "kubernetes", "path": str(plugin_dir)}]}
        (folder / "Pulumi.yaml").write_text(yaml.safe_dump(project, sort_keys=False), encoding="utf-8")
        set_aside_if_broken(self._config_file)
        resources = self._count_resources()
        if resources is None:
            self._run(["stack", "init", STACK, "--secrets-provider", "passphrase"])
        elif resources > 0:
            self._recover_config()
        self._write_config(images)
        write_private(
            self.instance.connection_file,
            json.dumps({"stack": STACK, "project_dir": str(folder), "environment": self.environment}, indent=2),
        )

    def up(self) -> None:
        """Create or change what differs.

        Raises:
            StackError: the engine failed, was interrupted, or was refused by a policy; `up` again continues.
        """
        self._release_stale_lock()
        self._engine(["up", "--yes", "--skip-preview", *_refused_by_policies()])

    def preview(self, *, expect_no_changes: bool = False) -> None:
        """Show what `up` would do.

        Raises:
            StackError: the engine failed or was refused by a policy, or there are changes where none were expected.
        """
        self._engine(
            ["preview", "--diff", *_refused_by_policies(), *(["--expect-no-changes"] if expect_no_changes else [])]
        )

    def refresh(self, *, expect_no_changes: bool = False) -> None:
        """Read back what really runs into the stack's state."""
        self._engine(["refresh", "--yes", "--skip-preview", *(["--expect-no-changes"] if expect_no_changes else [])])

    def destroy(self) -> None:
        """Delete every object of the stack and wait until it is gone."""
        self._release_stale_lock()
        self._engine(["destroy", "--yes", "--skip-preview"])

    def set_config(self, key: str, value: str) -> None:
        """Set one configuration value of this instance's stack, as `pulumi config set` does."""
        self._run(["config", "set", "--path", f"{_PROJECT}:{key}", value, "--stack", STACK])

    def remove_config(self, key: str) -> None:
        """Forget one configuration value of this instance's stack, as `pulumi config rm` does."""
        self._run(["config", "rm", "--path", f"{_PROJECT}:{key}", "--stack", STACK])

    def outputs(self) -> dict[str, Any]:
        """Return the stack's outputs; secrets are masked."""
        return cast("dict[str, Any]", json.loads(self._run(["stack", "output", "--json", "--stack", STACK])))

    def _place_engine(self) -> None:
        # The engine expects its language host beside itself and warns about one that lies elsewhere on PATH.
        folder = engines.engine_dir(self.instance)
        folder.mkdir(exist_ok=True)
        for name in ("pulumi", "pulumi-language-python", "pulumi-language-python-exec"):
            source, target = self.tools.bin(name), folder / name
            target.unlink(missing_ok=True)
            try:
                target.hardlink_to(source)
            except OSError:  # the cache lies on another file system
                shutil.copy2(source, target)

    @property
    def _config_file(self) -> Path:
        return self.instance.project_dir / f"Pulumi.{STACK}.yaml"

    def _count_resources(self) -> int | None:
        """Return how many resources the stack has, or None if it does not exist."""
        stacks = json.loads(self._run(["stack", "ls", "--json"]))
        return next((int(entry.get("resourceCount") or 0) for entry in stacks if entry["name"] == STACK), None)

    def _recover_config(self) -> None:
        """Take the secret from the last update if the file has lost it: another would not fit the data.

        Raises:
            StackError: no update has it either.
        """
        if self._can_read_secret():
            return
        refused = ""
        try:
            self._run(["config", "refresh", "--force", "--stack", STACK])
        except StackError as error:
            refused = f"\n{error}"
        if _secret_of(_load(self._config_file)) is None:
            raise StackError(
                f"{self._config_file} has lost {_SECRET_KEY}, from which the passwords in the data were made, and no "
                "finished update has kept it: put a copy of the file back, or remove the platform with its data "
                f"(`make down`){refused}"
            )

    def _can_read_secret(self) -> bool:
        """Return whether the file has the secret, whole.

        Raises:
            StackError: it was sealed with another passphrase.
        """
        if _secret_of(_load(self._config_file)) is None:
            return False
        try:
            self._run(["config", "get", _SECRET_KEY, "--stack", STACK])
        except StackError as error:
            if _REFUSED not in str(error):
                return False
            raise StackError(
                f"{self._config_file} was sealed with another passphrase than that in {self.instance.passphrase_file}. "
                "Older versions took PULUMI_CONFIG_PASSPHRASE where it was exported at the first start: write its "
                "value of then, which may be empty, into the second file"
            ) from None
        return True

    def _write_config(self, images: Mapping[str, str]) -> None:
        current = _load(self._config_file)
        config = settings() | {
            f"{_PROJECT}:kubeconfig": str(self.kubeconfig),
            f"{_PROJECT}:images": dict(images),
            f"{_PROJECT}:gatewayAddress": self.instance.gateway_address,
        }
        stored_secret = _secret_of(current)
        if stored_secret is not None:
            config[_SECRET_KEY] = stored_secret
        if current.get("config") != config:
            write_private(self._config_file, yaml.safe_dump({**current, "config": config}, sort_keys=False))
        if stored_secret is None:
            # By standard input: an argument would be readable in the list of processes.
            self._run(["config", "set", "--secret", _SECRET_KEY, "--stack", STACK], stdin=secrets.token_hex(32))

    def _release_stale_lock(self) -> None:
        engines.end(self.instance)
        # Only one lifecycle command runs at a time (see lock.py), so a lock found here was left by a dead engine.
        locks = self.instance.state_dir / "pulumi-state" / ".pulumi" / "locks"
        if any(locks.rglob("*.json")):
            self._run(["cancel", "--yes", "--stack", STACK])
            # What the dead engine was creating: the next update finds it in the cluster and goes on with it.
            self._run(["refresh", "--yes", "--skip-preview", "--clear-pending-creates", "--stack", STACK])

    def _command(self, arguments: Sequence[str]) -> list[str]:
        return ["pulumi", "--non-interactive", "--cwd", str(self.instance.project_dir), *arguments]

    def _engine_environment(self) -> dict[str, str]:
        return {**without_engine_settings(os.environ), **self.environment}

    def _run(self, arguments: Sequence[str], *, stdin: str | None = None) -> str:
        done = subprocess.run(
            self._command(arguments),
            env=self._engine_environment(),
            input=stdin,
            text=True,
            capture_output=True,
            check=False,
        )
        if done.returncode != 0:
            raise StackError(f"pulumi {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}".rstrip())
        return done.stdout

    def _engine(self, arguments: Sequence[str]) -> None:
        # When this process is killed, the kernel tells the engine, which then stops as after Ctrl-C.
        watched = ["setpriv", "--pdeathsig=INT", "--"]
        command = [*watched, *self._command([*arguments, "--stack", STACK, "--color", "never", "--suppress-outputs"])]
        engine = subprocess.Popen(command, env=self._engine_environment(), stdout=sys.stderr, start_new_session=True)
        try:
            code = engine.wait()
        except KeyboardInterrupt:
            # In a session of its own the engine hears of Ctrl-C only from here, once; it then stops cleanly.
            engine.send_signal(signal.SIGINT)
            engine.wait()
            raise
        if code != 0:
            raise StackError(f"pulumi {arguments[0]} ended with exit code {code}; its messages are above")


def _refused_by_policies() -> list[str]:
    # The executable and not its folder: the language host built here is too old to start a pack.
    return ["--policy-pack", str(paths.repo_root() / "policies" / "run")]


def set_aside_if_broken(file: Path) -> None:
    """Rename a file of settings that is none, as where writing it was cut short: the engine would do nothing at all."""
    try:
        _load(file)
    except (TypeError, UnicodeDecodeError, yaml.YAMLError):
        file.replace(file.with_name(f"{file.name}.broken"))


def _secret_of(settings_file: Mapping[str, Any]) -> object:
    """Return the encrypted secret, or None where it or what it takes to decrypt it is missing."""
    config = cast("dict[str, Any]", settings_file.get("config") or {})
    return config.get(_SECRET_KEY) if "encryptionsalt" in settings_file else None


def _load(file: Path) -> dict[str, Any]:
    """Return what a file of settings holds.

    Raises:
        TypeError: it holds something else, as a file that was cut short may.
        yaml.YAMLError: it cannot be read.
    """
    if not file.exists():
        return {}
    content = cast("object", yaml.safe_load(file.read_text(encoding="utf-8")) or {})
    if not isinstance(content, dict):
        raise TypeError(f"{file} holds no settings")
    found = cast("dict[str, Any]", content)
    if not isinstance(found.get("config") or {}, dict):
        raise TypeError(f"{file} holds no settings below `config`")
    return found
