"""Files that carry their own checksum: what may be computed again, and must never be served damaged."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from dgmbench.files import replacing

DIGEST_BYTES = hashlib.sha256().digest_size


def read_checked(path: Path, what: str) -> memoryview | None:
    """What `write_checked` wrote; None if there is nothing, or it is damaged, which is told as `what`."""
    try:
        content = memoryview(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        tell(path, f"cannot be read ({error})", what)
        return None
    digest, body = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
    if hashlib.sha256(body).digest() != bytes(digest):
        tell(path, "is damaged", what)
        return None
    return body


def write_checked(path: Path, body: memoryview, what: str) -> None:
    """The SHA-256 of `body`, then `body`; a place that cannot be written is told and costs nothing else."""
    try:
        with replacing(path) as aside, open(aside, "wb") as handle:
            handle.write(hashlib.sha256(body).digest())
            handle.write(body)
    except OSError as error:
        print(f"{path} cannot be written ({error}); its {what} are not kept", file=sys.stderr)


def tell(path: Path, fault: str, what: str) -> None:
    """On standard error: what is wrong with a file, and that `what` is computed again."""
    print(f"{path} {fault}; the {what} are computed again", file=sys.stderr)
