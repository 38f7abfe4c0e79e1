"""A rank of a training that two processes share: `python two_ranks.py RANK WORLD FOLDER`."""

import sys
from pathlib import Path

import torch

from dgmbench.data.schema import image_schema
from dgmbench.models.autoencoders.autoencoder import AutoEncoder, AutoEncoderSettings
from dgmbench.training.examples import Examples
from dgmbench.training.outcome import How
from dgmbench.training.ranks import Ranks
from dgmbench.training.seeding import initialising
from dgmbench.training.trainer import Trainer


def main() -> None:
    """Train an auto-encoder of two-level images, which draws no noise; leave its weights."""
    rank, world, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    if world > 1:
        rendezvous = f"file://{folder / 'rendezvous'}"
        torch.distributed.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=world)
    settings = AutoEncoderSettings.model_validate(
        {
            "family": "autoencoder",
            "view": "binary",
            "latent_dim": 2,
            "hidden": [5],
            "sampler": "gaussian",
            "mixture_components": [1],
            "training": {"epochs": 3, "batch_size": 8, "learning_rate": 0.01, "select": "last"},
        }
    )
    with initialising("ranks"):
        model = AutoEncoder(settings, image_schema((1, 3, 3), 2))
    images = torch.randint(2, (32, 1, 3, 3), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    how = How(torch.device("cpu"), quiet=True, ranks=Ranks(rank, world))
    trainer = Trainer(model, Examples.of_images(images, images[:8], 0), settings.training, 0, how)
    outcome = trainer.run()
    assert outcome.status == "completed", outcome.reason
    weights = {name: value for name, value in model.state_dict().items() if "coder" in name or "head" in name}
    torch.save(weights, folder / f"weights-{rank}-of-{world}.pt")


if __name__ == "__main__":
    main()
