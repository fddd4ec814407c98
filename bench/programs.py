"""A loss, ready to run in a mode.

value   the mean of the losses, compiled
grad    the mean and its gradients by the logits, or by features and kernel, compiled
eager   the losses, the function called without `jax.jit`

PyTorch compiles nothing. There `value` and `grad` are the calls of a training loop.
"""

import importlib
import inspect
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bench.cases import Case, Loss

Mode = Literal["value", "grad", "eager"]
MODES: tuple[Mode, ...] = get_args(Mode)


class Program(NamedTuple):
    """A call that returns when its work is done. `place` makes its arguments of NumPy's arrays."""

    call: Loss
    place: Callable[[Any], Sequence[Any]] = jax.device_put
    fetch: Callable[[Any], np.ndarray] = lambda x: np.asarray(x).astype(np.float32)
    temp_bytes: float = np.nan  # of the compiled program
    compile_s: float = np.nan


def program(contestant: str, loss: Loss, case: Case, mode: Mode, arrays: Sequence[Any]) -> Program:
    if contestant == "torch":
        return of_torch(loss, case, mode)
    if mode == "eager":
        return Program(finished(loss))
    return compiled(of_mean(loss, mode, case.learned, case.drops), arrays)


def of_mean(
    loss: Loss, mode: Mode, learned: tuple[int, ...] = (0,), drops: bool = False
) -> Callable[..., Any]:
    """The mean of a loss, or the mean and its gradients.

    A loss with a `reduction` takes the mean itself, as in a training step.
    """
    if "reduction" in inspect.signature(loss).parameters:
        mean = partial(loss, reduction="mean")
    else:

        def mean(*arrays: Array) -> Array:
            return jnp.mean(loss(*arrays), where=arrays[-1] if drops else None)

    return jax.value_and_grad(mean, learned) if mode == "grad" else mean


def compiled(function: Callable[..., Any], arrays: Sequence[Any]) -> Program:
    """The function compiled for such arrays, with the time that it took."""
    like = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in arrays]
    jax.clear_caches()  # parts that are traced already would seem to compile faster
    start = time.perf_counter()
    executable = jax.jit(function).lower(*like).compile()
    seconds = time.perf_counter() - start
    memory = executable.memory_analysis()  # None on some backends
    temporaries = memory.temp_size_in_bytes if memory else np.nan
    return Program(finished(executable), temp_bytes=temporaries, compile_s=seconds)


def finished(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *arrays: jax.block_until_ready(function(*arrays))


def of_torch(loss: Loss, case: Case, mode: Mode) -> Program:
    """A loss of PyTorch's tensors, on the kind of device that JAX uses."""
    torch = importlib.import_module("torch")
    device = {"cpu": "cpu", "gpu": "cuda"}[jax.default_backend()]
    learned = len(case.learned)

    def run(*tensors):
        if mode == "eager":
            return loss(*tensors, reduction="none")
        with torch.set_grad_enabled(mode == "grad"):
            leaves = [x.detach().requires_grad_(mode == "grad") for x in tensors[:learned]]
            mean = loss(*leaves, *tensors[learned:], reduction="mean")
            return (mean, *torch.autograd.grad(mean, leaves)) if mode == "grad" else mean

    def call(*tensors):
        outcome = run(*tensors)
        if device == "cuda":
            torch.cuda.synchronize()
        return outcome

    def tensor(x):
        if x.dtype == jnp.bfloat16:  # NumPy and PyTorch share its bits alone
            x = torch.from_numpy(x.view(np.int16)).view(torch.bfloat16)
        else:
            x = torch.from_numpy(x.astype(np.int64) if x.dtype == np.int32 else x)
        return x.to(device)

    def fetch(x):
        return x.detach().float().cpu().numpy()

    return Program(call, lambda arrays: [*map(tensor, arrays)], fetch)
