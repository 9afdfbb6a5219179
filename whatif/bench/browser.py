"""Headless Chromium, driven over its own pipe: pages that are clicked and typed on, looked at and timed."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from whatif.errors import MachineError

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync", "--disable-quic",
    "--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe",
)  # fmt: skip
_PIPED = (
    "import os, sys; [os.dup2(int(f), k + 3) for k, f in enumerate(sys.argv[1:3])]; "
    "os.execv(sys.argv[3], sys.argv[3:])"
)
"""Program that becomes the browser, which takes commands at descriptor 3 and answers at 4."""

_SECONDS = 60.0
_KEYS = {"Enter": 13, " ": 32, "Tab": 9, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}


class Page:
    """A page of a browser, in a size and a colour scheme that can be changed.

    Attributes
    ----------
    console : list of str
        What the page's console said: complaints of the browser, and what scripts wrote.
    requests : list of str
        Addresses that were asked for, data and blob addresses too.
    """

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._rest, self._number, self._session = b"", 0, ""
        self.console: list[str] = []
        self.requests: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Give a command of the DevTools protocol, and return its answer.

        Raises
        ------
        MachineError
            If the browser refuses it, or is silent for a minute.
        """
        self._number += 1
        asked: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session:
            asked["sessionId"] = self._session
        os.write(self._commands, json.dumps(asked).encode() + b"\0")
        for told in self._told(time.monotonic() + _SECONDS):
            if told.get("id") == self._number:
                if "error" in told:
                    raise MachineError(f"the browser refused {method}: {told['error']['message']}")
                answer: dict[str, Any] = told["result"]
                return answer
        raise MachineError(f"the browser did not answer {method} in {_SECONDS:.0f} s")

    def _told(self, end: float) -> Iterator[dict[str, Any]]:
        while True:
            while b"\0" in self._rest:
                text, _, self._rest = self._rest.partition(b"\0")
                told: dict[str, Any] = json.loads(text)
                self._note(told.get("method", ""), told.get("params", {}))
                yield told
            left = end - time.monotonic()
            if left <= 0 or not select.select([self._answers], [], [], left)[0]:
                return
            part = os.read(self._answers, 1 << 20)
            if not part:
                raise MachineError("the browser ended")
            self._rest += part

    def _note(self, method: str, params: Mapping[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Log.entryAdded":
            self.console.append(params["entry"]["text"])
        elif method == "Runtime.exceptionThrown":
            self.console.append(_complaint(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled":
            said = [str(one.get("value", one.get("description"))) for one in params["args"]]
            self.console.append(" ".join(said))

    def open(self, address: str) -> None:
        """Go to an address, and wait until the page is ready: until its `whatifReady`, if it has one."""
        self.call("Page.navigate", url=address)
        self.wait(f"location.href === {json.dumps(address)} && document.readyState === 'complete'")
        self.run("await window.whatifReady")
        self.run("await new Promise((painted) => requestAnimationFrame(() => setTimeout(painted)))")

    def run(self, script: str) -> Any:
        """Run the body of an async function in the page, and return what it returns, as JSON has it.

        Raises
        ------
        MachineError
            If it throws.
        """
        found = self.call(
            "Runtime.evaluate", expression=f"(async () => {{ {script} }})()", awaitPromise=True,
            returnByValue=True, userGesture=True,
        )  # fmt: skip
        if "exceptionDetails" in found:
            details = found["exceptionDetails"]
            raise MachineError(
                f"the page: {details.get('exception', {}).get('description') or details['text']}"
            )
        return found["result"].get("value")

    def wait(self, condition: str, seconds: float = 30.0) -> None:
        """Wait until an expression of the page is true.

        Raises
        ------
        MachineError
            If it is not in time.
        """
        end = time.monotonic() + seconds
        while True:
            with suppress(MachineError):  # between two pages there is none to ask
                if self.run(f"return Boolean({condition})"):
                    return
            if time.monotonic() > end:
                raise MachineError(f"the page did not come to {condition} in {seconds:.0f} s")
            time.sleep(0.02)

    def click(self, selector: str, share: tuple[float, float] = (0.5, 0.5)) -> None:
        """Press and release the mouse on an element, at a share of its width and height."""
        box = self.run(
            f"const one = document.querySelector({json.dumps(selector)}); "
            "one.scrollIntoView({block: 'center', behavior: 'instant'}); "
            "const b = one.getBoundingClientRect(); return [b.x, b.y, b.width, b.height]"
        )
        x, y = box[0] + share[0] * box[2], box[1] + share[1] * box[3]
        self.mouse("mouseMoved", x, y)
        self.mouse("mousePressed", x, y)
        self.mouse("mouseReleased", x, y)

    def mouse(self, kind: str, x: float, y: float) -> None:
        """Do one thing with the left button of the mouse: mouseMoved, mousePressed or mouseReleased."""
        button = {"button": "none"} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **button)

    def press(self, key: str, shift: bool = False) -> None:
        """Press and release a key: a name as Enter, Tab or ArrowRight, or a character."""
        code = _KEYS.get(key, ord(key[0].upper()))
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        given = {"key": key, "windowsVirtualKeyCode": code, "modifiers": 8 if shift else 0}
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **given)
        self.call("Input.dispatchKeyEvent", type="keyUp", **given)

    def resize(self, width: int, height: int, dark: bool = False) -> None:
        """Set the size of the window, in pixels, and the colour scheme."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def picture(self, path: Path, whole: bool = True) -> None:
        """Write what the page looks like as PNG: the whole page, or the window alone."""
        shown = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shown["data"]))


def _complaint(details: Mapping[str, Any]) -> str:
    return str(details.get("exception", {}).get("description") or details["text"])


def find_browser() -> str | None:
    """Return the program of a Chromium on PATH; None if there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def opened_browser(folder: Path) -> Iterator[Page]:
    """Start a headless Chromium with a new profile in `folder`, and end it with the block.

    Raises
    ------
    MachineError
        If there is none on PATH.
    """
    program = find_browser()
    if program is None:
        raise MachineError(f"no browser on PATH: install one of {', '.join(NAMES)}")
    theirs, ours = os.pipe()
    ours_too, theirs_too = os.pipe()
    # above 4, or one would take the other's place
    far = [fcntl.fcntl(one, fcntl.F_DUPFD, 10) for one in (theirs, theirs_too)]
    profile = f"--user-data-dir={folder / 'profile'}"
    with (folder / "browser.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", _PIPED, *map(str, far), program, *_FLAGS, profile, "about:blank"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=far,
        )  # fmt: skip
    for one in (theirs, theirs_too, *far):
        os.close(one)
    try:
        yield Page(ours, ours_too)
    finally:
        os.close(ours)  # it ends with its pipe
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        process.kill()
        process.wait()
        os.close(ours_too)
