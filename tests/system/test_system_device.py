"""Choice of devices and precisions by name."""

from __future__ import annotations

import os
from threading import Event, Thread
from time import sleep

import pytest
import torch

from inrcodec.errors import UsageError
from inrcodec.system.device import (
    autocast,
    choose_device,
    compute_dtype,
    describe_device,
    repeatable_convolutions,
)

CPU = torch.device("cpu")


def test_devices_by_name() -> None:
    assert choose_device("cpu") == CPU
    assert choose_device("auto").type in ("cpu", "cuda", "mps")
    assert describe_device(CPU).startswith("cpu (")


@pytest.mark.parametrize(
    ("bfloat16", "amx", "words"),
    [(False, False, "float32"), (True, False, "bfloat16 by AVX-512"), (True, True, "bfloat16 by AMX")],
)
def test_a_cpu_is_described_by_its_fastest_products(
    monkeypatch: pytest.MonkeyPatch, bfloat16: bool, amx: bool, words: str
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bfloat16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert describe_device(CPU).endswith(f", x86_64, {words})")


@pytest.mark.parametrize("name", ["", "gpu", "cuda:99", "cpu:x", "meta", "xpu"])
def test_devices_that_are_not_there(name: str) -> None:
    with pytest.raises(UsageError):
        choose_device(name)


def test_precisions() -> None:
    assert compute_dtype("float32", CPU) == torch.float32
    assert compute_dtype("bfloat16", CPU) == torch.bfloat16
    assert compute_dtype("auto", CPU) in (torch.float32, torch.bfloat16)
    for name in ("float16", "", "BFLOAT16"):
        with pytest.raises(UsageError, match="precision"):
            compute_dtype(name, CPU)


def test_convolutions_run_in_the_chosen_precision() -> None:
    weight, frame = torch.ones(3, 3, 1, 1), torch.ones(1, 3, 4, 4)
    for dtype in (torch.float32, torch.bfloat16):
        with autocast(CPU, dtype):
            assert torch.nn.functional.conv2d(frame, weight).dtype == dtype
    assert weight.dtype == torch.float32


def test_threads_leave_the_flags_of_cudnn_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    first, second = repeatable_convolutions(), repeatable_convolutions()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert torch.backends.cudnn.deterministic
    second.__exit__(None, None, None)
    assert not torch.backends.cudnn.deterministic
    with pytest.raises(KeyError), repeatable_convolutions():
        raise KeyError
    assert not torch.backends.cudnn.deterministic


def test_many_threads_have_repeatable_convolutions_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    seen: set[tuple[bool, bool]] = set()

    def convolve() -> None:
        for _ in range(100):
            with repeatable_convolutions():
                seen.add((torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark))
                sleep(0)  # Lets another thread run.

    threads = [Thread(target=convolve) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {(True, False)}
    assert (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark) == (False, True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_process_starts_with_the_flags_of_cudnn_as_they_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A thread that needs them does not exist there, so it would never restore them."""
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    is_inside, may_leave = Event(), Event()

    def convolve() -> None:
        with repeatable_convolutions():
            is_inside.set()
            may_leave.wait(60)

    thread = Thread(target=convolve)
    thread.start()
    assert is_inside.wait(60)
    child = os.fork()
    if child == 0:
        seen = [torch.backends.cudnn.deterministic]
        with repeatable_convolutions():
            seen.append(torch.backends.cudnn.deterministic)
        seen.append(torch.backends.cudnn.deterministic)
        os._exit(int(seen != [False, True, False]))
    _, status = os.waitpid(child, 0)
    assert torch.backends.cudnn.deterministic
    may_leave.set()
    thread.join()
    assert os.waitstatus_to_exitcode(status) == 0
    assert not torch.backends.cudnn.deterministic
