"""The 2048 features of the Inception network that FID is defined with (Heusel et al. 2017).

The network is pytorch-fid's port of the TensorFlow one of 2015-12-05. Two changes speed it up and leave the
function as it is: batch normalisation is folded into the convolutions before it, and images lie channels
last. Gray images are resized once and then repeated over the three channels, which gives the same as
resizing the repeated ones.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dgmbench.data.fetch.cache import Cache
from dgmbench.data.fetch.raw import (
    CorruptError,
    Limits,
    RawFile,
    RawSet,
    SourceError,
    candidates,
    read_from,
    unpack_and_check,
)
from dgmbench.data.fetch.sources import DEFAULT_LIMITS, MIRROR_VARIABLE, URL_VARIABLE
from dgmbench.data.fetch.web import serve_plain
from dgmbench.errors import DataError
from dgmbench.evaluation.features.feature_spaces import checked_pixels
from dgmbench.files import expanded
from dgmbench.provenance import code_key

WIDTH, SIDE, CLASSES = 2048, 299, 1008
SETTING = "evaluation.inception.weights"
_BUILDING = threading.Lock()

_FULL = RawFile(
    "pt_inception-2015-12-05-6726825d.pth",
    "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    95_628_359,
)
# The same network without its final classifier, which no distance of features needs.
_FEATURES = RawFile(
    "pt_inception-2015-12-05-features.pth",
    "c8f504157ae8edc6926c79ba00298080eb7de1c1786fe54660807c9190783cb3",
    87_480_025,
)
PUBLISHED = RawSet(
    folder="inception",
    files=(_FULL,),
    urls=("https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/",),
)


@dataclass(frozen=True)
class Weights:
    """A `state_dict` in pytorch-fid's names (`fc.*` may be missing), and the SHA-256 of its file."""

    state: dict[str, Tensor]
    sha256: str


def load_weights(
    path: str | Path | None = None,
    *,
    mirror: str | Path | None = None,
    downloads: Path = Path("downloads"),
    url: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
    published: RawSet = PUBLISHED,
) -> Weights:
    """The network's weights, their checksum verified: from the file `path`, else from the first source.

    Sources in order: `inception/` in the directory `mirror` (default: the variable DGMBENCH_MIRROR), in
    `downloads`, and the web: `url` (default: DGMBENCH_DATA_URL), else the publisher.
    Raises DataError if `path` is missing or not the genuine file, or if nothing serves; it says what to do.
    """
    if path is not None:
        return _from_path(expanded(path))
    failures = []
    mirror = mirror or os.environ.get(MIRROR_VARIABLE) or None
    for root in (mirror, downloads):
        folder = expanded(root) / published.folder if root is not None else None
        try:
            if folder is not None and (found := _held(folder)) is not None:
                return found
        except SourceError as error:
            failures.append(str(error))
    try:
        return _from_web(published, downloads, url, limits)
    except (SourceError, OSError) as error:
        failures.append(f"download: {error}")
    raise DataError(_nothing_served(failures))


def _from_path(path: Path) -> Weights:
    if not path.is_file():
        raise DataError(f"{SETTING}: there is no file {path}")
    packed = path.read_bytes()
    for file in (_FEATURES, _FULL):
        try:
            return _parsed(unpack_and_check(file, packed, str(path)), file)
        except CorruptError as error:
            last = error
    raise DataError(f"{SETTING}: {last}; nor is it {_FEATURES.name}, SHA-256 {_FEATURES.sha256}")


def _held(folder: Path) -> Weights | None:
    """The weights in a directory, in either form; None if there are none, SourceError if they are damaged."""
    for file in (_FEATURES, _FULL):
        if any(path.exists() for path in candidates(folder, file)):
            return _parsed(read_from(folder, file), file)
    return None


def _from_web(published: RawSet, downloads: Path, url: str | None, limits: Limits) -> Weights:
    url = (url or os.environ.get(URL_VARIABLE) or "").rstrip("/") or None
    contents = serve_plain(Cache(downloads, published), url, limits).contents
    (file,) = published.files
    return _parsed(contents[file.name], file)


def _parsed(content: bytes, file: RawFile) -> Weights:
    state: dict[str, Tensor] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return Weights(state, file.sha256)


def _nothing_served(failures: list[str]) -> str:
    tried = "\n".join(f"  - {failure}" for failure in failures)
    return (
        f"the Inception weights cannot be had; metrics in their space are left out. Tried:\n{tried}\n"
        f"Set {SETTING} to a copy of {PUBLISHED.urls[0]}{_FULL.name}, or data.mirror or {MIRROR_VARIABLE} to "
        f"a directory with inception/{_FULL.name} in it."
    )


def build_network(state: dict[str, Tensor]) -> nn.Module:
    """pytorch-fid's InceptionV3 with these weights, in eval mode: [b, 3, 299, 299] in [-1, 1] to a list of
    one [b, 2048, 1, 1]. Global generators are left as they were.
    """
    from pytorch_fid.inception import InceptionV3

    # The classifier is part of the constructor and of no output.
    classifier = {"fc.weight": torch.zeros(CLASSES, WIDTH), "fc.bias": torch.zeros(CLASSES)}
    with _BUILDING, _served(classifier | state), torch.random.fork_rng(devices=[]):
        network: nn.Module = InceptionV3(resize_input=False, normalize_input=False)
    return network.eval()


@contextmanager
def _served(state: dict[str, Tensor]) -> Iterator[None]:
    """Hand `state` to pytorch-fid's constructor, which else downloads the published file unchecked."""
    import pytorch_fid.inception as module

    original = module.load_state_dict_from_url
    module.load_state_dict_from_url = lambda *_, **__: state
    try:
        yield
    finally:
        module.load_state_dict_from_url = original


def folded(network: nn.Module) -> nn.Module:
    """The same function with each batch normalisation in its convolution's weights, channels last."""
    for block in network.modules():
        # torchvision's BasicConv2d: conv, then bn, then a ReLU.
        conv, norm = getattr(block, "conv", None), getattr(block, "bn", None)
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            block.conv = nn.utils.fuse_conv_bn_eval(conv, norm)
            block.bn = nn.Identity()
    return network.to(memory_format=torch.channels_last)


class InceptionSpace:
    """The final average-pooling features of the Inception network, as pytorch-fid computes them.

    Args:
        weights: of `load_weights`.
        device: where the network runs, in float32 (no TF32).
        batch_size: images at once; features do not depend on it beyond rounding (1e-5).
    """

    name = "inception"
    width = WIDTH

    def __init__(self, weights: Weights, device: torch.device | str = "cpu", batch_size: int = 50) -> None:
        self.weights, self.device, self.batch_size = weights, torch.device(device), batch_size
        self.identity = (
            f"inception 2015-12-05 {weights.sha256} folded {self.device.type} {code_key(__name__)}"
        )

    @cached_property
    def network(self) -> nn.Module:
        """Built when first needed: features that are in a cache need no network."""
        return folded(build_network(self.weights.state).to(self.device))

    def features(self, images: Tensor) -> Tensor:
        """Images [n, C, H, W] of one or three channels, floats in [0, 1] or uint8 0..255, to [n, 2048].

        Raises ValueError as `checked_pixels`, and for another number of channels.
        """
        if images.ndim == 4 and images.shape[1] not in (1, 3):
            raise ValueError(f"Inception takes images of 1 or 3 channels, not {images.shape[1]}")
        batches = (checked_pixels(batch) for batch in images.split(self.batch_size))
        if len(images) == 0:
            checked_pixels(images)
        flags = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
        with torch.no_grad(), flags:
            return torch.cat([self._embed(batch.to(self.device)).cpu() for batch in batches])

    def _embed(self, pixels: Tensor) -> Tensor:
        # Bilinear without anti-aliasing, corners not aligned: the resizing that pytorch-fid's FID is with.
        resized = F.interpolate(pixels, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
        resized = (2 * resized - 1).expand(-1, 3, -1, -1)
        output: Tensor = self.network(resized.contiguous(memory_format=torch.channels_last))[0]
        return output.flatten(1)
