"""A lookup table of training images: perfect samples, poor likelihood (Theis et al. 2016, section 3.2).

q = (1 - e) 1/m sum_j N(x; x_j, h^2 I) + e U, the Gaussians at m training images and U uniform on [0, 1]^d.
With h of one intensity level its samples are training images to the eye; the likelihood of unseen ones is all
but log e, that of the uniform part. Even the best h stays behind a plain Gaussian model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor

from dgmbench.claims.claim import judge
from dgmbench.controls.control import Context, Control, Curve, Finding, Panel, Sheet
from dgmbench.controls.domain_fids import Fids, domain_fids
from dgmbench.controls.instruments import (
    SHOWN,
    GridSettings,
    exact_record,
    fit_ppca,
    replace_by_noise,
    with_uniform,
)
from dgmbench.data.pixels import quantise
from dgmbench.kernel_density import gaussian_kernel_log_density
from dgmbench.models.baselines.ppca import PPCA
from dgmbench.results import Record
from dgmbench.settings.block import Distinct
from dgmbench.statistics import Interval, mean_interval

FLOOR, MODEL = "train", "ppca"


class LookupTableSettings(GridSettings):
    """The tables, their widths, and the model that they are compared with."""

    sizes: Distinct[PositiveInt] = Field(
        [10, 100, 1000, 10_000], min_length=1, description="m; one beyond the training images stands for all"
    )
    narrow_levels: PositiveFloat = Field(1.0, description="the narrow width h, in intensity levels")
    noise_share: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.001, description="e, the uniform part that keeps the likelihood of unseen images finite"
    )
    near: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.1, description="part of the way from the floor to PPCA's FID within which a table is at the floor"
    )
    latent_dims: list[PositiveInt] = Field(
        [50, 100, 200, 300, 400], min_length=1, description="of the PPCA; chosen on valid"
    )
    fid_samples: int = Field(5000, ge=2, description="samples of each model for the domain FID")


@dataclass(frozen=True)
class _Table:
    """One table: its widths by name, and the log-likelihoods of the test points under each (nats, [n])."""

    size: int
    widths: Mapping[str, float]
    values: Mapping[str, Tensor]

    def name(self, width: str) -> str:
        """The subject of its records."""
        return f"table_{self.size}_{width}"

    def records(self, context: Context, n_valid: int) -> list[Record]:
        """Both likelihoods, and the width that validation chose."""
        rows = [exact_record(context, self.name(width), values) for width, values in self.values.items()]
        chosen = context.record(
            self.name("best"), "parzen_bandwidth", self.widths["best"],
            n=n_valid, unit="1", kind="heuristic", split="valid",
        )  # fmt: skip
        return [*rows, chosen]


class LookupTable(Control[LookupTableSettings]):
    """Stored training images, as a sampler and as a density."""

    Settings = LookupTableSettings
    title = "Samples: a table of training images"
    claim = (
        "A table of training images draws perfect samples, as far from the test images as the training "
        "images are in domain FID, and yet has a worse log-likelihood than a plain Gaussian model."
    )
    source = (
        "Theis, van den Oord & Bethge 2016, section 3.2 (Samples and log-likelihood): poor log-likelihood "
        "and great samples"
    )

    def run(self, context: Context) -> Finding:
        """Score tables of every size; the largest decides."""
        context.lap()
        settings = self.settings
        train, valid = context.dequantised("train"), context.dequantised("valid", settings.valid_points)
        test = context.dequantised("test", settings.test_points)
        model = fit_ppca(context, settings.latent_dims, train, valid)
        log_prob = model.log_prob(test).cpu()
        records = [exact_record(context, MODEL, log_prob)]
        stored = self._stored(context)
        tables = []
        for size in sorted({min(size, len(stored)) for size in settings.sizes}):
            tables.append(self._table(context, stored[:size], valid, test))
            records += tables[-1].records(context, len(valid))
        samples = self._samples(context, stored, tables, model)
        fids = domain_fids(context, samples, fixed=[FLOOR])
        last = tables[-1]
        parts = [mean_interval((log_prob - values)[None]) for values in last.values.values()]
        panels = [_likelihood_panel(tables, log_prob)]
        if fids is not None:
            records += fids.records()
            parts.append(_at_floor(fids, last, settings.near))
            panels.append(_fid_panel(tables, fids))
        sentence = self._sentence(last, log_prob, fids)
        return Finding(judge(parts), sentence, records, panels, _sheets(context, samples, last))

    def _stored(self, context: Context) -> Tensor:
        """The training images in random order, each pixel in the middle of its level: (k + 1/2) / L."""
        rows = torch.from_numpy(context.rng("table").permutation(context.data.size("train")))
        return ((context.raw("train")[rows].float() + 0.5) / context.data.levels).to(context.device)

    def _table(self, context: Context, centres: Tensor, valid: Tensor, test: Tensor) -> _Table:
        settings = self.settings
        grid, share = settings.grid, settings.noise_share
        scores = with_uniform(gaussian_kernel_log_density(centres, valid, grid), share).mean(0)
        widths = {
            "narrow": settings.narrow_levels / context.data.levels,
            "best": grid[int(scores.argmax())],
        }
        values = with_uniform(gaussian_kernel_log_density(centres, test, list(widths.values())), share)
        return _Table(len(centres), widths, dict(zip(widths, values.unbind(1), strict=True)))

    def _samples(
        self, context: Context, stored: Tensor, tables: Sequence[_Table], model: PPCA
    ) -> dict[str, Tensor]:
        """Images (uint8) by subject: as many training images, of PPCA, of each table at its narrow width.

        The largest table is drawn from at its best width as well.
        """
        n, levels = self.settings.fid_samples, context.data.levels
        drawn = {FLOOR: stored[:n], MODEL: model.sample(n, context.generator("sample", MODEL))}
        for table in tables:
            widths = table.widths if table is tables[-1] else {"narrow": table.widths["narrow"]}
            for name, width in widths.items():
                generator = context.generator("sample", table.name(name))
                drawn[table.name(name)] = self._draw(stored[: table.size], width, n, generator)
        return {name: quantise(images, levels).cpu() for name, images in drawn.items()}

    def _draw(self, centres: Tensor, width: float, n: int, generator: torch.Generator) -> Tensor:
        """Draws of the whole mixture, its uniform part included."""
        rows = torch.randint(len(centres), (n,), generator=generator, device=centres.device)
        shape = (n, *centres.shape[1:])
        kernel = torch.randn(shape, generator=generator, device=centres.device, dtype=centres.dtype)
        return replace_by_noise(centres[rows] + width * kernel, self.settings.noise_share, generator)

    def _sentence(self, table: _Table, log_prob: Tensor, fids: Fids | None) -> str:
        lags = {name: mean_interval((values - log_prob)[None]) for name, values in table.values.items()}
        sentence = (
            f"A table of {table.size:,} training images is {lags['narrow'].words('above', 'below')} PPCA in "
            f"log-likelihood with Gaussians as wide as {self.settings.narrow_levels:g} intensity level "
            f"({float(table.values['narrow'].mean()):z.1f} nats, where uniform noise has 0) and "
            f"{lags['best'].words('above', 'below')} it at the best width"
        )
        if fids is None:
            return f"{sentence} (there is no classifier to measure its samples)."
        return (
            f"{sentence}; the domain FID of its samples is {fids.values[table.name('narrow')]:.1f}, that of "
            f"training images {fids.values[FLOOR]:.1f} and that of PPCA {fids.values[MODEL]:.1f}."
        )


def _at_floor(fids: Fids, table: _Table, near: float) -> Interval:
    """near (PPCA - floor) - (table - floor): above zero if the table's FID is that near to the floor."""
    return fids.contrast({MODEL: near, table.name("narrow"): -1.0, FLOOR: 1.0 - near})


def _likelihood_panel(tables: Sequence[_Table], log_prob: Tensor) -> Panel:
    sizes = [float(table.size) for table in tables]
    curves = [
        Curve.of(f"{width} width", sizes, [mean_interval(table.values[width][None]) for table in tables])
        for width in ("best", "narrow")
    ]
    levels = {"PPCA": float(log_prob.mean()), "uniform noise": 0.0}
    return Panel("Log-likelihood of test images", "images in the table", "nats", curves, levels, log_x=True)


def _fid_panel(tables: Sequence[_Table], fids: Fids) -> Panel:
    sizes = [float(table.size) for table in tables]
    intervals = [fids.interval(table.name("narrow")) for table in tables]
    curve = Curve.of("samples at the narrow width (95 % over images)", sizes, intervals)
    levels = {"PPCA": fids.values[MODEL], "training images": fids.values[FLOOR]}
    return Panel("Domain FID of samples", "images in the table", "domain FID", [curve], levels, log_x=True,
                 log_y=True)  # fmt: skip


def _sheets(context: Context, samples: Mapping[str, Tensor], table: _Table) -> list[Sheet]:
    titles = {
        f"Samples of a table of {table.size:,} images": table.name("narrow"),
        "The same at the width of the best likelihood": table.name("best"),
        "Samples of PPCA": MODEL,
    }
    levels = context.data.levels
    return [Sheet(title, samples[name][:SHOWN].numpy(), levels) for title, name in titles.items()]
