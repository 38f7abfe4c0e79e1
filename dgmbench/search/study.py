"""The trials of one entry: a study of Optuna in SQLite, which an interrupted search takes up again.

Three steps, the same for every entry:

1. `trials` settings are tried from one seed: the committed ones, then draws of the tree-structured Parzen
   estimator (Bergstra et al. 2011). A trial whose loss is above the median of earlier ones at a rung is
   stopped; FID is not: a GAN's on the way says little of its last.
2. The best of them, and the committed ones, are trained from further seeds. The least mean over these is
   chosen; the first seed does not count, since it was lucky for what it selected.
3. What was chosen is trained for longer, once for each seed of step 2.
"""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from dgmbench.errors import SettingsError
from dgmbench.models.base import ModelSettings
from dgmbench.provenance import git_commit
from dgmbench.search.objective import Ground, Scored, candidate, score
from dgmbench.search.rows import Row, chosen_key, key_of
from dgmbench.search.settings import Entry, SearchSettings
from dgmbench.search.space import value_at, with_settings
from dgmbench.training.seeding import derive_seed

optuna.logging.set_verbosity(optuna.logging.WARNING)

STEPS = ("trial", "confirm", "longer")
DONE = (TrialState.COMPLETE, TrialState.PRUNED)


class EntrySearch:
    """The search of one entry; each step does what is left of it.

    Args:
        block: the entry's settings in the pipeline.
        folder: of the SQLite file; None keeps the trials in memory.
    """

    def __init__(
        self, search: SearchSettings, name: str, block: dict[str, Any], ground: Ground, folder: Path | None
    ) -> None:
        self.search, self.name, self.block, self.ground = search, name, block, ground
        self.entry: Entry = search.entries[name]
        self.commit = git_commit()  # read once: the checkout may move on while trainings run
        storage = _storage(folder, name)
        self.studies = {step: self._open(step, storage) for step in STEPS}
        self.distributions = {key: dim.distribution() for key, dim in self.entry.space.items()}

    def choose(self) -> None:
        """Steps 1 and 2: try, confirm."""
        self._trials()
        for settings in self._to_confirm():
            for seed in self.search.confirming_seeds:
                self._once("confirm", settings, seed, self.entry.epochs)

    def train_longer(self) -> None:
        """Step 3; a closed form has no length."""
        if self.entry.epochs is not None:
            for seed in self.search.confirming_seeds:
                self._once("longer", self.chosen(), seed, self.entry.epochs * self.search.longer)

    def chosen(self) -> dict[str, Any]:
        """The settings of `chosen_key`, as Optuna stores them."""
        best = chosen_key(self.rows())
        confirmed = (trial.params for trial in self._complete("confirm"))
        return next(stored for stored in confirmed if key_of(self.decoded(stored)) == best)

    def decoded(self, stored: dict[str, Any]) -> dict[str, Any]:
        """Settings by dotted key, from what Optuna stores."""
        return {key: self.entry.space[key].decode(value) for key, value in stored.items()}

    def rows(self) -> list[Row]:
        """Every finished training, in order."""
        return [self._row(step, trial) for step in STEPS for trial in self._finished(step)]

    def _trials(self) -> None:
        study = self.studies["trial"]
        for left in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            study.tell(left.number, state=TrialState.FAIL)
        wanted = self.search.trials if self.entry.space else 1
        if not study.get_trials(deepcopy=False):
            study.enqueue_trial(self._encoded(candidate(self.block, None)))
        while len(self._finished("trial")) < wanted:
            # The sampler is seeded by what is done, so that an interrupted search draws what it would have.
            done = len(self._finished("trial"))
            study.sampler = self._sampler(done)
            trial = study.ask(self.distributions)
            self._try(study, trial)

    def _try(self, study: optuna.Study, trial: optuna.Trial) -> None:
        def report(rung: int, value: float) -> None:
            trial.report(value, rung)
            if trial.should_prune():
                raise optuna.TrialPruned

        seed, epochs = self.search.trial_seed, self.entry.epochs
        started = time.process_time()
        try:
            stops = (report,) if self.entry.objective != "fid_domain" else ()
            scored = self._score(trial.params, seed, epochs, *stops)
        except optuna.TrialPruned:
            stopped = Scored(math.inf, "stopped", time.process_time() - started, None)
            trial.set_user_attr("scored", self._attributes(stopped, seed, epochs))
            study.tell(trial, state=TrialState.PRUNED)
        else:
            trial.set_user_attr("scored", self._attributes(scored, seed, epochs))
            study.tell(trial, scored.value)
        self._say("trial", self._finished("trial")[-1])

    def _once(self, step: str, settings: dict[str, Any], seed: int, epochs: int | None) -> None:
        """A training outside the sampler's trials, unless it is there already."""
        there = {(key_of(t.params), t.user_attrs["scored"]["seed"]) for t in self._complete(step)}
        if (key_of(settings), seed) in there:
            return
        scored = self._score(settings, seed, epochs)
        study = self.studies[step]
        study.add_trial(
            optuna.trial.create_trial(
                params=settings,
                distributions=self.distributions,
                value=scored.value,
                user_attrs={"scored": self._attributes(scored, seed, epochs)},
            )
        )
        self._say(step, self._finished(step)[-1])

    def _score(self, stored: dict[str, Any], seed: int, epochs: int | None, *report: Any) -> Scored:
        return score(self.ground, self._settings(stored, epochs), seed, *report)

    def _settings(self, stored: dict[str, Any], epochs: int | None) -> ModelSettings:
        return candidate(with_settings(self.block, self.decoded(stored)), epochs)

    def _to_confirm(self) -> list[dict[str, Any]]:
        """The best trials, and the committed settings."""
        complete = sorted(self._complete("trial"), key=lambda trial: trial.value or 0.0)
        if not complete:
            raise SettingsError(f"search of {self.name}: no trial was trained to its end")
        best = complete[: self.search.confirmed]
        committed = [trial for trial in complete if trial.number == 0]
        distinct = {key_of(trial.params): trial.params for trial in [*best, *committed]}
        return list(distinct.values())

    def _encoded(self, settings: ModelSettings) -> dict[str, Any]:
        full = settings.model_dump(mode="json")
        return {key: dim.encode(value_at(full, key)) for key, dim in self.entry.space.items()}

    def _open(self, step: str, storage: optuna.storages.BaseStorage) -> optuna.Study:
        return optuna.create_study(
            storage=storage,
            study_name=step,
            direction="minimize",
            load_if_exists=True,
            sampler=self._sampler(0),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=0),
        )

    def _sampler(self, done: int) -> optuna.samplers.TPESampler:
        seed = derive_seed("search", self.name, done) % 2**32
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=self.search.startup, multivariate=True)

    def _finished(self, step: str) -> list[FrozenTrial]:
        return self.studies[step].get_trials(deepcopy=False, states=DONE)

    def _complete(self, step: str) -> list[FrozenTrial]:
        return [trial for trial in self._finished(step) if trial.state == TrialState.COMPLETE]

    def _row(self, step: str, trial: FrozenTrial) -> Row:
        return Row(
            entry=self.name,
            step=step,
            number=trial.number,
            settings=self.decoded(trial.params),
            value=trial.value if trial.state == TrialState.COMPLETE else None,
            rungs=dict(trial.intermediate_values),
            committed=key_of(trial.params) == key_of(self._finished("trial")[0].params),
            **trial.user_attrs["scored"],
        )

    def _attributes(self, scored: Scored, seed: int, epochs: int | None) -> dict[str, Any]:
        return {
            "seed": seed,
            "epochs": epochs,
            "status": scored.status,
            "best_epoch": scored.best_epoch,
            # To 0.1 ms: a trial on tiny images is over in a few.
            "cpu_seconds": round(scored.cpu_seconds, 4),
            "commit": self.commit,
        }

    def _say(self, step: str, trial: FrozenTrial) -> None:
        row = self._row(step, trial)
        value = "stopped" if row.value is None else f"{row.value:.4g}"
        keys = ", ".join(f"{key.split('.')[-1]} {value}" for key, value in row.settings.items())
        print(
            f"search {self.name}: {step} {row.number + 1}, seed {row.seed}: {value} ({keys})", file=sys.stderr
        )


def _storage(folder: Path | None, name: str) -> optuna.storages.BaseStorage:
    if folder is None:
        return optuna.storages.InMemoryStorage()
    folder.mkdir(parents=True, exist_ok=True)
    return optuna.storages.RDBStorage(f"sqlite:///{folder.resolve() / f'{name}.db'}")
