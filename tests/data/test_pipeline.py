"""Facts about names and batches."""
from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from redo_tf import data
from redo_tf.data import loading
from redo_tf.errors import UserError


def _pictures(count: int, size: int = 8) -> np.ndarray:
    """Picture i is filled with i."""
    return np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, size, size, 3)).copy()


def _indices(batches, count: int) -> dict:
    """Which pictures were drawn in the first batches, int [count · B] for each stream."""
    elements = list(batches.take(count).as_numpy_iterator())
    return {key: np.concatenate([element[key][:, 0, 0, 0] for element in elements]) for key in ("images", "real")}


def test_known_names():
    assert {name: loading.dataset(name).REGIONS for name in data.NAMES} == {
        "shapes": 2, "c2mnist": 3, "lfw": 2, "cub": 2, "flowers": 2, "folder": 2}


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"name": "shape"}, "Unknown data set 'shape': did you mean 'shapes'"),
        ({"name": "mnist"}, "Unknown data set 'mnist': did you mean 'c2mnist'"),
        ({"split": "validation"}, "Unknown split 'validation': did you mean 'val'"),
        ({"resize": "antialiased"}, "Unknown resize 'antialiased': did you mean 'antialias'"),
        ({"image_size": 0}, "data.image_size is 0: choose a size of at least 1 pixel"),
    ],
)
def test_unknown_names(tmp_path, wrong, message):
    arguments = {"name": "shapes", "split": "val", "image_size": 32, "data_dir": tmp_path, **wrong}
    with pytest.raises(UserError, match=message):
        data.load(arguments.pop("name"), arguments.pop("split"), **arguments)


def test_shapes_and_types():
    spec = data.training_batches(_pictures(20), batch_size=6, seed=0).element_spec
    assert {key: (value.shape.as_list(), value.dtype.name) for key, value in spec.items()} == {
        "images": ([6, 8, 8, 3], "uint8"), "real": ([6, 8, 8, 3], "uint8")}
    assert data.evaluation_batches(_pictures(20), batch_size=6).element_spec.shape.as_list() == [None, 8, 8, 3]


@pytest.mark.parametrize("count, batch_size", [(20, 5), (23, 5), (7, 16), (1, 3)])
def test_every_picture_once_an_epoch(count, batch_size):
    """Also where an epoch ends within a batch, and where a batch is longer than an epoch."""
    epochs = 3
    batches = data.training_batches(_pictures(count), batch_size=batch_size, seed=1)
    for drawn in _indices(batches, -(-epochs * count // batch_size)).values():
        for epoch in drawn[: epochs * count].reshape(epochs, count):
            assert sorted(epoch) == list(range(count))


@pytest.mark.parametrize("start_step", [1, 3, 4, 9, 41])
def test_an_element_depends_on_seed_and_step_alone(start_step):
    pictures = _pictures(23)
    all_steps = list(data.training_batches(pictures, batch_size=5, seed=2).take(45).as_numpy_iterator())
    resumed = data.training_batches(pictures, batch_size=5, seed=2, start_step=start_step)
    for expected, element in zip(all_steps[start_step:], resumed.as_numpy_iterator()):
        np.testing.assert_array_equal(expected["images"], element["images"])
        np.testing.assert_array_equal(expected["real"], element["real"])


def test_start_far_away_is_instant():
    batches = data.training_batches(_pictures(200), batch_size=25, seed=0, start_step=10**9)
    assert next(iter(batches))["images"].shape == (25, 8, 8, 3)


def test_epochs_streams_and_seeds_are_in_unrelated_orders():
    count, epochs = 250, 4
    orders = []
    for seed in (0, 1, 2**40):
        batches = data.training_batches(_pictures(count), batch_size=count, seed=seed)
        for drawn in _indices(batches, epochs).values():
            orders.extend(drawn.reshape(epochs, count).astype(float))
    correlations = np.corrcoef(orders + [np.arange(count)])
    np.fill_diagonal(correlations, 0)
    assert np.abs(correlations).max() < 4.5 / np.sqrt(count)  # The largest of 300 in a standard deviation of 1/√250.
    assert all((np.abs(np.diff(order)) == 1).mean() < 0.05 for order in orders)  # Neighbours are separated.


def _mirrored(batches, count: int) -> dict:
    """For each stream, whether each picture of the first batches is mirrored, bool [count · B]."""
    elements = list(batches.take(count).as_numpy_iterator())
    return {key: np.concatenate([element[key][:, 0, 0, 1] for element in elements]) == 7 for key in ("images", "real")}


def _slopes(count: int) -> np.ndarray:
    """Picture i is i in channel 0; channel 1 is the column, which mirroring turns round."""
    pictures = _pictures(count)
    pictures[..., 1] = np.arange(8)
    return pictures


def test_flips_are_fair_independent_coins_and_leave_the_order_alone():
    plain = data.training_batches(_slopes(50), batch_size=10, seed=4)
    flipped = data.training_batches(_slopes(50), batch_size=10, seed=4, flip=True)
    for key, drawn in _indices(flipped, 40).items():
        np.testing.assert_array_equal(drawn, _indices(plain, 40)[key])
    assert not any(coins.any() for coins in _mirrored(plain, 40).values())
    coins = _mirrored(flipped, 40)
    assert all(0.4 < tosses.mean() < 0.6 for tosses in coins.values())  # 400 coins: 0.5 ± 4 · 0.025.
    assert 0.4 < (coins["images"] == coins["real"]).mean() < 0.6
    other = _mirrored(data.training_batches(_slopes(50), batch_size=10, seed=5, flip=True), 40)
    assert 0.4 < (coins["images"] == other["images"]).mean() < 0.6
    for element in flipped.take(5).as_numpy_iterator():
        for image in element["images"]:
            assert image[0, :, 1].tolist() in (list(range(8)), list(range(7, -1, -1)))


@pytest.mark.parametrize("start_step", [1, 50, 123])
def test_with_flips_and_weights_too_an_element_depends_on_seed_and_step_alone(start_step):
    """A cycle of a mixture is a thousand draws, fifty batches here."""
    pictures = _slopes(200)
    options = {"batch_size": 20, "seed": 6, "flip": True, "parts": (40, 160), "weights": (3, 1)}
    all_steps = list(data.training_batches(pictures, **options).take(126).as_numpy_iterator())
    resumed = data.training_batches(pictures, start_step=start_step, **options)
    for expected, element in zip(all_steps[start_step:], resumed.as_numpy_iterator()):
        np.testing.assert_array_equal(expected["images"], element["images"])
        np.testing.assert_array_equal(expected["real"], element["real"])


def test_weights_give_each_part_its_share_and_each_part_its_epochs():
    batches = data.training_batches(_pictures(200), batch_size=20, seed=6, parts=(40, 160), weights=(3, 1))
    drawn = _indices(batches, 50)
    assert not np.array_equal(drawn["images"], drawn["real"])
    for stream in drawn.values():
        first, second = stream[stream < 40], stream[stream >= 40]
        assert (len(first), len(second)) == (750, 250)
        for epoch in first[:720].reshape(18, 40):
            assert sorted(epoch) == list(range(40))
        assert sorted(second[:160]) == list(range(40, 200))
        mixed = (stream < 40).astype(int)
        assert 300 < np.abs(np.diff(mixed)).sum() < 450  # 2 · ¾ · ¼ · 1000 = 375 changes: the parts come mixed.


def test_without_weights_a_mixture_is_drawn_by_size():
    by_size = data.training_batches(_pictures(200), batch_size=20, seed=6, parts=(40, 160))
    plain = data.training_batches(_pictures(200), batch_size=20, seed=6)
    for key, drawn in _indices(by_size, 30).items():
        np.testing.assert_array_equal(drawn, _indices(plain, 30)[key])


@pytest.mark.parametrize("weights, message", [
    ((1.0,), "has 1 numbers for 2 data sets"), ((1.0, 0.0), "not all positive"), ((1.0, -1.0), "not all positive"),
    ((1.0, 1e-5), "under a thousandth")])
def test_wrong_weights(weights, message):
    with pytest.raises(UserError, match=message):
        data.training_batches(_pictures(20), batch_size=2, seed=0, parts=(10, 10), weights=weights)


def test_memory_stays_flat_over_three_epochs(tmp_path):
    """In a process of its own, whose every page counts; the pictures are a memory map, which does not."""
    np.save(tmp_path / "pictures.npy", np.zeros((6000, 64, 64, 3), np.uint8))
    program = f"""
import numpy as np
from redo_tf.data import training_batches
def anonymous():
    return int(next(line for line in open('/proc/self/status') if line.startswith('RssAnon')).split()[1]) / 1024
pictures = np.load({str(tmp_path / "pictures.npy")!r}, mmap_mode='c')
batches = iter(training_batches(pictures, batch_size=50, seed=0, flip=True))
held = []
for epoch in range(4):
    for _ in range(120):
        next(batches)
    held.append(anonymous())
print(*held)
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, timeout=120, capture_output=True, text=True)
    first, *later = map(float, done.stdout.split())
    assert max(later) - first < 15  # MiB. Pictures of one epoch are 70.


def test_evaluation_sees_all_pictures_in_order():
    batches = list(data.evaluation_batches(_pictures(23), batch_size=10).as_numpy_iterator())
    assert [len(batch) for batch in batches] == [10, 10, 3]
    np.testing.assert_array_equal(np.concatenate(batches), _pictures(23))


@pytest.mark.parametrize("layout", ["part", "unaligned", "read-only", "strided", "memory-mapped part"])
def test_any_array_will_do(layout, tmp_path):
    """Whatever memory an array lies in, the right pictures come out, and it is not written to."""
    pictures = _pictures(12, size=7)
    expected = pictures[3:]
    if layout == "unaligned":
        memory = np.zeros(pictures.nbytes + 1, np.uint8)
        view = memory[1:].reshape(pictures.shape)
        view[:] = pictures
        given = view[3:]
    elif layout == "read-only":
        given = pictures[3:]
        given.flags.writeable = False
    elif layout == "strided":
        given = np.repeat(pictures, 2, axis=0)[6::2]
    elif layout == "memory-mapped part":
        np.save(tmp_path / "pictures.npy", pictures)
        given = np.load(tmp_path / "pictures.npy", mmap_mode="c")[3:]
    else:
        given = pictures[3:]
    drawn = list(data.evaluation_batches(given, batch_size=4).as_numpy_iterator())
    np.testing.assert_array_equal(np.concatenate(drawn), expected)
    drawn = _indices(data.training_batches(given, batch_size=9, seed=0), 1)
    assert sorted(drawn["images"]) == list(range(3, 12))


def test_two_replicas_get_contiguous_halves(two_replicas):
    batches = data.training_batches(_pictures(40), batch_size=8, seed=3, start_step=2)
    distributed = iter(two_replicas.experimental_distribute_dataset(batches))
    for expected in batches.take(6).as_numpy_iterator():
        element = next(distributed)
        for key in ("images", "real"):
            halves = two_replicas.experimental_local_results(element[key])
            assert [half.shape.as_list() for half in halves] == [[4, 8, 8, 3]] * 2
            np.testing.assert_array_equal(np.concatenate([half.numpy() for half in halves]), expected[key])


def test_a_process_ends_while_batches_are_being_prefetched():
    """A Python function in the pipeline now and then kept the process from ending."""
    program = (
        "import numpy as np; from redo_tf.data import training_batches;"
        "batches = iter(training_batches(np.zeros((2000, 64, 64, 3), np.uint8), batch_size=64, seed=0));"
        "[next(batches) for _ in range(5)]"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
