"""optax's own tests, shipped in its wheel, of the functions that jaxent has under the same name."""

import numpy as np
import pytest
from optax.losses import _classification, _classification_test, _regression, _regression_test

import jaxent

# unittest reads every module for the warnings it gave, and some of mpmath's warn of being read.
pytestmark = [
    pytest.mark.exhaustive,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mpmath"),
]

# A class axis of size 0 is an error here, and an unseeded mask of 5 classes drops all of them once
# in 32 runs.
SEED = 1
CHOSEN = {
    _classification_test: (
        "SoftmaxCrossEntropyTest",
        "SoftmaxCrossEntropyWithIntegerLabelsTest",
        "SigmoidCrossEntropyTest",
        "SigmoidFocalLossTest",
        "PolyLossTest",
        "KLDivergenceTest",
        "KLDivergenceWithLogTargetsTest",
        "GeneralizedKLDivergenceTest",
    ),
    _regression_test: ("SquaredErrorTest",),
}
for module, names in CHOSEN.items():
    globals().update({name: getattr(module, name) for name in names})


@pytest.fixture(autouse=True)
def ours_in_place_of_optax_s(monkeypatch, peers_promote):
    np.random.seed(SEED)
    for module in (_classification, _regression):
        for name in jaxent.__all__:
            if hasattr(module, name):
                monkeypatch.setattr(module, name, getattr(jaxent, name))


def test_ours_are_called():
    assert _classification.softmax_cross_entropy is jaxent.softmax_cross_entropy
    assert _regression.squared_error is jaxent.squared_error
