"""A headless Chromium that opens a page, does something there, and is ended."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
import time
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PATIENCE = 60.0


def executable() -> str | None:
    """Where a Chromium is; None on a machine without one."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def with_script(page: str, script: str) -> str:
    """The page with a further script, which its policy is made to allow by hash, and nothing else."""
    own = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page, count = re.subn(r"(script-src 'sha256-[^']+')", rf"\1 'sha256-{own}'", page, count=1)
    assert count == 1, "the page has no policy"
    return page.replace("</body>", f"<script>{script}</script></body>")


def dom_after(page: str, script: str, folder: Path, width: int = 1300) -> str:
    """The document as HTML after `script` was run in the page, in a window of so many pixels."""
    window = f"--window-size={width},900"
    command = [*_command(folder), window, "--virtual-time-budget=5000", "--dump-dom"]
    command.append(_stored(page, script, folder))
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert "</html>" in done.stdout, done.stderr[-2000:]
    return done.stdout


def saved_by(page: str, script: str, folder: Path, name: str) -> str:
    """The text of the file called `name` that `script` had the page save."""
    there = folder / "saved" / name
    there.parent.mkdir()
    preferences = {"download": {"default_directory": str(there.parent), "prompt_for_download": False}}
    profile = folder / "profile" / "Default" / "Preferences"
    profile.parent.mkdir(parents=True)
    profile.write_text(json.dumps(preferences))
    command = [*_command(folder), "--remote-debugging-port=0", _stored(page, script, folder)]
    started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + PATIENCE
        while not there.exists() and time.monotonic() < until:
            time.sleep(0.1)
    finally:
        started.terminate()
        started.wait(PATIENCE)
    return there.read_text(encoding="utf-8")


def _command(folder: Path) -> list[str]:
    program = executable()
    assert program
    quiet = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run")
    return [program, *quiet, f"--user-data-dir={folder / 'profile'}"]


def _stored(page: str, script: str, folder: Path) -> str:
    path = folder / "page.html"
    path.write_text(with_script(page, script), encoding="utf-8")
    return path.as_uri()
