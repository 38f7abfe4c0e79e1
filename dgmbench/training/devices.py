"""Choosing a device and a precision."""

from __future__ import annotations

import os
import platform
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch

from dgmbench.errors import SettingsError
from dgmbench.settings import TrainingSettings


def set_up(settings: TrainingSettings) -> torch.device:
    """Apply a stage's process-wide settings (CPU threads, exact float32) and return its device."""
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    exact_float32()
    return choose_device(settings.device)


def exact_float32() -> None:
    """Keep float32 products of a GPU in float32.

    cuDNN rounds the factors of convolutions to TF32's 10 bits by default, and likelihoods that are
    called exact would be so to three digits.
    """
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def processes(settings: TrainingSettings, device: torch.device) -> int:
    """How many seeds run at once: those of the settings on a CPU, one on a GPU."""
    return settings.processes if device.type == "cpu" else 1


def choose_device(name: str, option: str = "training.device") -> torch.device:
    """The device of a setting; ``auto`` takes a CUDA GPU if there is one, else the CPU.

    option: what the setting is called in errors.

    Apple's GPUs are left out: they have no float64, which sums and closed forms here are made in.

    Raises:
        SettingsError: for another name than auto, cpu, cuda or cuda:N, or a GPU that this machine lacks.
    """
    try:
        TrainingSettings(device=name)
    except ValueError:
        raise SettingsError(f"{option} is '{name}'. Valid: auto, cpu, cuda, cuda:N") from None
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    gpus = torch.cuda.device_count()
    if name != "cpu" and int(name.partition(":")[2] or 0) >= gpus:
        have = f"{gpus} CUDA GPU(s)" if gpus else "no CUDA GPU"
        raise SettingsError(f"{option} is '{name}', but this machine has {have}; 'auto' takes what there is")
    return torch.device(name)


def device_name(device: torch.device) -> str:
    """``cpu``, or the GPU's product name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def machine_name() -> str:
    """This machine's processor, cores and instruction set: ``AMD EPYC (2 cores, AVX512)``."""
    return f"{_processor()} ({os.cpu_count()} cores, {torch.backends.cpu.get_cpu_capability()})"


def _processor() -> str:
    """As Linux names it; elsewhere by what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(names), platform.processor() or platform.machine())


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """The context of a training step in `precision`; parameters stay in float32 either way."""
    if precision == "bfloat16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


def synchronize(device: torch.device) -> None:
    """Wait for queued GPU work, so that a clock read afterwards means something."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
