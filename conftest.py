"""Examples in docstrings and in the README run as users run them; the tests are stricter."""

import jax
import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    if not isinstance(item, pytest.DoctestItem):
        return (yield)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        return (yield)
