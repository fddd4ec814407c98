"""A loss made ready to run in a mode: compiled by JAX, or called through PyTorch.

value   the mean of the losses, compiled
grad    the mean and its gradients by what is learned from: logits, or features and kernel; compiled
eager   the losses themselves, the function called as a user types it

PyTorch compiles nothing: there, `value` and `grad` are the calls of a training loop written in it.
"""

import inspect
import time
from collections.abc import Callable, Sequence
from functools import partial
from types import ModuleType
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bench.cases import Arguments

Mode = Literal["value", "grad", "eager"]
MODES: tuple[Mode, ...] = get_args(Mode)
IN_WORDS: dict[str, str] = {
    "value": "the mean, compiled",
    "grad": "the mean and its gradient, compiled",
    "eager": "the losses, not compiled by the caller",
}
TORCH_DEVICES = {"cpu": "cpu", "gpu": "cuda"}


class Program(NamedTuple):
    """What runs, how NumPy's arrays get to it and its own back, and what compiling it gave."""

    call: Callable[..., Any]  # returns when the work is done
    place: Callable[[Arguments], tuple[Any, ...]]
    fetch: Callable[[Any], np.ndarray]
    temp_bytes: int | None = None
    compile_s: float | None = None


def through_jax(
    loss: Callable[..., Array], mode: Mode, arguments: Arguments, moving: int = 1
) -> Program:
    """A loss that takes and returns JAX's arrays."""
    if mode == "eager":
        return Program(_finished(loss), jax.device_put, _from_jax)
    return compiled(of_mean(loss, mode, moving), arguments)


def of_mean(loss: Callable[..., Array], mode: Mode, moving: int = 1) -> Callable[..., Any]:
    """The mean of a loss, or that and its gradients by the first arguments.

    A loss that takes a reduction is told so, as it is in a training step: it may make its sums or
    gradients in another way then.
    """
    if "reduction" in inspect.signature(loss).parameters:
        loss = partial(loss, reduction="mean")

    def mean(*arguments: Array) -> Array:
        return jnp.mean(loss(*arguments))

    return jax.value_and_grad(mean, tuple(range(moving))) if mode == "grad" else mean


def compiled(
    function: Callable[..., Any], arguments: Sequence[np.ndarray | jax.ShapeDtypeStruct]
) -> Program:
    """A function compiled for such arguments from nothing, with the time that it took."""
    like = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in arguments]
    jax.clear_caches()  # what has been traced before, in part, would seem to compile faster
    start = time.perf_counter()
    executable = jax.jit(function).lower(*like).compile()
    seconds = time.perf_counter() - start
    memory = executable.memory_analysis()  # None where a backend doesn't tell
    temporaries = memory and memory.temp_size_in_bytes
    return Program(_finished(executable), jax.device_put, _from_jax, temporaries, seconds)


def _finished(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *arguments: jax.block_until_ready(function(*arguments))


def _from_jax(x: Array) -> np.ndarray:
    return np.asarray(x).astype(np.float32)


def through_torch(
    torch: ModuleType,
    loss: Callable[..., Any],
    mode: Mode,
    arguments: Arguments,
    moving: int = 1,
) -> Program:
    """A loss that takes PyTorch's tensors and a reduction, on the kind of device that JAX uses."""
    del arguments  # nothing is compiled for them
    backend = jax.default_backend()
    if backend not in TORCH_DEVICES:
        raise RuntimeError(f"torch can't be timed beside JAX on {backend}")
    device = TORCH_DEVICES[backend]

    def value(*tensors):
        with torch.no_grad():
            return loss(*tensors, reduction="mean")

    def grad(*tensors):
        leaves = [tensor.detach().requires_grad_() for tensor in tensors[:moving]]
        mean = loss(*leaves, *tensors[moving:], reduction="mean")
        return mean, *torch.autograd.grad(mean, leaves)

    def eager(*tensors):
        return loss(*tensors, reduction="none")

    function = {"value": value, "grad": grad, "eager": eager}[mode]

    def call(*tensors):
        outcome = function(*tensors)
        if device == "cuda":
            torch.cuda.synchronize()
        return outcome

    def place(arguments: Arguments) -> tuple[Any, ...]:
        return tuple(_to_torch(torch, x).to(device) for x in arguments)

    return Program(call, place, lambda x: x.detach().float().cpu().numpy())


def _to_torch(torch: ModuleType, x: np.ndarray) -> Any:
    if x.dtype == jnp.bfloat16:  # of which torch knows the bits, not NumPy's dtype
        return torch.from_numpy(x.view(np.int16)).view(torch.bfloat16)
    if x.dtype == np.int32:  # class numbers must be int64
        x = x.astype(np.int64)
    return torch.from_numpy(x)
