#!/usr/bin/env python3
"""Sends pictures to TF Serving over REST and saves their masks. Needs Python's standard library only.

  python rest.py --url http://localhost:8501 --model redo photo.jpg other.png

writes photo_mask.png, grey, 255 where the object is certain, and with --labels photo_labels.png, each pixel's label;
files that have these names are replaced. One request a picture: what it gives is written before the next one is sent. At
the first that fails it stops, with exit code 1.
"""
import argparse
import base64
import http.client
import json
import pathlib
import sys
import urllib.error
import urllib.request

OUTPUTS = ("label_png_bytes", "mask_png_bytes")


def segment(url, model, files, timeout=60.0):
    """Segments JPEG or PNG files.

    Args:
      url: of the server, http://HOST:8501.
      model: its name there.
      files: their contents, a list of bytes.
      timeout: in seconds.

    Returns:
      For each file `label_png_bytes` and `mask_png_bytes`, the contents of PNG files.

    Raises:
      RuntimeError: the server refused the request, with its reason, or its answer is none of such a model's.
      OSError: the server cannot be reached.
    """
    instances = [{"image_bytes": {"b64": base64.b64encode(file).decode()}} for file in files]
    request = urllib.request.Request(
        f"{url.rstrip('/')}/v1/models/{model}:predict",
        json.dumps({"signature_name": "image_bytes", "instances": instances}).encode(),
        {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            answer = response.read()
    except urllib.error.HTTPError as error:
        raise RuntimeError(error.read().decode(errors="replace")) from error
    except http.client.HTTPException as error:
        raise RuntimeError(f"the answer broke off ({error})") from error
    try:
        results = [{name: base64.b64decode(prediction[name]["b64"]) for name in OUTPUTS}
                   for prediction in json.loads(answer)["predictions"]]
    except (ValueError, LookupError, TypeError):
        results = []
    if len(results) != len(files) or any(not png.startswith(b"\x89PNG") for result in results for png in result.values()):
        raise RuntimeError(f"the answer has no masks for {len(files)} picture(s): check the server's address and the model's name")
    return results


def prepare(pictures, output):
    """Makes the folder `output`, once each picture's results are known to have a name of their own there."""
    stems = [picture.stem for picture in pictures]
    shared = next((stem for stem in stems if stems.count(stem) > 1), None)
    if shared is not None:
        sys.exit(f"Several pictures are called {shared}, and so would their masks be: "
                 "send them one after another, to other folders.")
    output.mkdir(parents=True, exist_ok=True)


def write(path, content):
    try:
        path.write_bytes(content)
    except OSError as error:  # Of a full disk the system does not name the file.
        sys.exit(f"{path}: {error.strerror}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://localhost:8501", help="the server (default: %(default)s)")
    parser.add_argument("--model", default="redo", help="the model's name there (default: %(default)s)")
    parser.add_argument("--labels", action="store_true", help="also save the label of each pixel")
    parser.add_argument("--output", type=pathlib.Path, default=".", help="folder of the results (default: here)")
    parser.add_argument("pictures", nargs="+", type=pathlib.Path)
    options = parser.parse_args()
    try:
        prepare(options.pictures, options.output)
        for picture in options.pictures:  # A request each, so that neither its time nor its size grows with their number.
            file = picture.read_bytes()
            try:
                (result,) = segment(options.url, options.model, [file])
            except (RuntimeError, OSError) as error:
                sys.exit(f"{options.url}, {picture}: {error}")
            write(options.output / f"{picture.stem}_mask.png", result["mask_png_bytes"])
            if options.labels:
                write(options.output / f"{picture.stem}_labels.png", result["label_png_bytes"])
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror}")


if __name__ == "__main__":
    main()
