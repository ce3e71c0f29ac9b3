"""A headless Chromium, driven over the DevTools protocol.

By hand over `websockets`, which the tests have anyway, and not by Selenium: that would add six packages and a driver of
exactly the browser's version, to send the same messages. What is sent here is in the protocol's stable part, and a page
does by itself most of what a test looks at.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from websockets.sync.client import connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from websockets.sync.client import ClientConnection

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_S: Final = 60.0
"""Only a browser that hangs takes so long."""
OPTIONS: Final = (
    "--headless",
    "--remote-debugging-port=0",
    "--no-first-run",
    "--disable-gpu",
    "--disable-features=BackForwardCache",  # a page that was left is gone
    "--disable-dev-shm-usage",  # containers have little of it
    "--disable-background-networking",
    "--disable-component-update",
    "--hide-scrollbars",
    "--window-size=800,600",
)


def installed() -> str | None:
    """The browser's program."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """A running browser."""

    def __init__(self, wire: ClientConnection) -> None:
        self._wire = wire
        self._numbers = itertools.count(1)
        self._pages: dict[str, Page] = {}

    def page(self, url: str) -> Page:
        """Open an address in a tab of its own, and wait until it has loaded."""
        target = self.ask("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self.ask("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        page = self._pages[session] = Page(self, target, session)
        for domain in ("Page", "Runtime", "Log", "DOM"):
            page.ask(f"{domain}.enable")
        page.go(url)
        return page

    def ask(self, method: str, parameters: dict[str, Any] | None = None, session: str = "") -> dict[str, Any]:
        """One command, and what it answers."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters or {}}
        self._wire.send(json.dumps(message | ({"sessionId": session} if session else {})))
        while (answer := self.hear()).get("id") != number:
            pass
        assert "error" not in answer, (method, answer["error"])
        result: dict[str, Any] = answer["result"]
        return result

    def hear(self) -> dict[str, Any]:
        """The next message; events are noted by their page."""
        message: dict[str, Any] = json.loads(self._wire.recv(PATIENCE_S))
        page = self._pages.get(message.get("sessionId", ""))
        if page is not None and "method" in message:
            page.note(message["method"], message["params"])
        return message


class Page:
    """One tab."""

    def __init__(self, browser: Browser, target: str, session: str) -> None:
        self._browser, self._target, self._session = browser, target, session
        self._loaded = 0
        self.complaints: list[str] = []
        """Errors and warnings of the console, exceptions that nobody caught, resources that failed."""

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command about this tab."""
        return self._browser.ask(method, parameters, self._session)

    def note(self, method: str, event: dict[str, Any]) -> None:
        """Something happened."""
        if method == "Page.loadEventFired":
            self._loaded += 1
        elif method == "Runtime.exceptionThrown":
            detail = event["exceptionDetails"]
            self.complaints.append(detail.get("exception", detail).get("description", detail["text"]))
        elif method == "Runtime.consoleAPICalled" and event["type"] in ("error", "warning", "assert"):
            self.complaints.append(" ".join(str(each.get("value")) for each in event["args"]))
        elif method == "Log.entryAdded" and event["entry"]["level"] in ("error", "warning"):
            self.complaints.append(f"{event['entry']['text']} ({event['entry'].get('url', '')})")

    def go(self, url: str) -> None:
        """Open an address, and wait until it has loaded."""
        before = self._loaded
        result = self.ask("Page.navigate", url=url)
        assert "errorText" not in result, result
        while self._loaded == before:
            self._browser.hear()

    def run(self, expression: str) -> Any:
        """The value of an expression, awaited; what it throws fails the test."""
        result = self.ask("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def until(self, expression: str) -> Any:
        """The value of an expression, once it is a true one."""
        end = time.monotonic() + PATIENCE_S
        while not (value := self.run(expression)):
            shown = self.run("document.body?.innerText")
            assert time.monotonic() < end, f"never came true: {expression}, but {shown!r}"
        return value

    def text(self, selector: str = "body") -> str:
        """What a reader sees of an element, once it is there: a page may be in the middle of loading anew."""
        element = f"document.querySelector({json.dumps(selector)})"
        found: str = self.until(f"{element} && [{element}.innerText]")[0]
        return found

    def type(self, text: str) -> None:
        """Into what has the focus, and then the return key, as a person does."""
        self.ask("Input.insertText", text=text)
        for kind in ("keyDown", "keyUp"):
            self.ask(
                "Input.dispatchKeyEvent",
                type=kind,
                key="Enter",
                code="Enter",
                windowsVirtualKeyCode=13,
                **({"text": "\r"} if kind == "keyDown" else {}),
            )

    def choose(self, selector: str, file: Path) -> None:
        """A file, in a field for files."""
        root = self.ask("DOM.getDocument")["root"]["nodeId"]
        node = self.ask("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.ask("DOM.setFileInputFiles", nodeId=node, files=[str(file)])

    def close(self) -> None:
        """Close the tab."""
        self._browser.ask("Target.closeTarget", {"targetId": self._target})


@contextmanager
def started(program: str, profile: Path, *options: str) -> Iterator[Browser]:
    """A browser with a fresh profile, ended afterwards."""
    root = ["--no-sandbox"] if os.getuid() == 0 else []  # its sandbox refuses root, and the pages are our own
    command = [program, *OPTIONS, *options, *root, f"--user-data-dir={profile}", "about:blank"]
    with (
        (profile / "stderr").open("wb") as log,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log) as process,
    ):
        try:
            with connect(_address(profile, process), max_size=None) as wire:
                yield Browser(wire)
        finally:
            process.terminate()
            process.wait()


def _address(profile: Path, process: subprocess.Popen[bytes]) -> str:
    """Where it listens; it writes that into its profile once it does."""
    told, end = profile / "DevToolsActivePort", time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        assert process.poll() is None, (profile / "stderr").read_text()
        lines = told.read_text().split("\n") if told.exists() else []
        if len(lines) == 2:
            return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
        time.sleep(0.01)
    raise AssertionError("the browser does not listen")
