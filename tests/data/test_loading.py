"""Facts about mixtures, and about looking without preparing."""
from __future__ import annotations

import numpy as np
import pytest

from redo_tf import data
from redo_tf.config import DataConfig, from_json, to_json
from redo_tf.data import shapes, storage
from redo_tf.errors import UserError
from redo_tf.recipe_flags import resolve
from small_archives import SmallFlowers

pytestmark = pytest.mark.usefixtures("few_shapes")


@pytest.fixture
def archives(small_lfw):
    """A data folder with LFW and Flowers in small."""
    SmallFlowers(small_lfw.folder / "flowers")
    return small_lfw.folder


def _load(name, split, folder, size=16, **options):
    return data.load(name, split, data_dir=folder, image_size=size, **options)


@pytest.mark.parametrize("split, sizes", [("train", (31, 7)), ("val", (8, 3)), ("test", (9, 2))])
def test_a_mixture_is_its_parts_one_after_another(archives, split, sizes):
    mixture = _load("lfw+flowers", split, archives)
    parts = [_load(name, split, archives) for name in ("lfw", "flowers")]
    assert mixture.parts == sizes
    np.testing.assert_array_equal(mixture.images, np.concatenate([part.images for part in parts]))
    assert list(mixture.ids) == [f"lfw/{name}" for name in parts[0].ids] + [f"flowers/{name}" for name in parts[1].ids]
    np.testing.assert_array_equal(mixture.masks[sizes[0]:], parts[1].masks)
    if split == "train":
        assert (mixture.masks[:sizes[0]] == 255).all()  # LFW's training pictures have no masks.
    else:
        np.testing.assert_array_equal(mixture.masks[:sizes[0]], parts[0].masks)


def test_a_mixture_follows_its_parts(archives, small_lfw):
    assert (_load("lfw+flowers", "val", archives).masks[:8] != 255).all()
    del small_lfw.labels[f"parts_lfw_funneled_gt_images/{small_lfw.lists['val'][0]}.ppm"]
    small_lfw.write()
    assert (_load("lfw+flowers", "val", archives).masks[:8] == 255).any()


@pytest.mark.parametrize("name, message", [
    ("lfw+flower", "Unknown data set 'flower': did you mean 'flowers'"),
    ("lfw+lfw", "lfw.lfw names a data set twice"),
    ("lfw+", "Unknown data set ''"),
    ("folder+lfw", "folder.lfw: folder takes all of --data_dir"),
    ("lfw+c2mnist", r"numbers of regions differ \(lfw 2, c2mnist 3\)"),
])
def test_what_cannot_be_mixed(name, message):
    with pytest.raises(UserError, match=message):
        data.members(name)


def test_a_mixture_is_configured_by_names_and_weights():
    config = resolve("flowers+lfw", None, ["data.weights=1,2.5"])
    assert (config.data.dataset, config.data.weights) == ("flowers+lfw", (1.0, 2.5))
    assert config.model == resolve("flowers", None, []).model  # The first one's recipe.
    assert from_json(to_json(config)) == config
    with pytest.raises(UserError, match="Unknown data set 'shape': did you mean 'shapes'"):
        resolve("lfw+shape", None, [])
    with pytest.raises(UserError, match="has 2 numbers for 1 data sets"):
        resolve("lfw", None, ["data.weights=1,2"])


def test_the_fields_of_a_configuration_may_be_given_one_by_one(monkeypatch):
    asked = []
    monkeypatch.setattr("redo_tf.data.loading.load_configured", lambda *arguments: asked.append(arguments))
    data.load("folder", "val", data_dir="photos", image_size=64, resize="nearest", mask_dir="/masks", stored_side=128,
              download=True)
    data.load("shapes", "train", data_dir=None, image_size=32)
    assert asked == [
        (DataConfig(dataset="folder", image_size=64, resize="nearest", mask_dir="/masks", stored_side=128), "val", "photos", True),
        (DataConfig(dataset="shapes", image_size=32), "train", None, False)]


def test_a_larger_stored_side_serves_several_sizes(archives, monkeypatch):
    flowers = _load("flowers", "train", archives, size=16, stored_side=32)
    monkeypatch.setattr(data.loading.dataset("flowers"), "_generate_examples", None)  # Nothing is prepared again.
    assert _load("flowers", "train", archives, size=24, stored_side=32).images.shape == (7, 24, 24, 3)
    assert flowers.images.shape == (7, 16, 16, 3)
    with pytest.raises(UserError, match="data.stored_side=8 is less than data.image_size=16: raise it, or set it to 0"):
        _load("flowers", "train", archives, stored_side=8)


def test_where_another_persons_data_may_not_be_written_it_goes_elsewhere(tmp_path):
    first, second = tmp_path / "shared", tmp_path / "cache"
    (first / "redo_folder").mkdir(parents=True)
    assert storage.first_writable([first, second], "redo_folder") == first
    (first / "redo_folder").chmod(0o555)
    assert storage.first_writable([first, second], "redo_folder") == second
    assert storage.first_writable([first, second], "redo_lfw") == first


def test_looking_prepares_and_writes_nothing(tmp_path):
    config = DataConfig(dataset="shapes", image_size=32)
    (tmp_path / "data").mkdir()
    assert data.find(config, "val", tmp_path / "data") is None
    assert not list((tmp_path / "data").iterdir())
    loaded = data.load_configured(config, "val", tmp_path / "data")
    assert data.find(config, "train", tmp_path / "data") is None
    np.testing.assert_array_equal(data.find(config, "val", tmp_path / "data").images, loaded.images)
    drawn, _ = shapes.draw(shapes.picture_seed("val", int(loaded.ids[0][-5:])), 32)
    np.testing.assert_array_equal(loaded.images[0], drawn)
