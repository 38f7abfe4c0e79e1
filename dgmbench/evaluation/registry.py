"""Every measure by name, in the order of evaluation. To add one: a file, and a line below."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dgmbench.evaluation.measure import Measure

# Strings, not imports: each measure's result depends on its own module and what that imports.
MEASURES: dict[str, str] = {
    "exact": "dgmbench.evaluation.likelihood.exact",
    "per_token": "dgmbench.evaluation.likelihood.sentences",
    "bounds": "dgmbench.evaluation.likelihood.bounds",
    "annealed": "dgmbench.evaluation.likelihood.annealed",
    "parzen": "dgmbench.evaluation.likelihood.parzen_windows",
    "domain_fid": "dgmbench.evaluation.quality.in_features",
    "domain_kid": "dgmbench.evaluation.quality.in_features",
    "domain_fidelity": "dgmbench.evaluation.quality.in_features",
    "class_histogram": "dgmbench.evaluation.quality.class_shares",
    "coverage_of_classes": "dgmbench.evaluation.quality.class_coverage",
    "conditional_accuracy": "dgmbench.evaluation.quality.conditional",
    "samples_by_class": "dgmbench.evaluation.quality.conditional",
    "inception_fid": "dgmbench.evaluation.quality.in_features",
    "inception_kid": "dgmbench.evaluation.quality.in_features",
    "inception_fidelity": "dgmbench.evaluation.quality.in_features",
    "memorisation": "dgmbench.evaluation.copies.memorisation",
    "memorisation_domain": "dgmbench.evaluation.copies.memorisation",
    "diversity": "dgmbench.evaluation.quality.in_features",
    "sharpness": "dgmbench.evaluation.quality.sharpness",
    "classification": "dgmbench.evaluation.task.classification",
    "probes": "dgmbench.evaluation.spaces.linear_probe",
    "knn_probes": "dgmbench.evaluation.spaces.knn_probe",
    "svm_probes": "dgmbench.evaluation.spaces.svm_probe",
    "latents": "dgmbench.evaluation.spaces.latents",
    "mean_pictures": "dgmbench.evaluation.pictures.mean_pictures",
    "pictures": "dgmbench.evaluation.pictures.latent_pictures",
    "generator_pictures": "dgmbench.evaluation.pictures.generator_pictures",
    "completions": "dgmbench.evaluation.pictures.completions",
    "style_pictures": "dgmbench.evaluation.pictures.conditional_pictures",
    "saturation": "dgmbench.evaluation.quality.saturation",
    "costs": "dgmbench.evaluation.costs",
}


def all_measures() -> list[Measure]:
    """Every measure, loaded."""
    return [getattr(importlib.import_module(module), name) for name, module in MEASURES.items()]
