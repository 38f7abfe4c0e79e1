"""Views: what a model sees, what is shown of it, and the units of its likelihood."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dgmbench.data.pixels import bits_per_dim
from dgmbench.data.schema import ImageTarget, Schema, TokenTarget, image_schema
from dgmbench.data.view import View
from dgmbench.data.views import BinaryView, DequantisedView, DiscreteView, view_of

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
SHAPE = (1, 2, 4)


def seeded(seed: int = 0, device: str = "cpu") -> torch.Generator:
    return torch.Generator(device).manual_seed(seed)


def views(levels: int = 17) -> dict[str, View]:
    schema = image_schema(SHAPE, levels)
    return {
        "binary": view_of("binary", schema),
        "dequantised": view_of("gray", schema),
        "discrete": view_of("gray", schema, continuous=False),
    }


def every_level(levels: int = 17) -> torch.Tensor:
    return torch.arange(levels).to(torch.uint8).repeat_interleave(8).reshape(levels, *SHAPE)


@pytest.mark.parametrize("form", views())
@pytest.mark.parametrize("device", DEVICES)
def test_a_batch_has_the_form_of_its_view_reproducibly(form: str, device: str) -> None:
    view, images = views()[form], every_level().to(device)
    state = torch.get_rng_state()
    batch = view.batch(images, seeded(1, device))
    assert batch.x.shape == images.shape and batch.x.device == images.device
    assert batch.x.dtype == (torch.int64 if form == "discrete" else torch.float32)
    assert batch.label is None and batch.condition is None and batch.mask is None
    assert torch.equal(batch.x, view.batch(images, seeded(1, device)).x)
    assert torch.equal(batch.x, view.batch(images, seeded(2, device)).x) == (form == "discrete")
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(images.cpu(), every_level())


@settings(deadline=None)
@given(st.integers(2, 256), st.integers(0, 2**31))
def test_decoding_undoes_encoding(levels: int, seed: int) -> None:
    for view in views(levels).values():
        observed = view.observe(every_level(levels), seeded(seed))
        back = view.decode(view.encode(observed, seeded(seed)))
        assert back.dtype == torch.uint8 and torch.equal(back, observed)


@pytest.mark.parametrize(
    ("form", "values"),
    [
        ("dequantised", [0.0, math.nan]),
        ("dequantised", [math.inf]),
        ("binary", [0.5]),
        ("binary", [2.0]),
        ("discrete", [17.0]),
        ("discrete", [-1.0]),
    ],
)
def test_what_is_no_sample_is_refused(form: str, values: list[float]) -> None:
    with pytest.raises(ValueError, match="samples hold values"):
        views()[form].decode(torch.tensor(values))


def test_no_samples_decode_and_the_input_stays() -> None:
    assert views()["binary"].decode(torch.zeros(0, *SHAPE)).shape == (0, *SHAPE)
    v = torch.tensor([0.3])
    views()["dequantised"].decode(v)
    assert float(v) == pytest.approx(0.3)


def test_display_runs_from_black_to_white() -> None:
    assert views()["dequantised"].display(every_level()).unique().tolist() == pytest.approx(
        [k / 16 for k in range(17)]
    )
    assert views()["binary"].display(torch.tensor([0, 1], dtype=torch.uint8)).tolist() == [0.0, 1.0]


def test_one_measure_joins_levels_and_densities() -> None:
    """A probability of L^-d for every image is the uniform density: 0 nats, log2 L bits/dim."""
    discrete, dequantised = views()["discrete"], views()["dequantised"]
    uniform = torch.full((3,), -8 * math.log(17), dtype=torch.float64)
    nats, bits = discrete.measure(uniform, "exact")
    assert (nats.unit, bits.unit) == ("nats", "bits_per_dim")
    assert nats.values.tolist() == pytest.approx([0.0] * 3, abs=1e-12)
    assert bits.values.tolist() == pytest.approx([math.log2(17)] * 3)
    assert {nats.kind, bits.kind} == {"exact"}
    nats, bits = dequantised.measure(torch.zeros(3, dtype=torch.float64), "exact")
    assert bits.values.tolist() == pytest.approx([math.log2(17)] * 3)
    # The mean log density is a bound for the discrete image.
    assert (nats.kind, bits.kind) == ("exact", "lower_bound")
    assert float(bits.values[0]) == pytest.approx(bits_per_dim(0.0, 8, 17))
    (only,) = views()["binary"].measure(uniform, "lower_bound")
    assert (only.unit, only.kind) == ("nats", "lower_bound") and torch.equal(only.values, uniform)


def test_tokens_have_a_mask_up_to_their_end() -> None:
    view = view_of("tokens", Schema(TokenTarget(length=4, vocabulary=9)))
    raw = torch.tensor([[5, 8, 1, 0], [1, 0, 0, 0]], dtype=torch.int32)
    batch = view.batch(raw)
    assert batch.x.dtype == torch.int64
    assert batch.mask is not None and batch.mask.tolist() == [[True] * 3 + [False], [True] + [False] * 3]
    assert torch.equal(view.decode(batch.x), raw)
    with pytest.raises(ValueError, match="tokens outside"):
        view.decode(torch.tensor([[9]]))
    with pytest.raises(TypeError):
        view.display(raw)


def test_a_schema_survives_json_and_refuses_what_it_does_not_know() -> None:
    both = (
        Schema(ImageTarget((3, 8, 8), 256), classes=10, condition=ImageTarget((1, 8, 8), 2)),
        Schema(TokenTarget(20, 5000)),
    )
    for schema in both:
        assert Schema.from_json(schema.to_json()) == schema
    with pytest.raises(ValueError, match="not one of image, tokens"):
        Schema.from_json(both[0].to_json() | {"target": {"kind": "graph"}})
    with pytest.raises(ValueError, match="images, not tokens"):
        view_of("gray", both[1])


def test_the_names_of_views() -> None:
    kinds = {name: type(view) for name, view in views().items()}
    assert kinds == {"binary": BinaryView, "dequantised": DequantisedView, "discrete": DiscreteView}
    assert isinstance(view_of("color", image_schema((3, 8, 8), 256)), DequantisedView)
