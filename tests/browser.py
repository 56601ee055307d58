"""A real browser for the pages we make."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

# What the page's images came to, and what it asked the network for.
PROBE = """
<script>
addEventListener("load", () => {
  const report = {
    images: document.images.length,
    decoded: [...document.images].filter(image => image.naturalWidth > 0).length,
    enlarged: [...document.images].filter(image => getComputedStyle(image).imageRendering === "pixelated").length,
    requests: performance.getEntriesByType("resource").filter(entry => !entry.name.startsWith("data:")).length,
    overflow: document.documentElement.scrollWidth > innerWidth,
    height: document.body.scrollHeight,
  };
  document.title = JSON.stringify(report);
});
</script>
"""


def look(page: Path, scratch: Path) -> dict[str, Any]:
    """Open a page in Chromium: its images (how many, decoded, enlarged without smoothing), the requests it made,
    whether it is wider than the window, its height, and what it wrote to the console. Skips without a Chromium."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on PATH: install chromium to look at pages")
    # Only the copy may run a script: the page itself forbids all.
    allowed = page.read_text().replace("default-src 'none'", "default-src 'none'; script-src 'unsafe-inline'")
    probed = scratch / "probed.html"
    probed.write_text(allowed + PROBE)
    quiet = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync --enable-logging=stderr --window-size=1300,2000 --dump-dom"
    )
    command = [CHROMIUM, *quiet.split(), f"--user-data-dir={scratch / 'profile'}", probed.as_uri()]
    seen = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
    title = re.search(r"<title>(\{.*?\})</title>", seen.stdout)
    assert title, seen.stderr
    console = [line for line in seen.stderr.splitlines() if "CONSOLE" in line]
    return {**json.loads(html.unescape(title[1])), "console": console}
