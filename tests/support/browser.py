"""A real browser without a screen, and what a page did in it. Debian's package brings it where it is missing.

The browser lives in a `with` block inside one test: while Playwright runs, its thread has an event loop, so that
`asyncio.run` elsewhere in that thread would refuse.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

from local.locking import locked
from local.progress import ConsoleProgress
from local.toolchain import ToolchainError
from local.toolchain.catalog import DebianTool
from local.toolchain.debian import install, is_installed

CHROMIUM = DebianTool(name="chromium", paths={"chromium": "/usr/bin/chromium"})
DEFAULT_VIEWPORT = (1280, 900)
"""Width and height in CSS pixels."""
_TIMEOUT_MILLIS = 15_000
_QUIET = (
    "--no-sandbox",  # the tests run as root, for whom Chromium has no sandbox
    "--disable-dev-shm-usage",  # /dev/shm is small in containers
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)

ColorScheme = Literal["light", "dark"]


@dataclass
class Visit:
    """A page, and everything that it asked for and complained about."""

    page: Page
    origins: set[str] = field(default_factory=set[str])
    """Scheme, host and port of everything that was requested over the network."""
    complaints: list[str] = field(default_factory=list[str])
    """Errors in the console and exceptions that no script caught."""

    def foreign_origins(self) -> set[str]:
        """Return the origins other than the page's own, to which it should have sent nothing."""
        return self.origins - {_origin(self.page.url)}

    def screenshot(self, name: str) -> None:
        """Keep a picture of the whole page in the folder MLP_SCREENSHOTS, if that variable is set."""
        folder = os.environ.get("MLP_SCREENSHOTS")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@dataclass(frozen=True)
class Visitor:
    """Opens pages, each in a profile of its own: no cookie is carried from one visit to the next."""

    browser: Browser

    def visit(
        self,
        url: str,
        *,
        viewport: tuple[int, int] = DEFAULT_VIEWPORT,
        javascript: bool = True,
        color_scheme: ColorScheme = "light",
        reduced_motion: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> Visit:
        """Open `url` and wait until it is loaded."""
        context = self.browser.new_context(
            viewport={"width": viewport[0], "height": viewport[1]},
            java_script_enabled=javascript,
            color_scheme=color_scheme,
            reduced_motion="reduce" if reduced_motion else "no-preference",
            extra_http_headers=dict(headers or {}),
        )
        context.set_default_timeout(_TIMEOUT_MILLIS)
        visit = Visit(context.new_page())

        def note_request(request: Request) -> None:
            if urlsplit(request.url).scheme not in {"data", "blob", "about"}:
                visit.origins.add(_origin(request.url))

        def note_message(message: ConsoleMessage) -> None:
            if message.type == "error":
                visit.complaints.append(f"{message.text} ({message.location.get('url', '')})")

        visit.page.on("request", note_request)
        visit.page.on("console", note_message)
        visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
        visit.page.goto(url)
        return visit


@contextmanager
def browsing(addresses: Mapping[str, str] | None = None) -> Generator[Visitor]:
    """Run a browser while the body runs; the test is skipped where none can be had.

    Args:
        addresses: host name -> `address:port` where the browser finds it, as a name server would say. Every other
            name but localhost does not exist for it, so that nothing can leave this machine.
    """
    executable = _executable()
    rules = [f"MAP {host} {address}" for host, address in (addresses or {}).items()]
    rules += ["MAP * ~NOTFOUND", "EXCLUDE localhost", "EXCLUDE 127.0.0.1"]
    with tempfile.TemporaryDirectory(prefix="mlp-browser-") as home, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable,
            args=[*_QUIET, f"--host-resolver-rules={', '.join(rules)}"],
            env={**_environment(), "HOME": home},
        )
        try:
            yield Visitor(browser)
        finally:
            browser.close()


def _environment() -> dict[str, str | float | bool]:
    # A proxy of this machine must not see requests to names that only the browser's rules know.
    return {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}


def _executable() -> str:
    path = CHROMIUM.paths["chromium"]
    if is_installed(CHROMIUM):
        return path
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        pytest.skip(f"no browser: {path} is missing, and only root can install Debian's package `{CHROMIUM.name}`")
    with locked(Path(tempfile.gettempdir()) / "mlplatform-chromium.lock"):
        if not is_installed(CHROMIUM):
            try:
                install([CHROMIUM], ConsoleProgress())
            except ToolchainError as error:
                pytest.skip(f"no browser: {error}")
    return path


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
