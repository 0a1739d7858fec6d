"""A CUDA device that is not there: tensors say that they are on cuda:0, and the CPU computes their values.

    with simulated_cuda() as device:
        inrcodec.encode(clip, output, EncodeSettings(device="cuda"))
    device.counts.kernels, device.counts.waits

CUDA would refuse an operation on tensors of two devices, a generator of another device and `.numpy()` of a
tensor on the device: so does the simulation. It counts kernels, which are operations other than views, and
whatever makes the host wait, by the line of `inrcodec` that asked for it. With `refuses_waits`, as after
`torch.cuda.set_sync_debug_mode("error")`, a wait raises `Waited`.

A tensor of the device wraps one of the CPU below autograd. In C++ it is on `meta`, for which the autograd
engine needs no driver; Python sees cuda:0. A CUDA graph is a list of operations, whose replays write to the
memory of the capture. The size of memory, streams and speed are not simulated.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, NoReturn
from unittest import mock

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

CUDA = torch.device("cuda:0")

WITHOUT_KERNEL = set(
    "detach alias lift lift_fresh set_ resize_ is_same_size is_pinned stride size sym_size _unsafe_view empty"
    " empty_like empty_strided new_empty new_empty_strided _local_scalar_dense".split()
)
KERNELS = {
    "native_layer_norm_backward": 3,
    "sort": 4,
    "argsort": 4,
    "nonzero": 3,
    "topk": 3,
    "randperm": 3,
    "_foreach_norm": 2,
    "replication_pad2d_backward": 2,
    "grid_sampler_2d_backward": 2,
    "unfold_backward": 2,
}
"""Kernels of operations that launch several, about."""
WAITING = set("nonzero masked_select _unique2 unique_dim unique_consecutive equal".split())
"""Operations whose result has a size or value that the host must know."""
INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_"}
UNORDERED = set(
    "replication_pad2d_backward reflection_pad2d_backward upsample_bilinear2d_backward put_ histc bincount"
    " upsample_nearest2d_backward index_add index_add_ scatter_add scatter_add_ scatter_reduce"
    " embedding_dense_backward grid_sampler_2d_backward".split()
)
"""Operations of which CUDA adds the terms in any order (see `torch.use_deterministic_algorithms`)."""
COPIES = {"copy_", "_to_copy", "set_", "is_same_size"}
"""Operations that take tensors of two devices."""


class DeviceMismatch(RuntimeError):
    """CUDA would refuse the operation."""


class Waited(RuntimeError):
    """The host would wait for the device."""


class DeviceTensor(torch.Tensor):
    """A tensor that says it is on cuda:0; `_data` has its values."""

    _data: Tensor

    @staticmethod
    def __new__(cls, data: Tensor) -> DeviceTensor:
        made: DeviceTensor = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            data.size(),
            strides=data.stride(),
            storage_offset=data.storage_offset(),
            dtype=data.dtype,
            layout=data.layout,
            device="meta",
            requires_grad=False,
        )
        made._data = data
        return made

    device = property(lambda self: CUDA)  # type: ignore[assignment]
    is_cuda = property(lambda self: True)  # type: ignore[assignment]
    is_cpu = property(lambda self: False)  # type: ignore[assignment]
    is_meta = property(lambda self: False)  # type: ignore[assignment]

    def numpy(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("can't convert cuda:0 device type tensor to numpy")

    __array__ = numpy

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def new_tensor(self, data: Any, dtype: torch.dtype | None = None, **_: Any) -> Tensor:
        return torch.tensor(data, dtype=dtype or self.dtype, device=CUDA)

    def __getitem__(self, key: Any) -> Tensor:
        return super().__getitem__(_on_device(key))

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(_on_device(key), value)

    def __deepcopy__(self, memo: Any) -> DeviceTensor:
        return DeviceTensor(self._data.clone())

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, arguments: Any = (), named: Any = None) -> Any:
        return _DEVICE.dispatch(function, arguments, named or {})


def _on_device(key: Any) -> Any:
    """An index as torch uses it: lists and arrays become tensors, which are copied to the device."""
    if isinstance(key, tuple):
        return tuple(map(_on_device, key))
    if isinstance(key, list | range) or (isinstance(key, np.ndarray) and key.ndim):
        return torch.tensor(key, device=CUDA)
    return key


class Counts:
    """Work of the device since a moment."""

    def __init__(self) -> None:
        self.kernels = 0
        self.by_operation: Counter[str] = Counter()
        """Kernels by operation."""
        self.waits: Counter[str] = Counter()
        """Times that the host waited, by reason and line."""
        self.unordered: Counter[str] = Counter()
        """Sums whose order differs from run to run, by operation and line."""


def _place() -> str:
    """The innermost line of `inrcodec` or `benchmarks` that is running."""
    frame = sys._getframe(1)
    while frame is not None:
        for package in ("/inrcodec/", "/benchmarks/"):
            if package in frame.f_code.co_filename:
                return f"{frame.f_code.co_filename.rpartition(package)[2]}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return "?"


def _plain(value: Any, tensors: list[Tensor]) -> Any:
    """Arguments with tensors of the CPU in place of ours; collects all tensors in `tensors`."""
    if isinstance(value, Tensor):
        tensors.append(value)
        return value._data if type(value) is DeviceTensor else value
    if isinstance(value, list | tuple):
        return type(value)([_plain(one, tensors) for one in value])
    if isinstance(value, dict):
        return {name: _plain(one, tensors) for name, one in value.items()}
    return value


def _on_our_device(made: Any) -> Any:
    """Results of an operation as tensors of the device."""
    if isinstance(made, Tensor):
        return DeviceTensor(made)
    return type(made)(map(_on_our_device, made)) if isinstance(made, list | tuple) else made


@dataclass(frozen=True)
class _Facts:
    """Properties of an operation."""

    name: str
    written: tuple[int, ...]
    """Places of arguments that it writes."""
    returns_argument: bool
    has_kernel: bool


@cache
def _facts_of(function: Any) -> _Facts:
    name, schema = function.overloadpacket.__name__, function._schema

    def is_written(one: Any) -> bool:
        return one.alias_info is not None and bool(one.alias_info.is_write)

    has_kernel = not function.is_view and name not in WITHOUT_KERNEL and name != "_local_scalar_dense"
    places = tuple(place for place, one in enumerate(schema.arguments) if is_written(one))
    return _Facts(name, places, any(map(is_written, schema.returns)), has_kernel)


class _Graph:
    """A `torch.cuda.CUDAGraph`: the operations of a capture, which replays compute in the same memory."""

    def __init__(self) -> None:
        self.tape: list[tuple[Any, Any, Any, Any]] = []
        """Operations, their arguments and, unless they are views or in place, their results."""
        self.before: list[tuple[Tensor, Tensor]] = []
        """Memory that the capture wrote, and what it contained."""
        self.is_captured = False

    def register_generator_state(self, generator: torch.Generator) -> None:
        assert getattr(generator, "claimed", "cpu") == "cuda"

    def record(self, facts: _Facts, function: Any, arguments: Any, named: Any) -> Any:
        """Compute an operation of the capture."""
        for place in facts.written:
            written = arguments[place] if place < len(arguments) else named["out"]
            for one in written if isinstance(written, list | tuple) else [written]:
                self.before.append((one, one.clone()))
        made = function(*arguments, **named)
        if not function.is_view:
            self.tape.append((function, arguments, named, None if facts.written else made))
        return made

    def replay(self) -> None:
        assert self.is_captured
        _DEVICE.counts.kernels += 1
        with torch.no_grad():
            for function, arguments, named, result in self.tape:
                made = function(*arguments, **named)
                if isinstance(result, Tensor):
                    result.copy_(made)
                elif isinstance(result, list | tuple):
                    for one, new in zip(result, made, strict=True):
                        if isinstance(one, Tensor):
                            one.copy_(new)


@contextmanager
def _captured(graph: _Graph, stream: Any = None, capture_error_mode: str = "global") -> Iterator[None]:
    """A capture computes nothing: memory is as it was before."""
    assert stream is not _USUAL_STREAM, "operations on the usual stream cannot be captured"
    _DEVICE.graph = graph
    try:
        yield
    finally:
        _DEVICE.graph = None
        with torch.no_grad():
            for one, before in reversed(graph.before):
                one.copy_(before)
    graph.is_captured = True


class _Stream:
    """A stream: the simulation computes everything at once."""

    def __init__(self, device: Any = None) -> None:
        pass

    def wait_stream(self, stream: _Stream) -> None:
        pass


_USUAL_STREAM = _Stream()
_streams = [_USUAL_STREAM]


@contextmanager
def _on_stream(stream: _Stream) -> Iterator[None]:
    _streams.append(stream)
    try:
        yield
    finally:
        _streams.pop()


class SimulatedDevice(TorchDispatchMode):
    """The device, while it is entered."""

    def __init__(self) -> None:
        super().__init__()
        self.counts = Counts()
        self.refuses_waits = False
        self.graph: _Graph | None = None
        """The graph that operations are captured for."""

    def begin(self) -> Counts:
        """Count anew; returns the counts, which change as work is done."""
        self.counts = Counts()
        return self.counts

    def wait(self, reason: str) -> None:
        """Record that the host waits for the device."""
        said = f"{reason} at {_place()}"
        self.counts.waits[said] += 1
        if self.refuses_waits or self.graph is not None:
            raise Waited(said)

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), named: Any = None) -> Any:
        return self.dispatch(function, arguments, named or {})

    def dispatch(self, function: Any, arguments: Any, named: dict[str, Any]) -> Any:
        """Compute an operation on the CPU if it belongs to the device."""
        tensors: list[Tensor] = []
        plain_arguments, plain_named = _plain(tuple(arguments), tensors), _plain(named, tensors)
        ours = [one for one in tensors if type(one) is DeviceTensor]
        asked = named.get("device")
        # C++ asks for `meta` where it makes a tensor beside another.
        to_device = asked is not None and torch.device(asked).type in ("cuda", "meta")
        to_host = asked is not None and not to_device
        if not ours and not to_device:
            return function(*arguments, **named)
        if torch.is_inference_mode_enabled() and function._can_decompose():
            # In inference mode composite operations arrive here whole.
            with self:
                return function.decompose(*arguments, **named)
        facts = _facts_of(function)
        is_same = named.get("dtype") in (None, ours[0].dtype if ours else None)
        if facts.name == "_to_copy" and ours and to_device and is_same and not named.get("memory_format"):
            # In C++ the tensor is on `meta`: torch would have returned it.
            return DeviceTensor(torch.ops.aten.alias(ours[0]._data))
        if len(ours) < len(tensors):
            self._check_devices(facts.name, arguments, tensors)
        self._count(facts, arguments, named, ours, to_host)
        if asked is not None:
            plain_named["device"] = torch.device("cpu")
        if self.graph is None:
            made = function(*plain_arguments, **plain_named)
        else:
            made = self.graph.record(facts, function, plain_arguments, plain_named)
        if facts.name == "_local_scalar_dense" or to_host:
            return made
        if facts.returns_argument:
            written = [arguments[place] for place in facts.written if place < len(arguments)]
            written += [named["out"]] if "out" in named else []
            return written[0] if len(written) == 1 else tuple(written)
        # As in torch, a view of a normal tensor is no inference tensor.
        if torch.is_inference_mode_enabled() and not all(one.is_inference() for one in ours):
            with torch.inference_mode(False):
                return _on_our_device(made)
        return _on_our_device(made)

    def _check_devices(self, name: str, arguments: Any, tensors: list[Tensor]) -> None:
        """Raise `DeviceMismatch` for tensors of two devices, but scalars of the CPU are allowed."""
        on_host = [one for one in tensors if type(one) is not DeviceTensor]
        if name in COPIES or len(on_host) == len(tensors):
            return
        if name in INDEXING:
            indices = {id(one) for one in arguments[1] if one is not None}
            for _ in (one for one in on_host if id(one) in indices):
                self.wait("copy of an index to the device")
            on_host = [one for one in on_host if id(one) not in indices]
        if any(one.dim() for one in on_host):
            shapes = [tuple(one.shape) for one in on_host]
            raise DeviceMismatch(f"{name} at {_place()} has tensors of {shapes} on the CPU, others on {CUDA}")

    def _count(
        self, facts: _Facts, arguments: Any, named: dict[str, Any], ours: list[DeviceTensor], to_host: bool
    ) -> None:
        counts, name, waits = self.counts, facts.name, not named.get("non_blocking")
        if name == "_local_scalar_dense":
            self.wait("value read")
        if name == "_to_copy" and (to_host or not ours):
            if waits:
                self.wait(f"copy {'from' if ours else 'to'} the device")
            return
        if name == "copy_" and len(ours) == 1:
            if not (len(arguments) > 2 and arguments[2]):
                self.wait(f"copy {'to' if isinstance(arguments[0], DeviceTensor) else 'from'} the device")
            return
        is_masked = name in INDEXING and any(
            one is not None and one.dtype in (torch.bool, torch.uint8) for one in arguments[1]
        )
        if name in WAITING or is_masked:
            self.wait(name)
        if not facts.has_kernel:
            return
        if name in UNORDERED and not (name == "grid_sampler_2d_backward" and not arguments[-1][0]):
            counts.unordered[f"{name} at {_place()}"] += 1
        kernels = KERNELS.get(name, 1)
        if name == "convolution":
            kernels += arguments[2] is not None
        elif name == "convolution_backward":
            kernels = sum(map(bool, arguments[-1]))
        counts.kernels += kernels
        counts.by_operation[name] += kernels


_DEVICE = SimulatedDevice()

_LOWER: set[Any] = {
    torch.conv2d,
    torch.matmul,
    torch.mm,
    torch.mv,
    torch.bmm,
    torch.addmm,
    torch.baddbmm,
    torch.einsum,
    torch.nn.functional.linear,
    torch.Tensor.matmul,
    torch.Tensor.__matmul__,
    torch.Tensor.__rmatmul__,
}
"""Functions that autocast computes in bfloat16."""
_WHOLE: set[Any] = {
    torch.nn.functional.layer_norm,
    torch.layer_norm,
    torch.nn.functional.mse_loss,
    torch.nn.functional.l1_loss,
    torch.exp,
    torch.log,
    torch.pow,
    torch.sum,
    torch.norm,
    torch.cumsum,
    torch.Tensor.exp,
    torch.Tensor.log,
    torch.Tensor.pow,
    torch.Tensor.__pow__,
    torch.Tensor.sum,
}
"""Functions that autocast computes in float32."""
_WIDEST: set[Any] = {torch.cat, torch.stack, torch.nn.functional.grid_sample}
"""Functions that autocast computes in the widest type of their arguments."""


class _Functions(TorchFunctionMode):
    """Checks the devices of random generators, and casts as autocast of CUDA does."""

    def __init__(self) -> None:
        super().__init__()
        self.dtype: torch.dtype | None = None

    def _cast(self, value: Any, dtype: torch.dtype) -> Any:
        is_cast = isinstance(value, DeviceTensor) and value.is_floating_point()
        return value.to(dtype) if is_cast and value.dtype not in (torch.float64, dtype) else value

    def __torch_function__(self, function: Any, types: Any, arguments: Any = (), named: Any = None) -> Any:
        named = named or {}
        if named.get("generator") is not None:
            own = arguments[0].device if arguments and isinstance(arguments[0], Tensor) else "cpu"
            asked = torch.device(named.get("device") or own).type
            found = getattr(named["generator"], "claimed", "cpu")
            if asked != found:
                raise DeviceMismatch(f"a generator of {found} for numbers on {asked} at {_place()}")
        wanted = None
        if self.dtype is not None:
            wanted = self.dtype if function in _LOWER else torch.float32 if function in _WHOLE else None
            if function in _WIDEST:
                flat = tree_flatten((arguments, named))[0]
                types = {one.dtype for one in flat if isinstance(one, DeviceTensor)}
                wanted = torch.float32 if len(types) > 1 else None
        if wanted is not None:
            arguments, named = tree_map(lambda one: self._cast(one, wanted), (arguments, named))
        return function(*arguments, **named)


_local = threading.local()


class _Autocast:
    """Replaces `torch.autocast`, which goes by the device that C++ sees."""

    _real = torch.autocast

    def __init__(self, device_type: str, dtype: torch.dtype | None = None, enabled: bool = True) -> None:
        self._dtype = (dtype or torch.bfloat16) if enabled else None
        self._inner = None if device_type == "cuda" else self._real(device_type, dtype=dtype, enabled=enabled)

    def __enter__(self) -> None:
        if self._inner is not None:
            self._inner.__enter__()
            return
        self._before, _local.functions.dtype = _local.functions.dtype, self._dtype

    def __exit__(self, *error: Any) -> None:
        if self._inner is not None:
            self._inner.__exit__(*error)
        else:
            _local.functions.dtype = self._before


class _Generator(torch.Generator):
    """A generator that says which device it is of; its numbers are those of the CPU."""

    claimed: str

    def __new__(cls, device: Any = "cpu") -> _Generator:
        made: _Generator = super().__new__(cls, "cpu")
        made.claimed = torch.device(device).type
        return made

    def __init__(self, device: Any = "cpu") -> None:
        pass

    def get_state(self) -> Tensor:
        """The state of a generator of CUDA is a seed and an offset, 16 bytes."""
        return super().get_state() if self.claimed == "cpu" else torch.zeros(16, dtype=torch.uint8)

    def set_state(self, new_state: Tensor) -> None:  # type: ignore[override]
        if self.claimed != "cpu" and len(new_state) != 16:
            raise RuntimeError(f"RNG state is of {len(new_state)} bytes, not of 16")
        super().set_state(new_state)


def _save(value: Any, *arguments: Any, **named: Any) -> None:
    _real_save(
        tree_map(lambda one: one._data.clone() if isinstance(one, DeviceTensor) else one, value),
        *arguments,
        **named,
    )


def _load(*arguments: Any, map_location: Any = None, **named: Any) -> Any:
    value = _real_load(*arguments, map_location="cpu", **named)
    if map_location is None or torch.device(map_location).type != "cuda":
        return value
    return tree_map(lambda one: DeviceTensor(one) if isinstance(one, Tensor) else one, value)


_real_save, _real_load, _real_run = torch.save, torch.load, threading.Thread.run


@contextmanager
def _entered() -> Iterator[None]:
    """The modes that are settings of a thread."""
    functions, outer = _Functions(), getattr(_local, "functions", None)
    _local.functions = functions
    with functions, torch.autograd.set_multithreading_enabled(False), _DEVICE:
        before = torch._C._only_lift_cpu_tensors()
        torch._C._set_only_lift_cpu_tensors(True)
        try:
            yield
        finally:
            torch._C._set_only_lift_cpu_tensors(before)
            _local.functions = outer


def _run(thread: threading.Thread) -> None:
    with _entered():
        _real_run(thread)


@contextmanager
def simulated_cuda(capability: tuple[int, int] = (9, 0)) -> Iterator[SimulatedDevice]:
    """A process with one CUDA device, whose counts begin anew; bfloat16 needs a `capability` of 8.0."""
    optimizers: Any = importlib.import_module("torch.optim.optimizer")
    foreach: Any = importlib.import_module("torch.utils._foreach_utils")
    swaps = torch.__future__.get_swap_module_params_on_conversion()
    _DEVICE.begin()
    _DEVICE.refuses_waits = False
    with ExitStack() as stack:
        for owner, name, value in (
            (torch.cuda, "is_available", lambda: True),
            (torch.cuda, "device_count", lambda: 1),
            (torch.cuda, "current_device", lambda: 0),
            (torch.cuda, "_lazy_init", lambda: None),
            (torch.cuda, "is_initialized", lambda: True),
            (torch.cuda, "get_device_capability", lambda *_: capability),
            (torch.cuda, "get_device_name", lambda *_: "simulated"),
            (torch.cuda, "is_current_stream_capturing", lambda: False),
            (torch.cuda, "synchronize", lambda *_: _DEVICE.wait("synchronize")),
            (torch.cuda, "Stream", _Stream),
            (torch.cuda, "current_stream", lambda *_: _streams[-1]),
            (torch.cuda, "stream", _on_stream),
            (torch.cuda, "CUDAGraph", _Graph),
            (torch.cuda, "graph", _captured),
            (torch, "Generator", _Generator),
            (torch, "autocast", _Autocast),
            (torch, "save", _save),
            (torch, "load", _load),
            (threading.Thread, "run", _run),
            (foreach, "_get_foreach_kernels_supported_devices", lambda: ["cuda", "meta"]),
            (optimizers, "_get_foreach_kernels_supported_devices", lambda: ["cuda", "meta"]),
            (foreach, "_foreach_supported_types", [*foreach._foreach_supported_types, DeviceTensor]),
            (optimizers, "_foreach_supported_types", [*optimizers._foreach_supported_types, DeviceTensor]),
        ):
            stack.enter_context(mock.patch.object(owner, name, value))
        # Parameters of a module become tensors of another class when it moves to the device.
        torch.__future__.set_swap_module_params_on_conversion(True)
        stack.callback(torch.__future__.set_swap_module_params_on_conversion, swaps)
        stack.enter_context(_entered())
        yield _DEVICE
