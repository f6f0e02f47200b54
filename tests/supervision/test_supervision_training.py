"""What is learned from true masks, when it stops, and which weights are scored."""
from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import tiny
from redo_tf.errors import Diverged
from redo_tf.supervision import training


def test_cross_entropy_is_the_mean_over_labelled_pixels():
    masks = tf.constant([[[[0.25, 0.75], [0.5, 0.5]], [[0.9, 0.1], [0.3, 0.7]]]])
    labels = tf.constant([[[0, 1], [255, 1]]], tf.uint8)
    expected = -(np.log(0.25) + np.log(0.5) + np.log(0.7)) / 3
    assert float(training.cross_entropy(masks, labels)) == pytest.approx(expected, rel=1e-5)
    assert float(training.cross_entropy(masks, tf.fill([1, 2, 2], tf.constant(255, tf.uint8)))) == 0


def train(*changes, seed=0, **settings):
    val = tiny.pictures("val")
    return training.train(tiny.config(*changes), training.Settings(**settings), tiny.pictures("train"), val, val, seed)


@pytest.fixture
def toy(monkeypatch):
    """f is one convolution."""
    monkeypatch.setattr(training, "build_mask_network", tiny.build_toy_mask_network)


def test_the_mask_network_learns_from_masks():
    trained = train(learning_rate=1e-2, max_steps=60, evaluate_every=20)
    assert trained["labels"] == 16 and trained["best_step"] in (20, 40, 60)
    shares = (tiny.pictures("val").masks == 1).mean((1, 2))
    assert trained["scoring"]["iou"] > shares.mean()  # What a mask of everything gets; of nothing it is 0.


def test_the_recipe_s_weight_decay_is_in_the_gradient(toy, monkeypatch):
    """A gradient that is λ·w alone, nearly: Adam's first step takes each weight by its learning rate towards 0."""
    networks = []
    monkeypatch.setattr(training, "compile_segmenter", lambda network, size: networks.append(network))
    monkeypatch.setattr(training, "score", lambda *_: {"iou": 0.5})
    for rate in (0.0, 1e-3):
        train("optimizer.mask_weight_decay=1e6", learning_rate=rate, max_steps=1)
    before, after = (network.get_weights()[0] for network in networks)
    large = np.abs(before) > 1e-3
    assert large.mean() > 0.9
    np.testing.assert_allclose((after - before)[large], -1e-3 * np.sign(before)[large], rtol=1e-3)


def test_a_seed_fixes_the_result_whatever_was_trained_before(toy):
    options = dict(learning_rate=1e-2, max_steps=12, evaluate_every=4)
    first = train(seed=1, **options)
    other = train(seed=2, **options)
    assert train(seed=1, **options) == first != other


@pytest.mark.parametrize("initialization, ones", [("orthogonal", True), ("released", False)])
def test_the_recipe_s_first_weights_are_those_of_the_network(monkeypatch, initialization, ones):
    networks, compiled = [], training.compile_segmenter
    monkeypatch.setattr(training, "compile_segmenter", lambda network, size: networks.append(network) or compiled(network, size))
    train(f"model.initialization={initialization}", learning_rate=0.0, max_steps=1)
    scales = np.concatenate([w.numpy().ravel() for w in networks[0].variables if "scale" in w.name])
    assert len(scales) and (scales == 1).all() == ones


def test_training_stops_when_the_iou_no_longer_rises(toy):
    # Nothing is learned at rate 0: the first evaluation is the best, and three more without a better one follow.
    result = train(learning_rate=0.0, max_steps=100, evaluate_every=2, patience=3)
    assert (result["best_step"], result["steps"]) == (2, 8)


def test_the_best_weights_are_scored_not_the_last(toy, monkeypatch):
    asked, networks = [], []
    monkeypatch.setattr(training, "compile_segmenter", lambda network, size: networks.append(network))

    def score(segment, config, pictures):
        asked.append(networks[0].get_weights())
        return {"iou": [0.2, 0.7, 0.6, 0.5, 0.0][len(asked) - 1]}
    monkeypatch.setattr(training, "score", score)
    result = train(learning_rate=1e-2, max_steps=7, evaluate_every=2)  # The last step is evaluated too.
    assert result["best_step"] == 4 and result["stopping"] == {"iou": 0.7}
    assert all(map(np.array_equal, asked[4], asked[1])) and not np.array_equal(asked[4][0], asked[3][0])


def test_divergence_is_told(toy):
    with pytest.raises(Diverged, match="cross-entropy became nan at step .* lower --learning_rate"):
        train(learning_rate=1e38, max_steps=10, evaluate_every=5)
