"""One training loop for every model: it owns time, devices, precision, checkpoints and the learning curve.

The model owns its objective (`step`). Everything random comes from three generators whose states are in the
checkpoint, so that an interrupted run goes on to the same numbers, bit for bit on a CPU.
"""

from __future__ import annotations

import math
import sys
import time
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from dgmbench.models.base import Model
from dgmbench.models.hooks import EncodesOnce, Finishes, NoticesCollapse
from dgmbench.settings.budget import TrainingBudget
from dgmbench.training.checkpoints import latest_checkpoint, save_checkpoint
from dgmbench.training.devices import autocast, synchronize
from dgmbench.training.examples import Examples
from dgmbench.training.interrupt import Interrupt, interrupt_between_steps
from dgmbench.training.optimisers import optimiser_of, set_rate
from dgmbench.training.outcome import How, Outcome, curves
from dgmbench.training.progress import Progress
from dgmbench.training.progress_bar import bar
from dgmbench.training.schedules import rate_factor
from dgmbench.training.seeding import generator_for
from dgmbench.training.stages import encoded, stage_at
from dgmbench.training.starting import labelled_cycle, start
from dgmbench.training.validation import validation_means


class Trainer:
    """Trains one model once; `run` is the whole of it."""

    def __init__(self, model: Model, examples: Examples, budget: TrainingBudget, seed: int, how: How) -> None:
        self.model = model.to(how.device)
        self.examples, self.budget, self.seed, self.how = examples, budget, seed, how
        start(model, examples, seed, how.device)
        self.cycle = labelled_cycle(examples, seed)
        # The examples, or what a later stage takes for them.
        self.seen = examples
        self.stage = stage_at(model, 0, budget.epochs)
        self.batches = math.ceil(len(examples.train) / budget.batch_size)
        self.total_steps = budget.epochs * self.batches
        self.optimisers = {
            phase: optimiser_of(model.phase_parameters(phase), budget, how.device) for phase in model.phases
        }
        self.module = how.ranks.wrap(self.model)
        self.progress = Progress(seed, how.device, how.ranks.stream())
        self.valid = examples.validation(model.view)
        self.saved_at = self.started = time.monotonic()
        self.interrupt = Interrupt()

    def run(self) -> Outcome:
        """Train to the end of the budget or until it fails, and keep the selected parameters.

        It fails where a loss is not finite ("diverged") or the model reports a collapse ("collapsed").

        Ctrl-C takes effect after the step in hand: the state is saved, then KeyboardInterrupt is raised.
        """
        self._resume()
        with interrupt_between_steps() as self.interrupt:
            self._epochs()
        return self._finish()

    def _resume(self) -> None:
        if self.how.checkpoint is None:
            return
        state = latest_checkpoint(
            self.how.checkpoint, self.how.fingerprint, lambda text: print(text, file=sys.stderr)
        )
        if state is None:
            return
        self.model.load_state_dict(state["model"])
        for phase, optimiser in self.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][phase])
        self.progress.restore(state["progress"])
        print(
            f"{self.how.label}: going on from step {self.progress.step} of {self.total_steps}",
            file=sys.stderr,
        )

    def _save(self) -> None:
        self._clock()
        if self.how.checkpoint is None:
            return
        optimisers = {phase: optimiser.state_dict() for phase, optimiser in self.optimisers.items()}
        state = {
            "fingerprint": self.how.fingerprint,
            "model": self.model.state_dict(),
            "optimisers": optimisers,
        }
        save_checkpoint(self.how.checkpoint, state | {"progress": self.progress.state()})

    def _clock(self) -> None:
        now = time.monotonic()
        self.progress.seconds += now - self.started
        self.started = self.saved_at = now

    def _epochs(self) -> None:
        with bar(self.total_steps, self.how.label, self.progress.step, quiet=self.how.quiet) as shown:
            while self.progress.status == "running" and self.progress.epoch < self.budget.epochs:
                self._epoch(shown)

    def _epoch(self, shown: tqdm[Any]) -> None:
        run = self.progress
        self._enter_stage()
        if run.batch == 0:
            run.permutation = torch.randperm(len(self.examples.train), generator=run.order)
            run.sums, run.counts = {}, {}
        order = run.permutation.to(self.how.device)
        totals = {
            name: torch.tensor(value, dtype=torch.float64, device=self.how.device)
            for name, value in run.sums.items()
        }
        size = self.budget.batch_size
        while run.batch < self.batches:
            chosen = self.how.ranks.share(order[run.batch * size : (run.batch + 1) * size])
            for name, value in self._step(chosen).items():
                totals[name] = totals.get(name, 0.0) + value.detach().double() * len(chosen)
                run.counts[name] = run.counts.get(name, 0) + len(chosen)
            run.batch += 1
            run.step += 1
            shown.update()
            due = time.monotonic() - self.saved_at > self.how.checkpoint_seconds
            if self.interrupt.asked or (due and run.batch < self.batches):
                run.sums = {name: float(value) for name, value in totals.items()}
                self._save()
            if self.interrupt.asked:
                self._stop()
        self._end_epoch({name: float(value) / run.counts[name] for name, value in totals.items()}, shown)

    def _enter_stage(self) -> None:
        """Take the stage of the epoch in hand; the last stage of a model that encodes once is on codes."""
        run, model = self.progress, self.model
        self.stage = stage_at(model, run.epoch, self.budget.epochs)
        if not isinstance(model, EncodesOnce) or not self.stage.last or self.seen is not self.examples:
            return
        self.seen = encoded(model, self.model.view, self.examples)
        if run.epoch == self.stage.first and run.batch == 0:
            model.end_first_stage(self.seen.train.raw)

    def _step(self, chosen: Tensor) -> dict[str, Tensor]:
        """One move of each phase whose turn it is; returns named losses, prefixed if there are several."""
        self.model.train()
        batch = self.seen.batch(self.model.view, self.progress.noise, chosen, self._labelled())
        named: dict[str, Tensor] = {}
        for phase in self.model.phases_at(self.progress.step):
            optimiser = self.optimisers[phase]
            self._set_learning_rate(optimiser, self.model.rate_of(phase))
            optimiser.zero_grad(set_to_none=True)
            with autocast(self.how.device, self.how.precision):
                losses = self.module(batch, phase, self.progress.noise)
            losses["loss"].backward()
            if self.budget.gradient_clip:
                torch.nn.utils.clip_grad_norm_(self.model.phase_parameters(phase), self.budget.gradient_clip)
            optimiser.step()
            with torch.no_grad():
                self.model.after_step(phase)
            prefix = f"{phase}_" if len(self.optimisers) > 1 else ""
            named |= {prefix + name: value for name, value in losses.items()}
        return named

    def _labelled(self) -> Tensor | None:
        """Which labelled examples this rank sees in this step; None where they are no part of their own."""
        return None if self.cycle is None else self.how.ranks.share(self.cycle.rows(self.progress.step))

    def _set_learning_rate(self, optimiser: torch.optim.Optimizer, factor: float = 1.0) -> None:
        run, batches = self.progress, self.batches
        done, steps = run.step - self.stage.first * batches, self.stage.epochs * batches
        rate = self.budget.learning_rate * factor
        set_rate(optimiser, rate * rate_factor(self.budget.schedule, done, steps, run.epoch))

    def _end_epoch(self, means: dict[str, float], shown: tqdm[Any]) -> None:
        run = self.progress
        run.epoch, run.batch = run.epoch + 1, 0
        run.history += [(run.step, run.epoch, "train", name, value) for name, value in means.items()]
        bad = [name for name, value in means.items() if not math.isfinite(value)]
        if run.epoch % self.budget.validate_every == 0 or run.epoch == self.budget.epochs:
            held_out = self._validate()
            run.history += [(run.step, run.epoch, "valid", name, value) for name, value in held_out.items()]
            bad += [name for name, value in held_out.items() if not math.isfinite(value)]
            self._select(held_out)
            shown.set_postfix({name: f"{value:.3f}" for name, value in held_out.items()}, refresh=False)
        if bad:
            run.status, run.reason = "diverged", f"{bad[0]} was not finite in epoch {run.epoch}"
        elif isinstance(self.model, NoticesCollapse):
            reason = self.model.collapse(curves(run.history))
            if reason is not None:
                run.status, run.reason = "collapsed", f"{reason} in epoch {run.epoch}"
        if self.interrupt.asked or time.monotonic() - self.saved_at > self.how.checkpoint_seconds:
            self._save()
        if self.interrupt.asked:
            self._stop()
        if self.how.watch is not None and run.status == "running":
            self.how.watch(run.epoch, self.model, run.best_loss)

    def _stop(self) -> None:
        raise KeyboardInterrupt(
            f"{self.how.label}: stopped at step {self.progress.step} of {self.total_steps}"
        )

    def _validate(self) -> dict[str, float]:
        """Losses of the validation examples, means over them, with the same noise at every look."""
        noise = generator_for("validate", self.examples.data_seed, device=self.how.device)
        return validation_means(self.model, self.valid, noise, self.budget.batch_size)

    def _select(self, held_out: dict[str, float]) -> None:
        key = self.model.selection_loss
        if (
            self.budget.select == "last"
            or not self.stage.last
            or key is None
            or not held_out[key] < self.progress.best_loss
        ):
            return
        self.progress.best_loss, self.progress.best_step = held_out[key], self.progress.step
        self.progress.best = {name: value.detach().clone() for name, value in self.model.state_dict().items()}

    def _finish(self) -> Outcome:
        run = self.progress
        synchronize(self.how.device)
        if run.status == "running":
            run.status = "completed"
        self._save()
        if run.best is not None:
            self.model.load_state_dict(run.best)
        selected = run.best_step if run.best is not None else run.step
        self.model.eval()
        if run.status == "completed" and isinstance(self.model, Finishes):
            self._fit_after_training(self.model)
        return Outcome(run.status, run.reason or None, run.step, selected, run.seconds, run.history)

    def _fit_after_training(self, model: Finishes) -> None:
        """What the model fits to the images once its parameters stand; of no checkpoint, and repeatable."""
        run, noise = self.progress, generator_for("finish", self.seed, device=self.how.device)
        train = self.examples.whole(self.model.view, noise)
        named = model.finish(train, self.valid, noise)
        run.history += [(run.step, run.epoch, "valid", name, value) for name, value in named.items()]
        bad = [name for name, value in named.items() if not math.isfinite(value)]
        if bad:
            run.status, run.reason = "diverged", f"{bad[0]} was not finite after training"
        synchronize(self.how.device)
        self._clock()
