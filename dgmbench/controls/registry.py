"""Every control by name. To add one: a file in this folder, a line here, a line in a pipeline."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dgmbench.errors import SettingsError, suggest

if TYPE_CHECKING:
    from dgmbench.controls.control import Control

# Strings, not imports: a stage loads, and depends on, only the control that it runs.
CONTROLS: dict[str, str] = {
    "parzen_kmeans": "dgmbench.controls.likelihoods.parzen_kmeans:ParzenKMeans",
    "parzen_truth": "dgmbench.controls.likelihoods.parzen_truth:ParzenTruth",
    "noise_mixture": "dgmbench.controls.likelihoods.noise_mixture:NoiseMixture",
    "pixel_shift": "dgmbench.controls.copies.pixel_shift:PixelShift",
    "lookup_table": "dgmbench.controls.likelihoods.lookup_table:LookupTable",
    "planted_copies": "dgmbench.controls.copies.planted_copies:PlantedCopies",
    "gan_theory": "dgmbench.controls.gans.theory:GANTheory",
    "overfit_underfit": "dgmbench.controls.copies.overfit_underfit:OverfitUnderfit",
    "gan_instability": "dgmbench.controls.gans.instability:GANInstability",
    "gan_ring": "dgmbench.controls.gans.ring:GANRing",
    "gradient_variance": "dgmbench.controls.gradients.variance:GradientVariance",
}


def control_module(name: str) -> str:
    """Dotted name of the module that defines control `name`.

    Raises:
        SettingsError: for a control that is not registered, with the nearest one that is.
    """
    if name not in CONTROLS:
        raise SettingsError(f"unknown control '{name}': {suggest(name, CONTROLS)}")
    return CONTROLS[name].partition(":")[0]


def control_class(name: str) -> type[Control[Any]]:
    """The class of control `name`."""
    module = importlib.import_module(control_module(name))
    return getattr(module, CONTROLS[name].partition(":")[2])
