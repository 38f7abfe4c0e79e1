"""Every model family by name. To add one: a file in this folder, a line here, a block in a pipeline."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from dgmbench.errors import SettingsError, suggest

if TYPE_CHECKING:
    from dgmbench.models.base import Model

# Strings, not imports: a stage loads, and depends on, only the family that it runs.
FAMILIES: dict[str, str] = {
    "uniform": "dgmbench.models.baselines.uniform:Uniform",
    "independent": "dgmbench.models.baselines.independent:Independent",
    "gaussian": "dgmbench.models.baselines.gaussian:Gaussian",
    "gaussian_mixture": "dgmbench.models.baselines.gaussian_mixture:GaussianMixture",
    "bernoulli_mixture": "dgmbench.models.baselines.bernoulli_mixture:BernoulliMixture",
    "kde": "dgmbench.models.baselines.kde:KDE",
    "ppca": "dgmbench.models.baselines.ppca:PPCA",
    "vae": "dgmbench.models.latent.vae:VAE",
    "iwae": "dgmbench.models.latent.iwae:IWAE",
    "sigmoid_belief": "dgmbench.models.latent.sigmoid_belief:SigmoidBelief",
    "conditional_vae": "dgmbench.models.conditional.conditional_vae:ConditionalVAE",
    "logistic": "dgmbench.models.semisupervised.logistic:Logistic",
    "nearest_neighbour": "dgmbench.models.semisupervised.nearest_neighbour:NearestNeighbour",
    "mlp": "dgmbench.models.semisupervised.mlp:MLPClassifier",
    "m1": "dgmbench.models.semisupervised.m1:M1",
    "m2": "dgmbench.models.semisupervised.m2:M2",
    "m1_m2": "dgmbench.models.semisupervised.m1_m2:M1M2",
    "convnet": "dgmbench.models.semisupervised.convnet:ConvNet",
    "pseudo_label": "dgmbench.models.semisupervised.pseudo_label:PseudoLabel",
    "gan": "dgmbench.models.adversarial.gan:GAN",
    "dcgan": "dgmbench.models.adversarial.dcgan:DCGAN",
    "autoencoder": "dgmbench.models.autoencoders.autoencoder:AutoEncoder",
    "pixelcnn": "dgmbench.models.autoregressive.pixelcnn:PixelCNN",
    "gated_pixelcnn": "dgmbench.models.autoregressive.gated_pixelcnn:GatedPixelCNN",
    "row_lstm": "dgmbench.models.autoregressive.row_lstm:RowLSTM",
    "diagonal_bilstm": "dgmbench.models.autoregressive.diagonal_bilstm:DiagonalBiLSTM",
    "token_unigram": "dgmbench.models.sequence.token_unigram:TokenUnigram",
    "lstm_lm": "dgmbench.models.sequence.lstm_language_model:LstmLanguageModel",
}


def family_module(family: str) -> str:
    """Dotted name of the module that defines `family`.

    Raises:
        SettingsError: for a family that is not registered, with the nearest one that is.
    """
    if family not in FAMILIES:
        raise SettingsError(f"unknown model family '{family}': {suggest(family, FAMILIES)}")
    return FAMILIES[family].partition(":")[0]


def family_class(family: str) -> type[Model]:
    """The model class of `family`."""
    module = importlib.import_module(family_module(family))
    return getattr(module, FAMILIES[family].partition(":")[2])
