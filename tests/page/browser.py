"""A real browser over a pipe: the DevTools protocol (chromedevtools.github.io/devtools-protocol), without a library for it."""

import json
import os
import select
import shutil
import signal
import tempfile
import time
import zlib
from base64 import b64decode
from pathlib import Path
from typing import Any, Self

PROGRAM = "chromium"
_SWITCHES = """
    --headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync --disable-dev-shm-usage --disable-extensions --disable-default-apps
    --hide-scrollbars --remote-debugging-pipe
""".split()
_PATIENCE = 60.0  # seconds that an answer may take on a busy machine


class BrowserError(Exception):
    """The browser did not do what it was told."""


class Browser:
    """One Chromium with one page; a context manager. ``events`` is all that the page's domains have told since ``open``.

    The words of WRAPPER come before its own.
    """

    def __init__(self, *wrapper: str) -> None:
        self._wrapper = wrapper
        self._profile = tempfile.mkdtemp(prefix="podroutes-browser-")
        self._number, self._rest, self._session = 0, b"", ""
        self.events: list[tuple[str, dict[str, Any]]] = []

    def __enter__(self) -> Self:
        theirs, self._say = os.pipe()
        self._hear, answers = os.pipe()
        # The protocol wants file descriptors 3 and 4; first out of the way, lest one stand where the other has to go.
        ends = [os.dup2(end, 100 + index, inheritable=True) for index, end in enumerate((theirs, answers))]
        moves = [(os.POSIX_SPAWN_DUP2, end, 3 + index) for index, end in enumerate(ends)]
        null = [(os.POSIX_SPAWN_OPEN, stream, os.devnull, os.O_RDWR, 0) for stream in (0, 1, 2)]
        words = [*self._wrapper, PROGRAM, *_SWITCHES, f"--user-data-dir={self._profile}", "about:blank"]
        self._pid = os.posix_spawnp(
            words[0], words, {**os.environ, "HOME": self._profile}, file_actions=[*null, *moves], setsid=True
        )
        for end in (theirs, answers, *ends):
            os.close(end)
        page = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.call("Page.setLifecycleEventsEnabled", enabled=True)
        return self

    def __exit__(self, *exception: object) -> None:
        os.killpg(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._say)
        os.close(self._hear)
        shutil.rmtree(self._profile, ignore_errors=True)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send one command and return its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._say, data) :]
        while (answer := self._next()).get("id") != self._number:
            self.events.append((answer.get("method", ""), answer.get("params", {})))
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error']}")
        result: dict[str, Any] = answer["result"]
        return result

    def _next(self) -> dict[str, Any]:
        end = time.monotonic() + _PATIENCE
        while b"\0" not in self._rest:
            if not select.select([self._hear], [], [], max(0.0, end - time.monotonic()))[0]:
                raise BrowserError("no answer")
            data = os.read(self._hear, 1 << 20)
            if not data:
                raise BrowserError("the browser is gone")
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message

    def open(
        self, path: Path, *, width: int = 1280, height: int = 900, dark: bool = False, script: bool = True
    ) -> None:
        """Open a file in a window of that size, and wait until it is loaded."""
        mobile = width < 600
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if mobile else 1,
            mobile=mobile,
        )
        wanted = {"prefers-color-scheme": "dark" if dark else "light", "prefers-reduced-motion": "reduce"}
        self.call(
            "Emulation.setEmulatedMedia", features=[{"name": name, "value": value} for name, value in wanted.items()]
        )
        self.call("Emulation.setScriptExecutionDisabled", value=not script)
        self.events.clear()
        loader = self.call("Page.navigate", url=path.as_uri())["loaderId"]
        while not any(
            method == "Page.lifecycleEvent" and (words["loaderId"], words["name"]) == (loader, "load")
            for method, words in self.events
        ):
            answer = self._next()
            self.events.append((answer.get("method", ""), answer.get("params", {})))

    def run(self, expression: str) -> Any:
        """Return what a JavaScript expression comes to."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise BrowserError(str(found["exceptionDetails"]))
        return found["result"].get("value")

    def texts(self, selector: str) -> list[str]:
        """Return the text of every element that is shown and that SELECTOR finds."""
        chosen = f"[...document.querySelectorAll({json.dumps(selector)})]"
        found: list[str] = self.run(
            f"{chosen}.filter((each) => each.checkVisibility()).map((each) => each.textContent)"
        )
        return found

    def type(self, selector: str, text: str) -> None:
        """Put TEXT into a field, as keys would."""
        self.run(f"document.querySelector({json.dumps(selector)}).select()")
        self.call("Input.insertText", text=text)

    def press(self, key: str) -> None:
        """Press and release KEY where the focus is."""
        words: dict[str, Any] = {"key": key, **({"text": key} if len(key) == 1 else {})}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, **words)

    def point(self, x: float, y: float, *, click: bool = False) -> None:
        """Move the mouse there; click if wanted."""
        for kind in ("mouseMoved", *(("mousePressed", "mouseReleased") if click else ())):
            self.call(
                "Input.dispatchMouseEvent",
                type=kind,
                x=x,
                y=y,
                button="left" if kind != "mouseMoved" else "none",
                clickCount=1,
            )

    def centre(self, selector: str, fraction: tuple[float, float] = (0.5, 0.5)) -> tuple[float, float]:
        """Bring an element into view and return where in the window its centre is, or another FRACTION of it."""
        x, y = self.run(
            f"(() => {{ const each = document.querySelector({json.dumps(selector)}); each.scrollIntoView({{block: 'center'}});"
            f"const box = each.getBoundingClientRect();"
            f"return [box.x + {fraction[0]} * box.width, box.y + {fraction[1]} * box.height]; }})()"
        )
        return x, y

    def click(self, selector: str) -> None:
        """Click the middle of an element."""
        self.point(*self.centre(selector), click=True)

    def colour(self, x: float, y: float) -> tuple[int, int, int]:
        """Return the colour of one pixel that is seen, as red, green and blue."""
        clip = {"x": x + self.run("scrollX"), "y": y + self.run("scrollY"), "width": 1, "height": 1, "scale": 1}
        image = b64decode(self.call("Page.captureScreenshot", format="png", clip=clip)["data"])
        data, place = b"", 8
        while place < len(image):  # PNG: length, type, data and CRC of each chunk (RFC 2083)
            length = int.from_bytes(image[place : place + 4], "big")
            data += image[place + 8 : place + 8 + length] if image[place + 4 : place + 8] == b"IDAT" else b""
            place += 12 + length
        red, green, blue = zlib.decompress(data)[1:4]  # behind the filter, which leaves a first pixel as it is
        return red, green, blue

    def requested(self) -> list[str]:
        """Return the addresses of all that was asked for since the page was opened."""
        return [words["request"]["url"] for method, words in self.events if method == "Network.requestWillBeSent"]

    def complaints(self) -> list[str]:
        """Return what the console would show: messages of the script, exceptions, violations of the policy."""
        return [
            json.dumps(words)
            for method, words in self.events
            if method in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
        ]
