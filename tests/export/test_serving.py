"""A served SavedModel and the clients, over gRPC with TensorFlow Serving's own stubs and over REST."""
from __future__ import annotations

import http.client
import io
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

import server
from checks import assert_same, assert_same_png, encoded, pictures, read
from export.clients import grpc_client, rest


@pytest.fixture(scope="module")
def served(models):
    with server.serving(models + "/1") as addresses:
        yield addresses


@pytest.fixture(scope="module", params=["grpc", "rest"])
def client(request, served):
    """Files → what the client gets for each, as a function."""
    address, url = served
    if request.param == "grpc":
        return lambda files: grpc_client.segment(grpc.insecure_channel(address), server.NAME, files)
    return lambda files: rest.segment(url, server.NAME, files)


def test_a_client_gets_the_masks_of_its_files(client, segmented):
    images = [pictures(1, *size)[0] for size in ((32, 32), (97, 65), (20, 33))]
    results = client([encoded(image) for image in images])
    assert len(results) == 3
    for image, result in zip(images, results):
        expected = segmented(image[None])
        assert result.keys() == {"label_png_bytes", "mask_png_bytes"}
        assert all(file.startswith(b"\x89PNG\r\n") for file in result.values())
        assert np.mean(read(result["label_png_bytes"]) == expected.labels[0]) >= 0.999
        assert_same_png(result["mask_png_bytes"], expected.masks[0])


def test_the_error_names_the_broken_file_among_good_ones(client):
    good = encoded(pictures(1, 40, 40)[0], "JPEG")
    with pytest.raises((grpc.RpcError, RuntimeError)) as raised:
        client([good, good, good[:300], good])
    told = raised.value.details() if isinstance(raised.value, grpc.RpcError) else str(raised.value)
    assert re.search(r"picture at index \[2\], counted from 0", told)


def test_pixels_over_grpc_with_the_real_stubs(served, segmented):
    images = pictures(3, 45, 64)
    request = predict_pb2.PredictRequest()
    request.model_spec.name = server.NAME
    request.inputs["images"].CopyFrom(tf.make_tensor_proto(images))
    stub = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(served[0]))
    outputs = stub.Predict(request, 60).outputs
    assert_same(tf.make_ndarray(outputs["masks"]), tf.make_ndarray(outputs["labels"]), segmented(images))


def test_pixels_over_rest(served, segmented):
    images = pictures(2, 32, 40)
    body = json.dumps({"instances": [{"images": image.tolist()} for image in images]}).encode()
    with urllib.request.urlopen(f"{served[1]}/v1/models/{server.NAME}:predict", body, timeout=60) as response:
        predictions = json.load(response)["predictions"]
    assert_same(*(np.array([row[name] for row in predictions]) for name in ("masks", "labels")), segmented(images))


CLIENTS = pytest.mark.parametrize("script, flag, which", [(rest, "--url", 1), (grpc_client, "--address", 0)])


@pytest.fixture
def photos(tmp_path):
    """A folder with a picture, another of its name, and a file that is none."""
    file = encoded(pictures(1, 40, 52)[0])
    (tmp_path / "other").mkdir()
    for name, content in (("photo.png", file), ("other/photo.png", file), ("broken.jpg", b"text")):
        (tmp_path / name).write_bytes(content)
    return tmp_path


@CLIENTS
def test_a_client_as_a_person_runs_it(served, segmented, photos, script, flag, which):
    # Without the project's folder on the path: a client is one file.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, script.__file__, flag, served[which], "photo.png", "broken.jpg", "--labels"], cwd=photos,
        env={**environment, "TF_CPP_MIN_LOG_LEVEL": "3"}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1 and "broken.jpg: " in done.stderr and "Traceback" not in done.stderr
    # What came before it is written.
    assert {path.name for path in photos.iterdir()} == {
        "photo.png", "other", "broken.jpg", "photo_mask.png", "photo_labels.png"}
    expected = segmented(pictures(1, 40, 52))
    assert_same_png((photos / "photo_mask.png").read_bytes(), expected.masks[0])
    assert np.mean(read((photos / "photo_labels.png").read_bytes()) == expected.labels[0]) >= 0.999


@CLIENTS
def test_where_a_client_writes_and_how_it_stops(served, segmented, photos, monkeypatch, capsys, script, flag, which):
    monkeypatch.chdir(photos)

    def run(*arguments):
        """What it exits with: nothing, or a sentence, which Python prints with exit code 1."""
        monkeypatch.setattr(sys, "argv", ["client", flag, served[which], *arguments])
        try:
            return script.main()
        except SystemExit as stop:
            return stop.code

    for arguments, sentence in ((["photo.png", "other/photo.png"], "Several pictures are called photo, "),
                                (["photo.png", "none.png"], "none.png: No such file or directory"),
                                (["photo.png", "--output", "photo.png/x"], "photo.png/x: Not a directory")):
        assert run(*arguments).startswith(sentence)
    (photos / "photo_mask.png").unlink()  # What came before it was written.
    assert run("photo.png", "--output", "new/folder") is None
    assert [path.name for path in (photos / "new/folder").iterdir()] == ["photo_mask.png"]  # Labels are for those who ask.
    assert_same_png((photos / "new/folder/photo_mask.png").read_bytes(), segmented(pictures(1, 40, 52)).masks[0])
    assert "broken.jpg: " in run("photo.png", "broken.jpg")
    assert (photos / "photo_mask.png").read_bytes() == (photos / "new/folder/photo_mask.png").read_bytes()
    if os.path.exists("/dev/full"):
        (photos / "full").mkdir()
        (photos / "full" / "photo_mask.png").symlink_to("/dev/full")
        assert run("photo.png", "--output", "full") == "full/photo_mask.png: No space left on device"
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("answer", [
    b"<html>", b'{"predictions": []}', b'{"predictions": [[0.5]]}', b'{"predictions": [{"scores": 1}]}', b"[]",
    b'{"predictions": [{"label_png_bytes": 1, "mask_png_bytes": 1}]}',
    b'{"predictions": [{"label_png_bytes": {"b64": "aGVsbG8="}, "mask_png_bytes": {"b64": "aGVsbG8="}}]}'])
def test_what_no_such_model_answers_is_told_in_a_sentence(monkeypatch, answer):
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: io.BytesIO(answer))
    with pytest.raises(RuntimeError, match=r"^the answer has no masks for 1 picture\(s\): check "):
        rest.segment("http://localhost:1", "redo", [b"picture"])


def test_an_answer_that_breaks_off_is_told_in_a_sentence(monkeypatch):
    def broken(*_, **__):
        raise http.client.IncompleteRead(b"", 5)
    monkeypatch.setattr(urllib.request, "urlopen", broken)
    with pytest.raises(RuntimeError, match=r"^the answer broke off \(IncompleteRead\(0 bytes read, 5 more expected\)\)$"):
        rest.segment("http://localhost:1", "redo", [b"picture"])
