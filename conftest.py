"""Examples in docstrings and in the README run as users run them; the tests are stricter."""

from importlib.util import find_spec

import jax
import pytest

# The page needs Flax, which `make test-peers` installs.
collect_ignore = [] if find_spec("flax") else ["docs/guides/flax.md"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    if not isinstance(item, pytest.DoctestItem):
        return (yield)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        return (yield)
