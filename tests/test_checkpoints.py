from __future__ import annotations

import os

import pytest
import tensorflow as tf

from full_disk import room_for
from redo_tf.checkpoints import Checkpoints, is_readable
from redo_tf.errors import UserError


def save(folder, *values, kept=5):
    """Checkpoints 1, 2, … of a variable with these values."""
    variable = tf.Variable(tf.zeros([1000]))
    checkpoints = Checkpoints(str(folder), kept, value=variable)
    for number, value in enumerate(values, start=1):
        variable.assign(tf.fill([1000], value))
        checkpoints.save(number)
    return checkpoints


def restored(folder):
    """The value in the newest readable checkpoint, and its path."""
    variable = tf.Variable(tf.fill([1000], -1.0))
    prefix = Checkpoints(str(folder), 5, value=variable).restore_newest()
    assert len(set(variable.numpy())) == 1
    return variable.numpy()[0], prefix


def truncate(path, keep=0.5):
    with open(path, "r+b") as file:
        file.truncate(int(os.path.getsize(path) * keep))


def test_only_the_newest_few_are_kept(tmp_path):
    save(tmp_path, 1.0, 2.0, 3.0, 4.0, kept=2)
    assert sorted(name for name in os.listdir(tmp_path) if name.endswith(".index")) == ["ckpt-3.index", "ckpt-4.index"]
    assert sorted(name for name in os.listdir(tmp_path) if ".data-" in name) == [
        "ckpt-3.data-00000-of-00001", "ckpt-4.data-00000-of-00001"]


def test_a_new_process_goes_on_deleting_old_ones(tmp_path):
    save(tmp_path, 1.0, 2.0, kept=2)
    Checkpoints(str(tmp_path), 2, value=tf.Variable(tf.zeros([1000]))).save(3)
    assert sorted(name for name in os.listdir(tmp_path) if name.endswith(".index")) == ["ckpt-2.index", "ckpt-3.index"]


def test_the_newest_is_the_highest_number_not_the_last_in_the_alphabet(tmp_path):
    save(tmp_path, *[float(i) for i in range(1, 11)], kept=10)
    assert restored(tmp_path) == (10.0, str(tmp_path / "ckpt-10"))


def test_looking_for_checkpoints_makes_no_folder(tmp_path):
    assert restored(tmp_path / "none") == (-1.0, None)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("suffix", [".index", ".data-00000-of-00001"])
@pytest.mark.parametrize("keep", [0, 0.5, 0.99])
def test_a_truncated_checkpoint_is_skipped_with_a_warning(tmp_path, caplog, suffix, keep):
    save(tmp_path, 1.0, 2.0, 3.0)
    truncate(tmp_path / f"ckpt-3{suffix}", keep)
    assert restored(tmp_path) == (2.0, str(tmp_path / "ckpt-2"))
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        f"Checkpoint {tmp_path / 'ckpt-3'} is damaged and was skipped."]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_checkpoint_that_is_replaced_while_it_is_read_gives_way_to_the_new_one(tmp_path, monkeypatch, caplog, moment):
    """As best/ is by a training that goes on; before or after it was found readable."""
    checkpoints, check = save(tmp_path, 1.0, kept=1), is_readable

    def replacing(prefix):
        found = check(prefix) if moment == "after" else None
        if prefix == str(tmp_path / "ckpt-1"):
            checkpoints.save(2)
            assert not os.path.exists(f"{prefix}.index")
        return check(prefix) if found is None else found
    monkeypatch.setattr("redo_tf.checkpoints.is_readable", replacing)
    assert restored(tmp_path) == (1.0, str(tmp_path / "ckpt-2"))
    assert not [record for record in caplog.records if "damaged" in record.getMessage()]


def test_a_checkpoint_that_is_read_while_it_is_written_is_read_again(tmp_path, monkeypatch, caplog):
    """As best/ may be, where the one before is deleted next."""
    save(tmp_path, 1.0, 2.0)
    whole, check = (tmp_path / "ckpt-2.index").read_bytes(), is_readable
    truncate(tmp_path / "ckpt-2.index")

    def meanwhile(prefix):
        found = check(prefix)
        if not found:
            (tmp_path / "ckpt-2.index").write_bytes(whole)
            for path in tmp_path.glob("ckpt-1.*"):
                path.unlink()
        return found
    monkeypatch.setattr("redo_tf.checkpoints.is_readable", meanwhile)
    assert restored(tmp_path) == (2.0, str(tmp_path / "ckpt-2"))
    assert not [record for record in caplog.records if "damaged" in record.getMessage()]


def test_a_flipped_byte_is_noticed(tmp_path):
    save(tmp_path, 1.0, 2.0)
    with open(tmp_path / "ckpt-2.data-00000-of-00001", "r+b") as file:
        file.seek(2000)
        byte = file.read(1)
        file.seek(2000)
        file.write(bytes([byte[0] ^ 1]))
    assert not is_readable(str(tmp_path / "ckpt-2"))
    assert restored(tmp_path)[0] == 1.0


def test_a_checkpoint_without_its_data_is_skipped(tmp_path):
    save(tmp_path, 1.0, 2.0)
    os.unlink(tmp_path / "ckpt-2.data-00000-of-00001")
    assert restored(tmp_path)[0] == 1.0


def test_all_damaged_is_as_none(tmp_path):
    save(tmp_path, 1.0, 2.0)
    for number in (1, 2):
        truncate(tmp_path / f"ckpt-{number}.index")
    assert restored(tmp_path) == (-1.0, None)


def test_a_skipped_one_is_replaced_when_training_gets_there_again(tmp_path):
    save(tmp_path, 1.0, 2.0)
    truncate(tmp_path / "ckpt-2.data-00000-of-00001")
    variable = tf.Variable(tf.zeros([1000]))
    checkpoints = Checkpoints(str(tmp_path), 5, value=variable)
    checkpoints.restore_newest()
    variable.assign_add(tf.fill([1000], 6.0))
    checkpoints.save(2)
    assert restored(tmp_path) == (7.0, str(tmp_path / "ckpt-2"))


@pytest.mark.parametrize("content", [b"", b"model_checkpoint_path: ", b"\0" * 64, b"\xff"])
def test_a_damaged_list_of_checkpoints_is_made_anew(tmp_path, content):
    save(tmp_path, 1.0, 2.0)
    (tmp_path / "checkpoint").write_bytes(content)
    assert restored(tmp_path) == (2.0, str(tmp_path / "ckpt-2"))
    variable = tf.Variable(tf.fill([1000], 3.0))
    Checkpoints(str(tmp_path), 5, value=variable).save(3)
    assert restored(tmp_path) == (3.0, str(tmp_path / "ckpt-3"))


def test_what_a_killed_save_leaves_is_harmless(tmp_path):
    save(tmp_path, 1.0)
    (tmp_path / "ckpt-2_temp").mkdir()
    (tmp_path / "ckpt-2_temp" / "part-00000-of-00001.data-00000-of-00001").write_bytes(b"half")
    (tmp_path / "ckpt-2.data-00000-of-00001").write_bytes(b"data without its index")
    (tmp_path / "ckpt-2.index.tempstate123").write_bytes(b"half")
    (tmp_path / "checkpoint.tmp123").write_bytes(b"half")
    assert restored(tmp_path) == (1.0, str(tmp_path / "ckpt-1"))
    variable = tf.Variable(tf.fill([1000], 2.0))
    Checkpoints(str(tmp_path), 5, value=variable).save(2)
    assert restored(tmp_path) == (2.0, str(tmp_path / "ckpt-2"))


def test_what_saves_that_were_cut_off_have_left_is_swept_up(tmp_path):
    save(tmp_path, 1.0, 2.0, 3.0, kept=3)
    (tmp_path / "ckpt-4_temp").mkdir()
    (tmp_path / "ckpt-4_temp" / "part-00000-of-00001.data-00000-of-00001").write_bytes(b"half")
    (tmp_path / "ckpt-5.data-00000-of-00001").write_bytes(b"data without its index")
    (tmp_path / "ckpt-3 (copy).index").write_bytes(b"a person's")
    truncate(tmp_path / "ckpt-3.index")
    checkpoints = Checkpoints(str(tmp_path), 1, value=tf.Variable(tf.zeros([1000])))
    checkpoints.sweep(checkpoints.restore_newest())
    left = {"checkpoint", "ckpt-3 (copy).index", *(f"ckpt-{i}.{part}" for i in (2, 3) for part in ("index", "data-00000-of-00001"))}
    assert set(os.listdir(tmp_path)) == left  # 2 was restored, 3 is the newest, though damaged.


def test_a_checkpoint_that_lacks_a_variable_is_told(tmp_path):
    save(tmp_path, 1.0)
    more = Checkpoints(str(tmp_path), 1, value=tf.Variable(tf.zeros([1000])), more=tf.Variable(1.0))
    with pytest.raises(UserError, match=f"^Checkpoint {tmp_path}/ckpt-1 lacks variables of this version's networks"):
        more.restore_newest()


def test_a_lost_list_of_checkpoints_is_harmless(tmp_path):
    save(tmp_path, 1.0, 2.0)
    os.unlink(tmp_path / "checkpoint")
    assert restored(tmp_path)[0] == 2.0
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "ck')
    assert restored(tmp_path)[0] == 2.0


def test_a_disk_that_cannot_take_the_checkpoint_is_told_and_the_older_ones_stay(tmp_path):
    checkpoints = save(tmp_path, 1.0, 2.0, kept=2)
    with room_for(1000), pytest.raises(UserError) as caught:  # The variable alone has 4000 bytes.
        checkpoints.save(3)
    assert str(caught.value) == (f"Checkpoint 3 cannot be saved in {tmp_path} (File too large): make room there and run "
                                 "the same command to continue from the last checkpoint.")
    assert restored(tmp_path) == (2.0, str(tmp_path / "ckpt-2"))
    assert is_readable(str(tmp_path / "ckpt-1"))
    checkpoints.save(3)
    assert restored(tmp_path)[1] == str(tmp_path / "ckpt-3")


@pytest.mark.parametrize("error", [
    tf.errors.ResourceExhaustedError, tf.errors.PermissionDeniedError, tf.errors.FailedPreconditionError])
def test_tensorflows_write_errors_become_one_sentence(tmp_path, monkeypatch, error):
    checkpoints = save(tmp_path, 1.0)

    def fail(*_, **__):
        raise error(None, None, f"{tmp_path}/ckpt-2.data; No space left on device [Op:SaveV2]\nmore")
    monkeypatch.setattr(checkpoints.manager, "save", fail)
    with pytest.raises(UserError, match=r"^Checkpoint 2 .* \(No space left on device\): make room [^\n]*$"):
        checkpoints.save(2)
    assert restored(tmp_path)[0] == 1.0


def test_a_part_that_a_run_does_not_have_is_left_out(tmp_path):
    value = tf.Variable(3.0)
    Checkpoints(str(tmp_path), 1, value=value, average=None).save(1)
    names = [name for name, _ in tf.train.list_variables(str(tmp_path / "ckpt-1"))]
    assert any(name.startswith("value/") for name in names) and not any(name.startswith("average") for name in names)
