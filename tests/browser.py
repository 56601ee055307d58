"""A real browser for the HTML pages of this project."""

import base64
import hashlib
import html
import json
import os
import re
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

#: What the DevTools protocol calls the lines of the console.
_LOGGED = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")

# Reports the page's images and its network requests. It is at the end of the page, so that images that load lazily are
# requested before the page counts as loaded.
PROBE = """
for (const image of document.images) image.loading = "eager";
const violations = [];
addEventListener("securitypolicyviolation", (event) => violations.push(event.violatedDirective + event.blockedURI));
const errors = [];
addEventListener("error", (event) => errors.push(String(event.message)));
addEventListener("load", async () => {
  // A lazy image that has become an eager one does not keep the page from counting as loaded.
  await Promise.all([...document.images].map((image) => image.decode().catch(() => null)));
  const report = {
    images: document.images.length,
    decoded: [...document.images].filter(image => image.naturalWidth > 0).length,
    enlarged: [...document.images].filter(image => getComputedStyle(image).imageRendering === "pixelated").length,
    requests: performance.getEntriesByType("resource").filter(entry => !entry.name.startsWith("data:")).length,
    width: innerWidth,
    overflow: document.documentElement.scrollWidth > innerWidth,
    height: document.body.scrollHeight,
  };
  const find = (selector) => document.querySelector(selector);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const visible = (selector) => all(selector).filter(element => element.checkVisibility());
  const type = (selector, text) => {
    find(selector).value = text;
    find(selector).dispatchEvent(new Event("input", {bubbles: true}));
  };
  try {
    report.acted = (() => { ACT })();
  } catch (error) {
    errors.push(String(error));
  }
  top.document.title = JSON.stringify({...report, violations, errors});
});
"""

# A page has no title, or one of its own, until the probe has looked at it.
_TITLE = """
new Promise((done) => {
  const wait = () => document.title.startsWith("{") ? done(document.title) : setTimeout(wait, 5);
  wait();
})
"""


def look(page: Path, scratch: Path, act: str = "", width: int | None = None, script: bool = True) -> dict[str, Any]:
    """Open a page in Chromium and report on it: its images (how many, decoded, enlarged without smoothing),
    its requests, whether it is wider than the window, its height, errors, violations of its policy, and its console
    output.

    `act`: the body of a JavaScript function, run when the page is loaded; its result is `acted`. It can use `find`,
    `all` and `visible` (elements by selector) and `type` (into an input). `width`: of the window, pixels, such as a
    telephone's. `script`: whether the page's own may run. Skips without a Chromium.
    """
    if CHROMIUM is None:
        pytest.skip("no Chromium on PATH: install chromium to look at pages")
    probe = PROBE.replace("ACT", act)
    # The policy of the copy allows the probe and the page's own scripts, and nothing else.
    ours = f"'sha256-{base64.b64encode(hashlib.sha256(probe.encode()).digest()).decode()}'"
    policy = rf"script-src {ours} \1" if script else f"script-src {ours}"
    allowed, changed = re.subn(r"script-src ('sha256-[^']+')", policy, page.read_text(), count=1)
    assert changed, "the page has no policy for scripts"
    probed = scratch / "probed.html"
    content = f"{allowed}<script>{probe}</script>"
    if width is not None:
        # Windows of Chromium cannot be as narrow as a telephone, but a frame can.
        content = f'<!doctype html><iframe width="{width}" height="2000" srcdoc="{html.escape(content)}"></iframe>'
    probed.write_text(content)
    title, console = _chromium(os.getpid()).title_of(probed.as_uri())
    return {**json.loads(title), "console": console}


@cache
def _chromium(_: int) -> "_Chromium":
    """The browser of a process and not of one that it is a fork of: each start of Chromium takes a second."""
    return _Chromium()


class _Chromium:
    """Chromium, controlled by its DevTools protocol through a pipe; it ends with this process, which closes the pipe.

    https://chromedevtools.github.io/devtools-protocol/: JSON messages, each ended by a zero byte.
    """

    def __init__(self) -> None:
        assert CHROMIUM is not None
        profile = tempfile.mkdtemp(dir=os.environ["CF_TESTS_FOLDER"])
        options = (
            "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
            "--disable-component-update --disable-sync --remote-debugging-pipe"
        )
        command = [CHROMIUM, *options.split(), f"--user-data-dir={profile}"]
        theirs, ours = os.pipe(), os.pipe()
        # It reads from 3 and writes to 4.
        files = [(os.POSIX_SPAWN_DUP2, theirs[0], 3), (os.POSIX_SPAWN_DUP2, ours[1], 4)]
        files += [(os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)]
        os.posix_spawn(CHROMIUM, command, os.environ, file_actions=files)
        os.close(theirs[0])
        os.close(ours[1])
        self._commands, self._answers = os.fdopen(theirs[1], "wb", 0), os.fdopen(ours[0], "rb")
        self._sent = 0

    def title_of(self, url: str) -> tuple[str, list[str]]:
        """The title of a page when the probe has set it, and what the browser has logged; it keeps nothing."""
        context = self._ask("Target.createBrowserContext")["browserContextId"]
        size = {"width": 1300, "height": 2000}
        target = self._ask("Target.createTarget", url="about:blank", browserContextId=context, **size)["targetId"]
        session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._ask(f"{domain}.enable", session)
        logged: list[str] = []
        self._ask("Page.navigate", session, logged, url=url)
        while self._received(logged).get("method") != "Page.loadEventFired":
            pass
        given = {"expression": _TITLE, "awaitPromise": True}
        result = self._ask("Runtime.evaluate", session, logged, **given)["result"]
        self._ask("Target.disposeBrowserContext", browserContextId=context)
        return result["value"], logged

    def _ask(self, method: str, session: str | None = None, logged: list[str] | None = None, **parameters: Any) -> Any:
        self._sent += 1
        message = {"id": self._sent, "method": method, "params": parameters}
        self._commands.write(json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0")
        while (message := self._received(logged)).get("id") != self._sent:
            pass
        return message["result"]

    def _received(self, logged: list[str] | None) -> dict[str, Any]:
        """The next message; it is added to `logged` where it says what the page's console shows."""
        content = bytearray()
        while (byte := self._answers.read(1)) != b"\0":
            if not byte:
                raise EOFError("Chromium has ended")
            content += byte
        message: dict[str, Any] = json.loads(content)
        if logged is not None and message.get("method") in _LOGGED:
            logged.append(json.dumps(message["params"]))
        return message
