"""The examples train, draw and judge themselves; here for one epoch."""

import jax
import numpy as np
import pytest

from examples import digits, distillation, grpo, language_model, mesh, multilabel


def train(example):
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        return example.compare(epochs=1)


@pytest.fixture(scope="module")
def softmax_runs():
    return train(digits)


@pytest.fixture(scope="module")
def sigmoid_runs():
    return train(multilabel)


def assert_falls(losses):
    assert np.isfinite(losses).all()
    assert losses[-5:].mean() < 0.95 * losses[:5].mean()


@pytest.mark.exhaustive
def test_both_losses_train_the_same_classifier(softmax_runs):
    for history in softmax_runs.values():
        assert_falls(history.losses)
    assert digits.distance(softmax_runs) < 1e-4


def test_no_batch_is_below_the_lowest_loss(softmax_runs):
    assert softmax_runs["jaxent"].losses.min() > digits.lowest_loss()


def test_a_poor_classifier_is_drawn_and_is_an_error(softmax_runs, monkeypatch, tmp_path):
    monkeypatch.setattr(digits, "compare", lambda epochs: softmax_runs)
    figure = tmp_path / "made" / "digits.png"
    with pytest.raises(SystemExit, match="at least 97%"):
        digits.main(epochs=1, figure=figure)
    assert figure.stat().st_size > 0


@pytest.mark.exhaustive
def test_every_binary_loss_trains(sigmoid_runs):
    for history in sigmoid_runs.values():
        assert_falls(history.losses)


def test_pos_weight_raises_recall(sigmoid_runs):
    recall = multilabel.METRICS.index("recall")
    weighted, plain = (sigmoid_runs[name] for name in ("with pos_weight", "cross-entropy"))
    assert weighted.scores[-1, recall] > plain.scores[-1, recall]


def test_the_scores_are_drawn_and_printed(sigmoid_runs, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(multilabel, "compare", lambda epochs: sigmoid_runs)
    figure = tmp_path / "multilabel.png"
    multilabel.main(epochs=1, figure=figure)
    assert figure.stat().st_size > 0
    printed = capsys.readouterr().out
    assert all(metric in printed for metric in multilabel.METRICS)


@pytest.fixture(scope="module")
def language_run():
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        text = language_model.load()
        return text, language_model.train(text, steps=30, evaluations=2)


@pytest.mark.exhaustive
def test_a_language_model_learns_more_than_frequencies_in_a_few_steps(language_run):
    text, history = language_run
    assert len(text.train) > 8 * len(text.held_out) > 8 * language_model.CONTEXT
    assert_falls(history.losses)
    assert history.held_out[-1] < history.held_out[0] - 1
    assert list(history.evaluated) == [0, 15, 30]


@pytest.mark.exhaustive
def test_its_step_takes_less_memory_than_with_logits_held():
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        linear, held = map(
            language_model.step_bytes, (language_model.linear_loss, language_model.loss_of_logits)
        )
    one_logits = language_model.BATCH * language_model.CONTEXT * language_model.VOCABULARY * 4
    assert linear < held - one_logits


@pytest.mark.exhaustive
def test_it_learns_the_same_on_eight_devices():
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        text = language_model.load()
        one, many = (
            losses(text, steps=3) for losses in (mesh.losses_on_one_device, mesh.losses_on_a_mesh)
        )
    np.testing.assert_allclose(many, one, rtol=mesh.ALLOWED)
    assert one[2] < one[0]


@pytest.mark.exhaustive
def test_a_policy_is_rewarded_more_with_every_step(tmp_path):
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        history = grpo.train(steps=30)
    assert history.rewards[-5:].mean() > 2 * history.rewards[:5].mean()
    assert history.entropies[-1] < history.entropies[0]
    figure = grpo.plot(history)
    figure.savefig(tmp_path / "grpo.png")


@pytest.mark.exhaustive
def test_a_student_comes_closer_to_its_teacher():
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        text = language_model.load()
        teacher = language_model.Model(jax.random.key(0))
        run = distillation.distil(teacher, text, steps=12)
    assert run.divergences[-1] < 0.9 * run.divergences[0]
