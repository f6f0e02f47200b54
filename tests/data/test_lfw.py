"""Facts about LFW, on a small archive in the published layout and on the real one."""
from __future__ import annotations

import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from redo_tf import segmenter
from redo_tf.data import lfw, load, storage
from redo_tf.errors import UserError
from redo_tf.evaluate import evaluate_split
from redo_tf.trained import of_model


def _load(folder, split, **options):
    return load("lfw", split, data_dir=folder, image_size=options.pop("image_size", 20), **options)


def _share_nobody(pictures, first, second):
    return not {pictures[name] for name in first} & {pictures[name] for name in second}


def test_pictures_masks_and_splits_are_the_archive_s(small_lfw):
    """At the archive's own size nothing is resized, so every pixel can be compared."""
    for split, names in small_lfw.lists.items():
        loaded = _load(small_lfw.folder, split)
        assert sorted(loaded.ids) == sorted(names)
        assert (loaded.masks is None) == (split == "train")
        for position, name in enumerate(loaded.ids):
            content = small_lfw.images[f"lfw_funneled/{small_lfw.pictures[name]}/{name}.jpg"]
            np.testing.assert_array_equal(loaded.images[position], np.asarray(Image.open(io.BytesIO(content))))
            if split != "train":
                np.testing.assert_array_equal(loaded.masks[position], small_lfw.masks[name])


def test_pictures_without_part_label_are_unlabelled(small_lfw):
    labelled, unlabelled = small_lfw.lists["val"][0], small_lfw.lists["val"][1]
    del small_lfw.labels[f"parts_lfw_funneled_gt_images/{unlabelled}.ppm"]
    small_lfw.write()
    masks = dict(zip(_load(small_lfw.folder, "val").ids, _load(small_lfw.folder, "val").masks))
    assert (masks[unlabelled] == 255).all()
    assert set(np.unique(masks[labelled])) == {0, 1}


def test_works_without_part_labels(small_lfw):
    small_lfw.write(labels=False)
    assert _load(small_lfw.folder, "val").masks is None


def test_grey_pictures_become_three_channels(small_lfw):
    buffer = io.BytesIO()
    grey = np.arange(400, dtype=np.uint8).reshape(20, 20)
    Image.fromarray(grey).save(buffer, "jpeg", quality=100)
    name = small_lfw.lists["train"][0]
    small_lfw.images[f"lfw_funneled/{small_lfw.pictures[name]}/{name}.jpg"] = buffer.getvalue()
    small_lfw.write()
    loaded = _load(small_lfw.folder, "train")
    image = loaded.images[list(loaded.ids).index(name)]
    assert (image == image[..., :1]).all()


@pytest.mark.parametrize("subfolder", ["lfw", "downloads/manual"])
def test_archives_are_found_in_subfolders(small_lfw, tmp_path, subfolder):
    place = tmp_path / "elsewhere" / subfolder
    place.parent.mkdir(parents=True)
    small_lfw.folder.rename(place)
    assert len(_load(tmp_path / "elsewhere", "val").ids) == len(small_lfw.lists["val"])


def test_split_by_person_without_lists(small_lfw):
    small_lfw.remove_lists()
    splits = {split: list(_load(small_lfw.folder, split).ids) for split in ("train", "val", "test")}
    pictures, labelled = small_lfw.pictures, set(small_lfw.masks)
    assert sorted(sum(splits.values(), [])) == sorted(pictures)
    assert not labelled & set(splits["train"])
    assert _share_nobody(pictures, splits["val"], splits["test"])


def test_split_by_person_is_always_the_same(small_lfw):
    pictures = small_lfw.pictures
    first = lfw.split_by_person(pictures, set(small_lfw.masks))
    shuffled = dict(sorted(pictures.items(), reverse=True))
    assert lfw.split_by_person(shuffled, set(small_lfw.masks)) == first


@pytest.mark.parametrize("known", ["val and test", "val", "none"])
def test_split_by_person_has_the_published_sizes(real_data, known):
    """With all part labels, with those of validation alone, and with none."""
    lists = {
        split: dict(line.split()[::-1] for line in (real_data / "lfw" / f"splits/{split}.txt").read_text().splitlines())
        for split in ("train", "val", "test")
    }
    pictures = {**lists["train"], **lists["val"], **lists["test"]}
    labelled = set().union(*(lists[split] for split in ("val", "test") if split in known))
    splits = lfw.split_by_person(pictures, labelled)
    assert {split: len(names) for split, names in splits.items()} == lfw.PUBLISHED_SIZES
    assert sorted(sum(splits.values(), [])) == sorted(pictures)
    assert not labelled & set(splits["train"])
    assert _share_nobody(pictures, splits["val"], splits["test"])
    if known == "none":
        assert _share_nobody(pictures, splits["train"], splits["val"] + splits["test"])


@pytest.fixture(scope="module")
def faces(real_data, tmp_path_factory):
    """A folder with the real archives, in which prepared data may be left."""
    folder = tmp_path_factory.mktemp("faces")
    (folder / "lfw").symlink_to(real_data / "lfw")
    return folder


def test_real_archives(real_data, faces):
    """The published split, and masks compared with the part labels decoded here."""
    builder, _ = storage.prepare(lfw.Lfw, faces, None)
    assert {split: info.num_examples for split, info in builder.info.splits.items()} == lfw.PUBLISHED_SIZES
    val = _load(faces, "val", image_size=250)
    listed = [line.split()[1] for line in (real_data / "lfw/splits/val.txt").read_text().splitlines()]
    assert sorted(val.ids) == sorted(listed)
    position = {name: index for index, name in enumerate(val.ids)}
    with tarfile.open(real_data / "lfw" / lfw.PARTS) as archive:
        for member in archive:
            if not member.name.endswith(".ppm"):
                continue
            label = np.asarray(Image.open(archive.extractfile(member)))
            red_or_green = (label == [255, 0, 0]).all(-1) | (label == [0, 255, 0]).all(-1)
            name = member.name.split("/")[1][: -len(".ppm")]
            np.testing.assert_array_equal(val.masks[position.pop(name)], red_or_green)
    assert not position  # Every validation picture has a label.
    assert 0.2 < (val.masks == 1).mean() < 0.4


def test_the_network_that_comes_with_the_package_scores_what_its_card_says(faces):
    results = evaluate_split(of_model("lfw"), "val", str(faces))
    told = segmenter.load("lfw").card["scores"]
    # The run scored it in bfloat16; a pixel in two hundred may be another's.
    assert results["pictures"] == 1327 and {name: results[name] for name in told} == pytest.approx(told, abs=0.005)


def test_missing_archive(tmp_path):
    with pytest.raises(UserError, match=r"^lfw-funneled.tgz not found in .* lfw/ .* http.* put them there .*splits"):
        _load(tmp_path, "train")
    assert not list(tmp_path.iterdir())


def test_without_a_data_folder():
    with pytest.raises(UserError, match="lfw-funneled.tgz: get .* http.* --data_dir=FOLDER"):
        load("lfw", "train", data_dir=None, image_size=32)


@pytest.mark.parametrize("archive", [lfw.IMAGES, lfw.PARTS])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.9, 0.999])
def test_truncated_archive(small_lfw, leftovers, archive, share):
    path = small_lfw.folder / archive
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError, match=rf"/{archive} is damaged or cut short \(.+\): download it again\.$"):
        _load(small_lfw.folder, "val")
    assert not leftovers(small_lfw.folder)


def test_web_page_instead_of_archive(small_lfw):
    (small_lfw.folder / lfw.IMAGES).write_text("<html>404</html>")
    with pytest.raises(UserError, match="lfw-funneled.tgz is damaged or cut short"):
        _load(small_lfw.folder, "val")


@pytest.mark.parametrize("archive, kind", [(lfw.IMAGES, "images"), (lfw.PARTS, "labels")])
def test_unreadable_picture(small_lfw, leftovers, archive, kind):
    members = getattr(small_lfw, kind)
    member = [name for name in members if "Person_18_0001" in name][0]
    members[member] = members[member][:200]
    small_lfw.write()
    with pytest.raises(UserError, match=rf"^{member} in .*/{archive} is not a readable picture"):
        _load(small_lfw.folder, "val")
    assert not leftovers(small_lfw.folder)


def test_label_of_another_size(small_lfw):
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((10, 20, 3), np.uint8)).save(buffer, "ppm")
    small_lfw.labels["parts_lfw_funneled_gt_images/Person_18_0001.ppm"] = buffer.getvalue()
    small_lfw.write()
    with pytest.raises(UserError, match=r"mask of Person_18_0001 .* is \(10, 20\) where the picture is \(20, 20\)"):
        _load(small_lfw.folder, "val")


@pytest.mark.parametrize(
    "line, message",
    [
        ("Nobody Nobody_0001\n", r"val.txt, line 9: Nobody/Nobody_0001.jpg is not in .*lfw-funneled.tgz"),
        ("Person_00 Person_01_0001\n", r"val.txt, line 9: Person_00/Person_01_0001.jpg is not in"),
        ("Person_16 Person_16_0001\n", r"val.txt, line 9: Person_16_0001 is listed before, in .*val.txt"),
        ("Person_00 Person_00_0001\n", r"val.txt, line 9: Person_00_0001 is listed before, in .*train.txt"),
        ("Person_16_0001\n", r"val.txt, line 9: expected PERSON PICTURE, found 'Person_16_0001'"),
    ],
)
def test_wrong_line_in_a_list(small_lfw, leftovers, line, message):
    with (small_lfw.folder / "splits" / "val.txt").open("a") as file:
        file.write(line)
    with pytest.raises(UserError, match=message):
        _load(small_lfw.folder, "val")
    assert not leftovers(small_lfw.folder)


def test_empty_list(small_lfw):
    (small_lfw.folder / "splits" / "test.txt").write_text("\n")
    with pytest.raises(UserError, match="test.txt lists no picture"):
        _load(small_lfw.folder, "val")


def test_one_list_missing(small_lfw):
    (small_lfw.folder / "splits" / "test.txt").unlink()
    with pytest.raises(UserError, match="test.txt is missing although other split lists are there"):
        _load(small_lfw.folder, "val")


def test_prepared_anew_when_labels_arrive_later(small_lfw):
    small_lfw.write(labels=False)
    assert _load(small_lfw.folder, "val").masks is None
    small_lfw.write()
    assert _load(small_lfw.folder, "val").masks is not None


def test_archives_may_go_once_it_is_prepared(small_lfw):
    before = _load(small_lfw.folder, "val")
    (small_lfw.folder / lfw.PARTS).unlink()
    assert _load(small_lfw.folder, "val").masks is not None
    (small_lfw.folder / lfw.IMAGES).unlink()
    after = _load(small_lfw.folder, "val", image_size=10)
    assert list(after.ids) == list(before.ids)
