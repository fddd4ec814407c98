"""Every test runs under strict dtype promotion, with rank promotion an error, on eight devices."""

import gc

import hypothesis
import jax
import pytest

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
# Eight devices of one CPU, so that what is mapped over devices is cut in parts.
jax.config.update("jax_num_cpu_devices", 8)
# Tracing makes many objects. Python would look for garbage among all of them, time and again.
gc.set_threshold(100_000, 50, 1000)


def pytest_configure(config):
    """Every drawn shape compiles programs. `make test` draws few, `make test-all` more."""
    drawn = 5 if "not exhaustive" in config.option.markexpr else 10
    profile = hypothesis.settings(deadline=None, max_examples=drawn, derandomize=True)
    hypothesis.settings.register_profile("jaxent", profile)
    hypothesis.settings.load_profile("jaxent")


@pytest.fixture
def peers_promote():
    """Peers mix dtypes and ranks, which the suite forbids."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield
