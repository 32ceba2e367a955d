"""The node's first process: prepares its namespaces, then keeps the other processes running.

Run by lifecycle.start as process 1 of a PID namespace, in the node's control groups already:
`python -m local.node.supervisor STATE_DIR API_FD GATEWAY_FD`.
When it ends, the kernel ends everything else in the namespace.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import time
from pathlib import Path

from local.node import isolation, logs, probes
from local.node.config import NodeConfig
from local.node.layout import INSIDE, Layout
from local.node.restarts import Restarts
from local.node.services import Need, Service, node_services
from local.node.shutdown import end_everything

_EAGER_SECONDS = 0.1
_IDLE_SECONDS = 5.0
_SIGNALS = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT}


class Supervisor:
    """Starts each service once what it needs answers, and again after it ended."""

    def __init__(self, services: tuple[Service, ...], environment: dict[str, str], folder: Path) -> None:
        self._services = {service.name: service for service in services}
        self._environment = environment
        self._logs = folder
        self._histories = {name: Restarts() for name in self._services}
        self._running: dict[int, str] = {}

    def run(self) -> None:
        """Supervise until a signal asks to stop, then end all processes in good order."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        while True:
            waiting = self._start_due()
            received = signal.sigtimedwait(_SIGNALS, _EAGER_SECONDS if waiting else _IDLE_SECONDS)
            if received is not None and received.si_signo != signal.SIGCHLD:
                say(f"stopping on signal {received.si_signo}")
                end_everything({name: pid for pid, name in self._running.items()})
                return
            self._reap()
            logs.bound(self._logs)

    def _start_due(self) -> bool:
        """Start what may start; return whether something still waits."""
        running = set(self._running.values())
        answered: dict[Need, bool] = {}
        waiting = False
        for name, service in self._services.items():
            if name in running:
                continue
            if not self._histories[name].may_start(time.monotonic()):
                waiting = True
                continue
            for need in service.needs:
                if need not in answered:
                    answered[need] = probes.answers(need)
            if not all(answered[need] for need in service.needs):
                waiting = True
                continue
            try:
                self._start(service)
            except OSError as error:  # for example a full disk; whatever happens, process 1 must live on
                self._histories[name] = self._histories[name].ended(time.monotonic())
                say(f"{name} cannot be started: {error}")
                waiting = True
        return waiting

    def _start(self, service: Service) -> None:
        log = os.open(self._logs / f"{service.name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            for descriptor in service.file_descriptors:
                os.set_inheritable(descriptor, True)
            pid = os.posix_spawn(
                service.argv[0],
                service.argv,
                self._environment,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, log, 1),
                    (os.POSIX_SPAWN_DUP2, log, 2),
                ],
                setsid=True,
                setsigmask=[],
                setsigdef=_SIGNALS,
            )
        finally:
            os.close(log)
            for descriptor in service.file_descriptors:
                os.set_inheritable(descriptor, False)
        self._running[pid] = service.name
        self._histories[service.name] = self._histories[service.name].started(time.monotonic())
        say(f"started {service.name} (process {pid})")

    def _reap(self) -> None:
        """Collect every ended process: our services, and orphans that the kernel handed to process 1."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            name = self._running.pop(pid, None)
            if name is None:
                continue
            history = self._histories[name].ended(time.monotonic())
            self._histories[name] = history
            code = os.waitstatus_to_exitcode(status)
            say(f"{name} ended with {code} (end {history.ends}); again in {history.delay_seconds:g} s")


def say(text: str) -> None:
    """Write one line with the time to the supervisor's own log, which is its standard output."""
    with contextlib.suppress(OSError):  # a full disk must not end process 1
        print(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {text}", flush=True)


def main(arguments: list[str]) -> None:
    """Prepare the namespaces and supervise."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # the kernel drops what process 1 has no handler for
    state_dir = Path(arguments[0])
    api_socket, gateway_socket = int(arguments[1]), int(arguments[2])
    config = NodeConfig.from_json(Layout(state_dir).spec.read_text())
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))  # containers inherit it
    isolation.prepare(state_dir)
    services = node_services(config, api_socket, gateway_socket)
    Supervisor(services, dict(os.environ), Layout(INSIDE).logs).run()


if __name__ == "__main__":
    main(sys.argv[1:])
