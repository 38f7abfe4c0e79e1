"""A whole search: every entry of a search file, several at once, and what it leaves in its folder."""

from __future__ import annotations

import torch

from dgmbench.data.dataset import load_dataset
from dgmbench.evaluation.features.domain_classifier import load_classifier
from dgmbench.models.registry import family_class
from dgmbench.search.objective import Ground
from dgmbench.search.settings import SearchSettings
from dgmbench.search.study import EntrySearch, Row
from dgmbench.settings import Params, model_settings
from dgmbench.training.examples import examples_by_set
from dgmbench.training.runs import CHECKPOINTS, DATA
from dgmbench.training.workers import for_each


def run_search(search: SearchSettings, params: Params, name: str) -> dict[str, list[Row]]:
    """Search every entry and return its trainings; an interrupted call resumes when called again.

    The trials are kept in `checkpoints/search/<name>/<entry>.db`, a study of Optuna each.
    """
    torch.set_num_threads(1)
    data = load_dataset(search.dataset, DATA)
    folder = CHECKPOINTS / "search" / name

    def searching(name: str) -> EntrySearch:
        entry = search.entries[name]
        scored = entry.objective == "fid_domain"
        classifier = load_classifier(search.dataset, "gray", torch.device("cpu")) if scored else None
        family = family_class(params.models[name]["family"])
        settings = model_settings(params, name)
        examples = examples_by_set(data, params.data.seed, torch.device("cpu"), settings, family.supervision)
        ground = Ground.of(examples, data.schema, entry, search.samples, classifier)
        return EntrySearch(search, name, params.models[name], ground, folder)

    # Closed forms last: they are quick, so that neither process waits long for the other at the end.
    names = sorted(search.entries, key=lambda entry: search.entries[entry].epochs is None)
    for_each(lambda entry: searching(entry).choose(), names, search.processes, f"search {search.dataset}")
    for_each(
        lambda entry: searching(entry).train_longer(), names, search.processes, f"search {search.dataset}"
    )
    return {entry: searching(entry).rows() for entry in search.entries}
