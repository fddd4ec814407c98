"""The table of losses has every public function, and these have one form."""

import inspect
import pydoc

import pytest

import jaxent
from tests import stub
from tests.cases import CASES
from tests.totals import TOTALS

PUBLIC = {name: getattr(jaxent, name) for name in jaxent.__all__ if name != "SoftmaxStats"}
STATISTICS = {"softmax_stats", "linear_softmax_stats"}
# What a program is compiled for, and further rows of a formula.
STATIC = {"axis", "axis_name", "reduction", "max_logits_bytes", "symmetric", "operand_dtype"}
STATIC |= {"target_axis", "exclude_self", "formula", "rows", "has_aux"}
# It makes a loss.
MAKERS = {"sharded"}


@pytest.mark.parametrize("name", sorted(set(PUBLIC) - MAKERS))
def test_the_table_has_every_loss_with_every_option(name):
    cases = [case for case in CASES + TOTALS if case.loss is PUBLIC[name]]
    parameters = inspect.signature(PUBLIC[name]).parameters
    made = {
        argument
        for case in cases
        for argument in (*list(parameters)[: len(case.makers)], *case.keywords)
    }
    assert set(parameters) - STATIC <= made


@pytest.mark.parametrize("name", sorted(set(PUBLIC) - STATISTICS - MAKERS))
def test_every_loss_ends_in_the_same_keywords(name):
    parameters = inspect.signature(PUBLIC[name]).parameters
    assert "where" in parameters
    assert list(parameters)[-2:] == ["weights", "reduction"]
    want = "mean" if name == "reduce_losses" else "none"
    assert parameters["reduction"].default == want


def test_the_module_shows_functions_and_begins_with_an_index():
    assert set(dir(jaxent)) == {*jaxent.__all__, "__version__"}
    index = jaxent.__doc__.split("Every function works")[0]
    assert set(index.split()) >= set(jaxent.__all__)
    text = pydoc.plain(pydoc.render_doc(jaxent))
    assert text.count("_replace") == 0


def test_type_checkers_know_the_functions_as_they_are():
    assert stub.PATH.read_text() == stub.stub()
