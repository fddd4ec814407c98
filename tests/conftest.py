"""Every test runs under strict dtype promotion, with rank promotion an error, on eight devices."""

import collections
import gc
import math
import zlib

import hypothesis
import jax
import pytest

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
# Eight devices of one CPU, so that what is mapped over devices is cut in parts.
jax.config.update("jax_num_cpu_devices", 8)
# Tracing makes many objects. Python would look for garbage among all of them, time and again.
gc.set_threshold(100_000, 50, 1000)


def positive(text):
    number = int(text)
    if number < 1:
        raise ValueError(f"must be 1 or more, got {number}")
    return number


def pytest_addoption(parser):
    parser.addoption(
        "--one-in",
        type=positive,
        default=1,
        metavar="N",
        help="run every test, with one in N of its parameters",
    )
    parser.addoption("--examples", type=int, metavar="N", help="of each property of drawn inputs")


@pytest.hookimpl(trylast=True)  # after -m has chosen
def pytest_collection_modifyitems(config, items):
    """Keeps a share of each test's parameters, the same one in every run.

    Compiling is what tests spend their time on, and every parameter compiles programs. Parameters
    that are marked as `always` are kept.
    """
    kept = {item for item in items if item.get_closest_marker("always")}
    of_each_test = collections.defaultdict(list)
    for item in items:
        of_each_test[item.nodeid.partition("[")[0]].append(item)
    for parameters in of_each_test.values():
        parameters.sort(key=lambda item: zlib.crc32(item.nodeid.encode()))
        kept.update(parameters[: math.ceil(len(parameters) / config.getoption("--one-in"))])
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = [item for item in items if item in kept]


def pytest_configure(config):
    """Every drawn shape compiles programs. `make test` draws few, `make test-all` more."""
    drawn = config.getoption("--examples")
    drawn = drawn or (3 if "not exhaustive" in config.option.markexpr else 10)
    profile = hypothesis.settings(deadline=None, max_examples=drawn, derandomize=True)
    hypothesis.settings.register_profile("jaxent", profile)
    hypothesis.settings.load_profile("jaxent")


@pytest.fixture
def peers_promote():
    """Peers mix dtypes and ranks, which the suite forbids."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


@pytest.fixture
def as_on_accelerators(monkeypatch):
    """The ways that other devices than the CPU take."""
    monkeypatch.setattr(jax.lax, "platform_dependent", lambda *a, default, **_: default(*a))
    jax.clear_caches()
    yield
    jax.clear_caches()
