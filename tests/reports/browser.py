"""A tab of Chromium, headless, steered through its debugging pipe by the standard library alone."""

from __future__ import annotations

import base64
import json
import os
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:         # Windows has no descriptors to steer Chromium through
    fcntl = None            # type: ignore[assignment]

NAMES = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
)
# Chromium reads commands from descriptor 3 and answers on 4.
ON_3_AND_4 = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Tab:
    """One tab of a Chromium of its own; collects what went wrong and what was asked of the network."""

    def __init__(self, program: str, profile: Path) -> None:
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        # Out of the way of 3 and 4, which they become.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (theirs_in, theirs_out)]
        arguments = [program, *QUIET, f"--user-data-dir={profile}"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", ON_3_AND_4, *map(str, ends), *arguments],
            pass_fds=ends,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in (theirs_in, theirs_out, *ends):
            os.close(end)
        self.read_end, self.write_end = ours_in, ours_out
        self.buffer = b""
        self.number = 0
        self.session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: object) -> dict[str, Any]:
        """The answer to one command; events that come before it are kept."""
        self.number += 1
        message: dict[str, object] = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write_end, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self.number:
            self.events.append(answer)
        assert "error" not in answer, f"{method}: {answer}"
        return dict(answer["result"])

    def _next(self, seconds: float = 60) -> dict[str, Any]:
        while b"\0" not in self.buffer:
            assert select.select([self.read_end], [], [], seconds)[0], "Chromium does not answer"
            data = os.read(self.read_end, 1 << 20)
            assert data, "Chromium is gone"
            self.buffer += data
        message, _, self.buffer = self.buffer.partition(b"\0")
        return dict(json.loads(message))

    def open(self, path: Path) -> None:
        self.events.clear()
        self.ask("Page.navigate", url=path.absolute().as_uri())
        while not self.named("Page.loadEventFired"):
            self.events.append(self._next())

    def named(self, name: str) -> list[dict[str, Any]]:
        return [event["params"] for event in self.events if event.get("method") == name]

    def value(self, expression: str) -> Any:
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def troubles(self) -> list[object]:
        """Exceptions, errors of the console and of the log (what the content security policy stopped is there)."""
        self.value("1")
        said = [event for event in self.named("Runtime.consoleAPICalled") if event["type"] in ("error", "warning")]
        logged = [event for event in self.named("Log.entryAdded") if event["entry"]["level"] in ("error", "warning")]
        return [*self.named("Runtime.exceptionThrown"), *said, *logged]

    def requests(self) -> set[str]:
        """The schemes of what was loaded."""
        return {event["request"]["url"].partition(":")[0] for event in self.named("Network.requestWillBeSent")}

    def centre(self, element: str) -> tuple[float, float]:
        """Where the middle of an element is, after scrolling it into view."""
        script = "{ const e = %s; e.scrollIntoView({block: 'center', behavior: 'instant'}); "
        script += "const b = e.getBoundingClientRect(); [b.x + b.width / 2, b.y + b.height / 2] }"
        x, y = self.value(script % element)
        return x, y

    def point(self, x: float, y: float) -> None:
        self.ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def click(self, element: str) -> None:
        x, y = self.centre(element)
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str, number: int = 0) -> None:
        """A key for the page; with its Windows number, which Chromium goes by, also for what Chromium itself does."""
        for kind in ("rawKeyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=number)

    def window(self, width: int, height: int = 900, scale: float = 1) -> None:
        self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=False
        )

    def media(self, media: str = "", scheme: str = "light") -> None:
        self.ask(
            "Emulation.setEmulatedMedia",
            media=media,
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )

    def picture(self) -> bytes:
        """A PNG of the whole page."""
        answer = self.ask("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(answer["data"])

    def close(self) -> None:
        self.session = None
        try:
            self.ask("Browser.close")
        except (AssertionError, OSError):
            self.process.kill()
        self.process.wait(30)
        os.close(self.read_end)
        os.close(self.write_end)


def contrast(one: str, other: str) -> float:
    """The ratio of two colours `rgb(r, g, b)` as WCAG 2.2 defines it."""
    lights = sorted(_luminance(colour) for colour in (one, other))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(", ")]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
