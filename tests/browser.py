"""A real browser for the HTML pages of this project."""

import base64
import hashlib
import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

# Reports the page's images and its network requests. It is at the end of the page, so that images that load lazily are
# requested before the page counts as loaded.
PROBE = """
for (const image of document.images) image.loading = "eager";
const violations = [];
addEventListener("securitypolicyviolation", (event) => violations.push(event.violatedDirective + event.blockedURI));
const errors = [];
addEventListener("error", (event) => errors.push(String(event.message)));
addEventListener("load", () => {
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
    quiet = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync --enable-logging=stderr --window-size=1300,2000 --dump-dom"
    )
    command = [CHROMIUM, *quiet.split(), f"--user-data-dir={scratch / 'profile'}", probed.as_uri()]
    seen = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
    title = re.search(r"<title>(\{.*?\})</title>", seen.stdout, re.DOTALL)
    assert title, seen.stderr
    console = [line for line in seen.stderr.splitlines() if "CONSOLE" in line]
    return {**json.loads(html.unescape(title[1])), "console": console}
