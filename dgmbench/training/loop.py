"""One training loop for every model: it owns time, devices, precision, checkpoints and the learning curve.

The model owns its objective (`step`). Everything random comes from three generators whose states are in the
checkpoint, so that an interrupted run goes on to the same numbers, bit for bit on a CPU.
"""

from __future__ import annotations

import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from dgmbench.data.views import batch as view_batch
from dgmbench.models.base import (
    ClosedForm,
    Finishes,
    GenerativeModel,
    NoticesCollapse,
    TrainingBudget,
    UsesTrainingMean,
)
from dgmbench.training.checkpoints import latest_checkpoint, save_checkpoint
from dgmbench.training.devices import autocast, synchronize
from dgmbench.training.parallel import slot
from dgmbench.training.seeding import derive_seed, generator_for

HISTORY_COLUMNS = ("step", "epoch", "split", "name", "value")
Row = tuple[int, int, str, str, float]


@dataclass(frozen=True)
class Images:
    """Discrete images of a data set on the training device: uint8 ``[n, C, H, W]``, levels 0..L-1."""

    train: Tensor
    valid: Tensor
    valid_binary: Tensor | None
    levels: int
    data_seed: int

    def validation_view(self, model: GenerativeModel) -> Tensor:
        """Validation images in the model's domain, by the fixed binarisation or a fixed dequantisation."""
        if model.domain == "binary" and self.valid_binary is not None:
            return self.valid_binary.float()
        noise = generator_for("dequantise", "valid", self.data_seed, device=self.valid.device)
        return view_batch(self.valid, self.levels, model.domain, noise)


@dataclass(frozen=True)
class How:
    """How a run is executed, as opposed to what is trained.

    `watch` is called after each epoch with its number, the model and the best validation loss so far
    (infinite where no loss ranks epochs). What it raises ends the training. quiet: no progress bar.
    """

    device: torch.device
    precision: str = "float32"
    checkpoint: Path | None = None
    checkpoint_seconds: float = 30.0
    fingerprint: str = ""
    label: str = "training"
    watch: Callable[[int, GenerativeModel, float], None] | None = None
    quiet: bool = False


@dataclass
class Outcome:
    """What a training gave; the model itself holds the kept parameters.

    `status` is "completed", "diverged" or "collapsed", `reason` why it is one of the latter.
    """

    status: str
    reason: str | None
    steps: int
    selected_step: int
    seconds: float
    history: list[Row] = field(default_factory=list)


class _Progress:
    """Where a run stands: all that a checkpoint must hold besides parameters and optimisers."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self.order = generator_for("order", seed)
        self.noise = generator_for("noise", seed, device=device)
        self.step = self.epoch = self.batch = 0
        self.permutation = torch.empty(0, dtype=torch.int64)
        self.sums: dict[str, float] = {}
        self.counts: dict[str, int] = {}
        self.history: list[Row] = []
        self.best_loss, self.best_step = math.inf, 0
        self.best: dict[str, Tensor] | None = None
        self.seconds = 0.0
        self.status, self.reason = "running", ""

    PLAIN = (
        "step",
        "epoch",
        "batch",
        "sums",
        "counts",
        "best_loss",
        "best_step",
        "best",
        "seconds",
        "status",
        "reason",
        "permutation",
    )

    def state(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in self.PLAIN}
        history = [list(row) for row in self.history]
        return plain | {"order": self.order.get_state(), "noise": self.noise.get_state(), "history": history}

    def restore(self, state: dict[str, Any]) -> None:
        for name in self.PLAIN:
            setattr(self, name, state[name])
        self.order.set_state(state["order"])
        self.noise.set_state(state["noise"])
        self.history = [tuple(row) for row in state["history"]]


class Trainer:
    """Trains one model once; `run` is the whole of it."""

    def __init__(
        self, model: GenerativeModel, images: Images, budget: TrainingBudget, seed: int, how: How
    ) -> None:
        self.model = model.to(how.device)
        self.images, self.budget, self.seed, self.how = images, budget, seed, how
        if isinstance(model, UsesTrainingMean):
            # Before a checkpoint is loaded, which brings its own.
            model.use_training_mean(images.train.float().mean(0) / (images.levels - 1))
        self.batches = math.ceil(len(images.train) / budget.batch_size)
        self.total_steps = budget.epochs * self.batches
        self.optimisers = {phase: self._optimiser(phase) for phase in model.phases}
        self.progress = _Progress(seed, how.device)
        self.valid = images.validation_view(model)
        self.saved_at = self.started = time.monotonic()
        self.interrupt = Interrupt()

    def _optimiser(self, phase: str) -> torch.optim.Optimizer:
        parameters, budget = list(self.model.phase_parameters(phase)), self.budget
        if budget.optimiser == "rmsprop":
            decay, rate = budget.betas[1], budget.learning_rate
            return torch.optim.RMSprop(parameters, rate, alpha=decay, eps=budget.epsilon)
        fused = self.how.device.type in ("cpu", "cuda")
        return torch.optim.Adam(
            parameters, budget.learning_rate, betas=budget.betas, eps=budget.epsilon, fused=fused
        )

    def run(self) -> Outcome:
        """Train to the end of the budget or until it fails, and keep the selected parameters.

        It fails where a loss is not finite ("diverged") or the model tells of a collapse ("collapsed").

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
        if run.batch == 0:
            run.permutation = torch.randperm(len(self.images.train), generator=run.order)
            run.sums, run.counts = {}, {}
        order = run.permutation.to(self.how.device)
        totals = {
            name: torch.tensor(value, dtype=torch.float64, device=self.how.device)
            for name, value in run.sums.items()
        }
        size = self.budget.batch_size
        while run.batch < self.batches:
            chosen = order[run.batch * size : (run.batch + 1) * size]
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

    def _step(self, chosen: Tensor) -> dict[str, Tensor]:
        """One move of each phase whose turn it is; returns named losses, prefixed if there are several."""
        self.model.train()
        x = view_batch(self.images.train[chosen], self.images.levels, self.model.domain, self.progress.noise)
        named: dict[str, Tensor] = {}
        for phase in self.model.phases_at(self.progress.step):
            optimiser = self.optimisers[phase]
            self._set_learning_rate(optimiser, self.model.rate_of(phase))
            optimiser.zero_grad(set_to_none=True)
            with autocast(self.how.device, self.how.precision):
                losses = self.model.step(x, phase, self.progress.noise)
            losses["loss"].backward()
            if self.budget.gradient_clip:
                torch.nn.utils.clip_grad_norm_(self.model.phase_parameters(phase), self.budget.gradient_clip)
            optimiser.step()
            with torch.no_grad():
                self.model.after_step(phase)
            prefix = f"{phase}_" if len(self.optimisers) > 1 else ""
            named |= {prefix + name: value for name, value in losses.items()}
        return named

    def _set_learning_rate(self, optimiser: torch.optim.Optimizer, factor: float = 1.0) -> None:
        rate = self.budget.learning_rate * factor
        if self.budget.schedule == "cosine":
            rate *= 0.5 * (1 + math.cos(math.pi * self.progress.step / self.total_steps))
        elif self.budget.schedule == "tripling":
            rate *= 10 ** (-tripling_stage(self.progress.epoch) / 7)
        for group in optimiser.param_groups:
            group["lr"] = rate

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

    @torch.no_grad()
    def _validate(self) -> dict[str, float]:
        """Losses of the validation images, means over them, with the same noise at every look."""
        self.model.eval()
        noise = generator_for("validate", self.images.data_seed, device=self.how.device)
        totals: dict[str, float] = {}
        for x in self.valid.split(max(self.budget.batch_size, 250)):
            for name, value in self.model.validation_losses(x, noise).items():
                totals[name] = totals.get(name, 0.0) + float(value) * len(x)
        return {name: total / len(self.valid) for name, total in totals.items()}

    def _select(self, held_out: dict[str, float]) -> None:
        key = self.model.selection_loss
        if self.budget.select == "last" or key is None or not held_out[key] < self.progress.best_loss:
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
        train = view_batch(self.images.train, self.images.levels, self.model.domain, noise)
        named = model.finish(train, self.valid, noise)
        run.history += [(run.step, run.epoch, "valid", name, value) for name, value in named.items()]
        bad = [name for name, value in named.items() if not math.isfinite(value)]
        if bad:
            run.status, run.reason = "diverged", f"{bad[0]} was not finite after training"
        synchronize(self.how.device)
        self._clock()


def curves(history: Iterable[Row]) -> dict[str, list[float]]:
    """Values in order by ``<split>/<name>``."""
    found: dict[str, list[float]] = {}
    for _, _, split, name, value in history:
        found.setdefault(f"{split}/{name}", []).append(value)
    return found


def tripling_stage(epoch: int) -> int:
    """The stage i of an epoch (from 0) where stage i has 3^i epochs (Burda et al. 2016, section 5)."""
    stage = 0
    while (3 ** (stage + 1) - 1) // 2 <= epoch:
        stage += 1
    return stage


@dataclass
class Interrupt:
    """Whether Ctrl-C was pressed."""

    asked: bool = False


@contextmanager
def interrupt_between_steps() -> Iterator[Interrupt]:
    """Note Ctrl-C instead of raising at once, since a step cut in half could not be resumed exactly.

    A second Ctrl-C raises at once. Outside the main thread, where Python allows no handler, nothing changes.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    before = signal.getsignal(signal.SIGINT)

    def note(number: int, frame: FrameType | None) -> None:
        if interrupt.asked:
            raise KeyboardInterrupt
        interrupt.asked = True

    signal.signal(signal.SIGINT, note)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, before)


def fit_closed_form(model: GenerativeModel, images: Images, seed: int, how: How) -> Outcome:
    """Fit a model that has a closed form; its one curve point is the validation loss."""
    assert isinstance(model, ClosedForm)
    started = time.monotonic()
    model.to(how.device)
    noise = torch.Generator(how.device).manual_seed(derive_seed("noise", seed))
    train = view_batch(images.train, images.levels, model.domain, noise)
    losses = model.fit(train, images.validation_view(model), noise)
    model.eval()
    bad = [name for name, value in losses.items() if not math.isfinite(value)]
    status, reason = ("diverged", f"{bad[0]} was not finite") if bad else ("completed", None)
    history: list[Row] = [(1, 1, "valid", name, value) for name, value in losses.items()]
    return Outcome(status, reason, 1, 1, time.monotonic() - started, history)


def train(model: GenerativeModel, images: Images, budget: TrainingBudget, seed: int, how: How) -> Outcome:
    """Train `model` on `images`, by its closed form if it has one; it then holds the kept parameters."""
    if isinstance(model, ClosedForm):
        return fit_closed_form(model, images, seed, how)
    return Trainer(model, images, budget, seed, how).run()


def bar(total: int, label: str, done: int = 0, unit: str = "step", *, quiet: bool = False) -> tqdm[Any]:
    """A progress bar with the remaining time; on a log file, a line now and then instead."""
    log = not sys.stderr.isatty()
    return tqdm(
        total=total,
        initial=done,
        desc=label,
        unit=unit,
        position=slot(),
        mininterval=20 if log else 0.5,
        miniters=1,
        ascii=log,
        disable=quiet,
    )
