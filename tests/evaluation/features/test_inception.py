"""Inception features against pytorch-fid's own network, and every way in which weights cannot be had."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import scipy
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from dgmbench.data.fetch.raw import Limits, RawFile, RawSet
from dgmbench.errors import DataError
from dgmbench.evaluation.features import inception
from dgmbench.evaluation.features.inception import (
    InceptionSpace,
    Weights,
    build_network,
    folded,
    load_weights,
)
from dgmbench.evaluation.quality.frechet import fid

QUICK = Limits(timeout=0.5, deadline=2.0)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def weights() -> Weights:
    """Random weights of the right shapes, with batch statistics that keep 94 layers in range."""
    from pytorch_fid import inception as module

    generator = torch.Generator().manual_seed(0)
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng(devices=[]):
        patch.setattr(module, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(nn.Module, "load_state_dict", lambda *_, **__: None)
        network = module.fid_inception_v3()
    state = {}
    for name, value in network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            state[name] = value
        elif name.endswith("conv.weight"):
            scale = (2.0 / value[0].numel()) ** 0.5
            state[name] = scale * torch.randn(value.shape, generator=generator)
        elif name.endswith(("running_var", "bn.weight")):
            state[name] = 0.8 + 0.4 * torch.rand(value.shape, generator=generator)
        elif name.startswith("fc."):
            continue
        else:
            state[name] = 0.1 * torch.randn(value.shape, generator=generator)
    return Weights(state, "random")


def reference(weights: Weights, pixels: Tensor) -> Tensor:
    """pytorch-fid's path: three channels, its own resizing and scaling, nothing folded."""
    network = build_network(weights.state)
    network.resize_input = network.normalize_input = True  # type: ignore[assignment]
    with torch.no_grad():
        return network(pixels.expand(-1, 3, -1, -1).contiguous())[0].flatten(1)


def test_the_fast_path_gives_pytorch_fids_features_whatever_the_batch(weights: Weights) -> None:
    pixels = noise(3, 1, 28, 28)
    expected = reference(weights, pixels)
    scale = float(expected.abs().max())
    assert expected.shape == (3, 2048) and scale > 0.01
    assert float(expected.std(0).max()) > 1e-3 * scale  # the images do not all look alike to it
    for batch_size in (1, 2, 3):
        features = InceptionSpace(weights, batch_size=batch_size).features(pixels)
        assert features.dtype == torch.float32
        torch.testing.assert_close(features, expected, rtol=1e-5, atol=1e-5 * scale)


def test_bytes_and_floats_and_repeated_channels_are_the_same_images(weights: Weights) -> None:
    pixels = (noise(1, 1, 9, 7) * 255).to(torch.uint8)
    space = InceptionSpace(weights)
    features = space.features(pixels)
    torch.testing.assert_close(space.features(pixels.float() / 255), features, rtol=0, atol=0)
    torch.testing.assert_close(space.features(pixels.expand(-1, 3, -1, -1)), features, rtol=1e-5, atol=1e-6)


def test_folding_a_small_network_is_exact_to_rounding() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.bn = nn.Conv2d(2, 5, 3, bias=False), nn.BatchNorm2d(5, eps=0.001)

        def forward(self, x: Tensor) -> Tensor:
            return F.relu(self.bn(self.conv(x)))

    block = Block().eval()
    block.bn.running_mean = torch.randn(5, generator=torch.Generator().manual_seed(1))
    block.bn.running_var = noise(5) + 0.5
    x = noise(4, 2, 8, 8)
    with torch.no_grad():
        expected = block(x)
        faster = folded(block)
        assert isinstance(faster.bn, nn.Identity)
        torch.testing.assert_close(faster(x), expected, rtol=1e-5, atol=1e-6)


def test_building_leaves_global_randomness_and_pytorch_fid_alone(weights: Weights) -> None:
    from pytorch_fid import inception as module

    loader, before = module.load_state_dict_from_url, torch.get_rng_state()
    build_network(weights.state)
    assert module.load_state_dict_from_url is loader
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (torch.full((2, 1, 8, 8), torch.nan), "NaN"),
        (torch.full((2, 1, 8, 8), 17.0), r"from 17 to 17.*\[0, 1\]"),
        (torch.full((2, 1, 8, 8), 1.0000001), r"to 1\.00000012; floats lie in"),
        (-noise(2, 1, 8, 8), r"\[0, 1\]"),
        (torch.zeros(2, 1, 8, 8, dtype=torch.int64), "int64"),
        (noise(8, 8), r"\[n, C, H, W\]"),
        (noise(0, 1, 8, 8), "at least one"),
        (noise(2, 4, 8, 8), "1 or 3 channels, not 4"),
    ],
)
def test_unfit_images_are_refused_before_the_network_is_built(images: Tensor, words: str) -> None:
    space = InceptionSpace(Weights({}, "none"))
    with pytest.raises(ValueError, match=words):
        space.features(images)
    assert "network" not in vars(space)


# Weights that cannot be had


def nowhere(tmp_path: Path) -> RawSet:
    return RawSet("inception", inception.PUBLISHED.files, urls=(f"{(tmp_path / 'none').as_uri()}/",))


def test_without_any_source_the_message_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DGMBENCH_MIRROR", raising=False)
    monkeypatch.delenv("DGMBENCH_DATA_URL", raising=False)
    with pytest.raises(DataError, match="Inception weights cannot be had") as caught:
        load_weights(downloads=tmp_path, limits=QUICK, published=nowhere(tmp_path))
    assert "evaluation.inception.weights" in str(caught.value) and "DGMBENCH_MIRROR" in str(caught.value)


def test_a_named_file_that_is_missing_or_another_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"evaluation\.inception\.weights: there is no file"):
        load_weights(tmp_path / "weights.pth")
    (tmp_path / "weights.pth").write_bytes(b"something else")
    with pytest.raises(DataError, match=r"6726825d.*found.*nor is it.*c8f50415"):
        load_weights(tmp_path / "weights.pth")


def test_a_damaged_mirror_is_told_with_both_checksums(tmp_path: Path) -> None:
    name = "pt_inception-2015-12-05-features.pth"
    (tmp_path / "inception").mkdir()
    (tmp_path / "inception" / name).write_bytes(b"damaged")
    with pytest.raises(DataError, match=f"{name} is corrupt: expected SHA-256 c8f50415.*found"):
        load_weights(mirror=tmp_path, downloads=tmp_path / "d", limits=QUICK, published=nowhere(tmp_path))


def test_a_download_is_checked_and_kept(
    tmp_path: Path, weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DGMBENCH_MIRROR", raising=False)
    monkeypatch.delenv("DGMBENCH_DATA_URL", raising=False)
    site, downloads = tmp_path / "site", tmp_path / "downloads"
    site.mkdir()
    torch.save({"x": torch.ones(3)}, site / "w.pth")
    content = (site / "w.pth").read_bytes()
    file = RawFile("w.pth", hashlib.sha256(content).hexdigest(), len(content))
    published = RawSet("inception", (file,), urls=(f"{site.as_uri()}/",))
    found = load_weights(downloads=downloads, limits=QUICK, published=published)
    assert found.sha256 == file.sha256 and torch.equal(found.state["x"], torch.ones(3))
    assert (downloads / "inception" / "w.pth").read_bytes() == content
    (site / "w.pth").write_bytes(content[:-1] + b"!")
    with pytest.raises(DataError, match="is corrupt"):
        load_weights(downloads=tmp_path / "other", limits=QUICK, published=published)


# The genuine weights


def genuine() -> Weights:
    mirror = os.environ.get("DGMBENCH_MIRROR")
    if not mirror or not (Path(mirror) / "inception").is_dir():
        pytest.skip("no Inception weights: DGMBENCH_MIRROR names no directory with inception/")
    return load_weights()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A TORCH_HOME with the genuine weights under the name that pytorch-fid's download gives them."""
    folder = tmp_path_factory.mktemp("torch")
    path = folder / "hub" / "checkpoints" / "pt_inception-2015-12-05-6726825d.pth"
    path.parent.mkdir(parents=True)
    classifier = {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
    torch.save(classifier | genuine().state, path)
    return folder


def test_fid_is_that_of_the_pytorch_fid_command_on_png_files(home: Path, tmp_path: Path) -> None:
    """Half a minute, nearly all of it the command's matrix square root."""
    if tuple(int(part) for part in scipy.__version__.split(".")[:2]) >= (1, 18):
        pytest.skip("pytorch-fid 0.3.0 calls scipy.linalg.sqrtm in a way that SciPy 1.18 has not")
    sets = [(noise(8, 1, 28, 28, seed=seed) ** (1 + 2 * seed) * 255).to(torch.uint8) for seed in (0, 1)]
    for name, images in zip("ab", sets, strict=True):
        (tmp_path / name).mkdir()
        for i, image in enumerate(images):
            Image.fromarray(image[0].numpy()).save(tmp_path / name / f"{i}.png")
    command = [sys.executable, "-m", "pytorch_fid", "a", "b", "--device", "cpu", "--num-workers", "0"]
    done = subprocess.run(
        [*command, "--batch-size", "8"],
        cwd=tmp_path,
        env=os.environ | {"TORCH_HOME": str(home)},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    expected = float(done.stdout.split("FID:")[1].split()[0])
    space = InceptionSpace(genuine())
    with pytest.warns(UserWarning, match="rank-deficient"):
        found = fid(*(space.features(images) for images in sets))
    assert found == pytest.approx(expected, rel=1e-3)


def test_features_are_those_of_torch_fidelity(home: Path) -> None:
    """At 299x299, where its resizing (TensorFlow's, half a pixel off) does nothing."""
    reason = "torch-fidelity is not installed (uv sync --group compare)"
    module = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3", reason=reason)
    path = home / "hub" / "checkpoints" / "pt_inception-2015-12-05-6726825d.pth"
    theirs = module.FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(path)
    )
    images = (noise(2, 3, 299, 299) * 255).to(torch.uint8)
    with torch.no_grad():
        (expected,) = theirs(images)
    # It scales bytes by (x - 128) / 128 where pytorch-fid has 2 x / 255 - 1.
    features = InceptionSpace(genuine()).features(images)
    assert float((features - expected).norm() / expected.norm()) < 0.02
    network = build_network(genuine().state)
    with torch.no_grad():
        same = network((images.float() - 128) / 128)[0].flatten(1)
        fast = folded(network)((images.float() - 128) / 128)[0].flatten(1)
    torch.testing.assert_close(same, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(fast, expected, rtol=1e-4, atol=1e-4)
