"""Trains the language model on eight devices of a CPU, its batch and vocabulary split over them.

Embeddings lie on the devices by vocabulary, and so does the kernel of the loss, which they are; all
else is on every device, and each batch is split. The same model is trained on one device, and the
two have to stay together. The losses of both go to examples/output/mesh.png.

    python -m examples.mesh
"""

import functools
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from matplotlib.figure import Figure

import jaxent
from examples.common import OUTPUT, save
from examples.language_model import Z_LOSS, Model, Text, linear_loss, load, training

SHAPE = 2, 4  # data × vocab
ALLOWED = 1e-5  # of the loss, between the two after all steps


def mesh_of_cpus() -> Mesh:
    devices = np.array(jax.devices()[: SHAPE[0] * SHAPE[1]])
    return Mesh(devices.reshape(SHAPE), ("data", "vocab"))


def placed(mesh: Mesh, model: Any) -> Any:
    """The model on the devices of a mesh."""
    everywhere = jax.device_put(model, NamedSharding(mesh, PartitionSpec()))
    by_vocabulary = NamedSharding(mesh, PartitionSpec("vocab"))
    return jax.tree.map(
        lambda x: jax.device_put(x, by_vocabulary) if x is everywhere.embedding else x, everywhere
    )


def losses_on_one_device(text: Text, steps: int) -> np.ndarray:
    model = Model(jax.random.key(0))
    return np.array([value for _, value in training(model, text, steps, linear_loss)])


def losses_on_a_mesh(text: Text, steps: int) -> np.ndarray:
    mesh = mesh_of_cpus()
    sharded = jaxent.sharded(
        jaxent.linear_softmax_cross_entropy, mesh=mesh, data_axis="data", vocab_axis="vocab"
    )
    loss = functools.partial(sharded, z_loss=Z_LOSS, reduction="mean")
    by_data = NamedSharding(mesh, PartitionSpec("data"))
    model = placed(mesh, Model(jax.random.key(0)))
    place = functools.partial(jax.device_put, device=by_data)
    # Step by step: devices of one CPU that wait for each other must not wait for the next step.
    return np.array([float(value) for _, value in training(model, text, steps, loss, place)])


def plot(runs: dict[str, np.ndarray]) -> Figure:
    figure = Figure(figsize=(8, 5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    styles = ("-", "--")
    for (name, losses), style in zip(runs.items(), styles, strict=True):
        above.plot(np.arange(1, len(losses) + 1), losses, style, label=name)
    one, many = runs.values()
    below.plot(np.arange(1, len(one) + 1), np.abs(many - one) / one, color="black")
    below.set_ylabel("relative difference")
    below.set_xlabel("step")
    above.set_ylabel("loss of a batch, in nats")
    above.set_title("A language model on one device, and its batch and vocabulary split over eight")
    for axes in (above, below):
        axes.grid(alpha=0.3)
    above.legend()
    return figure


def main(steps: int = 60, figure: Path = OUTPUT / "mesh.png") -> None:
    jax.config.update("jax_num_cpu_devices", SHAPE[0] * SHAPE[1])
    text = load()
    runs = {
        "one device": losses_on_one_device(text, steps),
        f"data × vocabulary over {SHAPE[0]} × {SHAPE[1]} devices": losses_on_a_mesh(text, steps),
    }
    save(plot(runs), figure)
    one, many = runs.values()
    apart = np.max(np.abs(many - one) / one)
    print(f"losses from {one[0]:.3f} to {one[-1]:.3f}, at most {apart:.1e} apart")
    if apart > ALLOWED:
        raise SystemExit(f"the two must stay within {ALLOWED} of each other")


if __name__ == "__main__":
    main()
