"""A CUDA device that is none: tensors that lie on the CPU and say that they are on `cuda:0`.

What a GPU would refuse (a calculation with tensors of host and device) is an error here, and what
would make the host wait for it is counted: results that are read, copies that are not from pinned
memory, and calls whose result has a size that only the device knows.

`python -m pytest -m gpu -p fake` with this folder in PYTHONPATH runs the tests for a GPU on it.
"""

import contextlib
import sys
import traceback
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_map

DEVICE, HOST = torch.device("cuda", 0), torch.device("cpu")
ROOT = str(Path(__file__).resolve().parents[2] / "aesthlib")
# whose result's size or value is known to the device alone
READS = {"_local_scalar_dense", "nonzero", "masked_select", "_unique2", "unique_dim", "bincount"}
READS |= {"unique_consecutive", "equal", "is_nonzero"}
INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"}
NO_KERNEL = {"empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided", "detach"}
NO_KERNEL |= {"alias", "lift_fresh", "_unsafe_view", "_local_scalar_dense", "set_", "resize_"}
TO_HOST = {"tolist", "numpy", "__array__", "item", "__bool__", "__int__", "__float__", "__index__"}


class Mixed(RuntimeError):
    """A calculation with tensors of host and device."""


class Log:
    """What happened: waits and copies by the line of the library that asked, kernels in all."""

    def __init__(self):
        self.clear()

    def clear(self):
        self.waits, self.copies, self.kernels = Counter(), Counter(), Counter()


log = Log()
_pinned = set()  # storages


def _where():
    for frame in reversed(traceback.extract_stack()):
        if frame.filename.startswith(ROOT):
            return f"{frame.filename[len(ROOT) + 1 :]}:{frame.lineno}"
    return "a test"


def _wait(what):
    log.waits[f"{what} at {_where()}"] += 1


class Tensor(torch.Tensor):
    """A tensor of the device; `inner` is where it really lies."""

    @staticmethod
    def __new__(cls, inner):
        return torch.Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=HOST,
        )

    def __init__(self, inner):
        self.inner = inner

    __torch_function__ = torch._C._disabled_torch_function_impl
    device = property(lambda self: DEVICE)
    is_cuda = property(lambda self: True)
    is_cpu = property(lambda self: False)

    def record_stream(self, stream):
        pass

    def __repr__(self):
        return f"fake.Tensor({tuple(self.shape)}, {self.dtype})"

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = function._schema.name.split("::")[1]
        given = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, torch.Tensor)]
        _judge(function, name, given, args, kwargs)
        result = function(*tree_map(_inner, args), **tree_map(_inner, kwargs))
        known = {id(_inner(x)): x for x in given}

        def outer(x):
            if not isinstance(x, torch.Tensor):
                return x
            if id(x) in known:
                return known[id(x)]
            with torch.inference_mode(x.is_inference()):
                return Tensor(x)

        if name.endswith("_") and name[-2] != "_" and function._schema.returns:  # in place
            return args[0]
        return kwargs["out"] if "out" in kwargs else tree_map(outer, result)


def _inner(x):
    return x.inner if isinstance(x, Tensor) else x


def _judge(function, name, given, args, kwargs):
    """Count what a call costs; raise for what a GPU refuses."""
    hosts = [x for x in given if not isinstance(x, Tensor)]
    if name == "copy_" and hosts:
        away = isinstance(args[1], Tensor)
        lasting = kwargs.get("non_blocking", args[2] if len(args) > 2 else False)
        _copied(args[1], lasting and not away)
        return
    if name in INDEXING:
        if any(isinstance(x, torch.Tensor) and not isinstance(x, Tensor) for x in args[1]):
            _wait("an index on the CPU")
            hosts = [x for x in args[2:3] if isinstance(x, torch.Tensor) and x in hosts and x.dim()]
        if any(x is not None and x.dtype in (torch.bool, torch.uint8) for x in args[1]):
            _wait("an index of booleans")
    if name != "_has_compatible_shallow_copy_type" and any(
        x.dim() for x in hosts
    ):  # numbers may come from the CPU
        shapes = [tuple(x.shape) for x in hosts]
        raise Mixed(f"{function}: {shapes} on the CPU, others on the device, at {_where()}")
    if name in READS or (name == "repeat_interleave" and kwargs.get("output_size") is None):
        _wait(name)
    returned = function._schema.returns
    if name not in NO_KERNEL and not any(
        r.alias_info and not r.alias_info.is_write for r in returned
    ):
        log.kernels[name] += 1


def _copied(source, lasting=False):
    """A copy between host and device; lasting says that the host goes on meanwhile."""
    log.copies[_where()] += source.nbytes
    host = not isinstance(source, Tensor)
    if not (lasting and host and source.untyped_storage().data_ptr() in _pinned):
        _wait("a copy to the device" if host else "a copy to the CPU")


def _on_device(name):
    return name is not None and torch.device(name).type == "cuda"


class _Redirect(TorchFunctionMode):
    """Sends what names the device to the CPU, wrapped."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs, name = dict(kwargs or {}), getattr(function, "__name__", "")
        first = args[0] if args else None
        if name in ("to", "cuda", "cpu") and isinstance(first, torch.Tensor):
            return self._moved(function, name, first, list(args[1:]), kwargs)
        if name in TO_HOST and isinstance(first, Tensor):
            _wait(name)
            return function(first.inner, *args[1:], **kwargs)
        if name == "__len__" and isinstance(first, Tensor):
            return first.shape[0]
        if kwargs.pop("pin_memory", False):
            made = function(*args, **kwargs)
            _pinned.add(made.untyped_storage().data_ptr())
            return made
        if not _on_device(kwargs.get("device")):
            return function(*args, **kwargs)
        made = function(*args, **kwargs | {"device": HOST})
        if not isinstance(made, torch.Tensor) or isinstance(made, Tensor):
            return made
        if name in ("tensor", "as_tensor"):
            _copied(made)
        elif name != "empty":
            log.kernels[name] += 1
        return Tensor(made)

    def _moved(self, function, name, tensor, rest, kwargs):
        device = {"cuda": DEVICE, "cpu": HOST}.get(name, kwargs.pop("device", None))
        if rest and isinstance(rest[0], (str, torch.device)):
            device = rest.pop(0)
        lasting = kwargs.get("non_blocking", rest[1] if len(rest) > 1 else False)
        if not (rest and isinstance(rest[0], torch.Tensor)):
            rest.insert(0, HOST)

        def changed(x):  # as the call says, but on the CPU
            return torch.Tensor.to(x, *rest, **kwargs)

        if isinstance(tensor, Tensor):
            if device is None or _on_device(device):
                return changed(tensor)
            _copied(tensor)
            return changed(tensor.inner.detach().clone())
        if not _on_device(device):
            return changed(tensor)
        _copied(tensor, lasting)
        return Tensor(changed(tensor).detach().clone(memory_format=torch.preserve_format))


class _Autocast(torch.autocast):
    def __init__(self, device_type, *args, **kwargs):
        super().__init__("cpu" if device_type == "cuda" else device_type, *args, **kwargs)


class _Stream:
    def __init__(self, device=None):
        pass

    def wait_stream(self, other):
        pass


@contextlib.contextmanager
def cuda():
    """Within it there is the device; gives the cleared log."""
    overwrite = torch.__future__.set_overwrite_module_params_on_conversion
    enabled, dtype = torch.is_autocast_enabled, torch.get_autocast_dtype
    changes = {
        (torch, "autocast"): _Autocast,
        (torch, "is_autocast_enabled"): lambda name="cpu": enabled("cpu"),
        (torch, "get_autocast_dtype"): lambda name: dtype("cpu"),
        (torch.cuda, "is_available"): lambda: True,
        (torch.cuda, "mem_get_info"): lambda device=None: (80 * 2**30, 80 * 2**30),
        (torch.cuda, "synchronize"): lambda device=None: None,
        (torch.cuda, "Stream"): _Stream,
        (torch.cuda, "current_stream"): _Stream,
        (torch.cuda, "stream"): lambda stream: contextlib.nullcontext(),
    }
    overwrite(True)
    log.clear()
    with pytest.MonkeyPatch.context() as patch:
        for (module, name), value in changes.items():
            patch.setattr(module, name, value)
        try:
            with _Redirect():
                yield log
        finally:
            overwrite(False)
            _pinned.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """With `-p fake`: a test for a GPU runs on the device."""
    sys.modules.setdefault("fake", sys.modules[__name__])
    if not item.get_closest_marker("gpu"):
        return (yield)
    with cuda():
        return (yield)
