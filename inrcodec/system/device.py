"""The device of tensors and the precision of convolutions."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock

import torch

from inrcodec.errors import UsageError

PRECISIONS = ("auto", "float32", "bfloat16")


def choose_device(name: str) -> torch.device:
    """The device called `auto`, `cpu`, `cuda`, `cuda:N` or `mps`; raises `UsageError` if there is none."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"unknown device {name!r}; expected auto, cpu, cuda, cuda:N or mps") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"no device {name}: this machine has {torch.cuda.device_count()} CUDA devices")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError("no device mps on this machine")
    if device.type not in ("cpu", "cuda", "mps"):
        raise UsageError(f"unsupported device {name!r}; expected auto, cpu, cuda, cuda:N or mps")
    if device.type == "cuda" and device.index is None:
        # Another thread may have another current device.
        return torch.device("cuda", torch.cuda.current_device())
    return device


def worker_devices(name: str) -> tuple[torch.device, ...]:
    """The devices that workers use in turn: every GPU for `cuda`, and for `auto` where it chooses CUDA.

    Any other name is that of one device. The current GPU comes first. Raises as `choose_device`.
    """
    first = choose_device(name)
    if first.type != "cuda" or (name != "auto" and torch.device(name).index is not None):
        return (first,)
    others = (torch.device("cuda", index) for index in range(torch.cuda.device_count()))
    return (first, *(one for one in others if one != first))


def describe_device(device: torch.device) -> str:
    """A description of the device for display."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    if device.type == "cpu":
        threads = torch.get_num_threads()
        return f"cpu ({threads} thread{'s' * (threads != 1)}, {platform.machine()}, {_products()})"
    return str(device)


def _products() -> str:
    """A description of the type and unit that compute convolutions on this CPU."""
    if compute_dtype("auto", torch.device("cpu")) is torch.float32:
        return "float32"
    is_x86 = platform.machine() in ("x86_64", "AMD64")
    units = "AMX" if is_x86 and torch.cpu._is_amx_tile_supported() else "AVX-512" if is_x86 else "Arm"
    return f"bfloat16 by {units}"


def compute_dtype(precision: str, device: torch.device, bit_depth: int = 8) -> torch.dtype:
    """The type of convolutions; `auto` is bfloat16 where the device multiplies it natively, else float32.

    It is float32 for frames of more than 8 bits, whose levels bfloat16 does not tell apart. Raises
    `UsageError` for a name that is not in `PRECISIONS`.
    """
    if precision not in PRECISIONS:
        raise UsageError(f"unknown precision {precision!r}; expected {', '.join(PRECISIONS)}")
    if precision == "float32":
        return torch.float32
    if precision == "bfloat16":
        return torch.bfloat16
    return torch.bfloat16 if bit_depth == 8 and _multiplies_bfloat16(device) else torch.float32


def _multiplies_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions for bfloat16 products; emulation is slower than float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu" and platform.machine() in ("x86_64", "AMD64"):
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    if device.type == "cpu":
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return False


def autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """A context in which convolutions run in `dtype`; master weights and losses stay float32 outside it."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16)


class _Flags:
    """The flags of cuDNN as they were, and the number of contexts that need them otherwise."""

    def __init__(self) -> None:
        self.before = ExitStack()
        self.users = 0


_lock = Lock()
_flags = _Flags()


@contextmanager
def repeatable_convolutions() -> Iterator[None]:
    """A context in which cuDNN uses the same algorithms in every run, and float32 is not reduced to TF32.

    All threads share the flags of cuDNN: the first to enter sets them, and the last to leave restores them.
    """
    with _lock:
        flags = _flags
        if flags.users == 0:
            flags.before.enter_context(
                torch.backends.cudnn.flags(
                    enabled=True, benchmark=False, deterministic=True, allow_tf32=False
                )
            )
        flags.users += 1
    try:
        yield
    finally:
        with _lock:
            flags.users -= 1
            if flags.users == 0:
                flags.before.close()


def _after_fork() -> None:
    """Forget threads that the forked process does not have: one may hold the lock, or need the flags."""
    global _lock, _flags
    _lock = Lock()
    _flags.before.close()
    _flags = _Flags()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
