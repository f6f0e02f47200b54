"""What the TFDS builders share: their examples, and their configuration by size."""

from __future__ import annotations

import dataclasses
import io
import pathlib
import shutil
import threading
from typing import Any, ClassVar, Dict, Iterable, Iterator, Optional, Tuple, Union

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from redo_tf.data.archives import Sources
from redo_tf.data.resizing import RESIZE, shrink
from redo_tf.errors import UserError
from redo_tf.progress import bar

Example = Tuple[str, Dict[str, Any]]  # TFDS's key, unique in the split, and the features.


@dataclasses.dataclass(eq=False)
class PictureSize(tfds.core.BuilderConfig):
    """Configuration of a generated data set: the side of its pictures in pixels."""

    image_size: int = 64


def picture_size(size: int) -> PictureSize:
    """The configuration of pictures that are drawn at S pixels."""
    return PictureSize(name=f"{size}px", description=f"Pictures of {size} by {size} pixels.", image_size=size)


@dataclasses.dataclass(eq=False)
class ShortSide(tfds.core.BuilderConfig):
    """Configuration of a data set of photographs: how small they are kept.

    Attributes:
      image_size: short side in pixels; smaller pictures are kept as they are.
      resize: how they are reduced, a key of `RESIZE`.
      mask_dir: where a person's own masks are, if the data set takes such.
    """

    image_size: int = 128
    resize: str = "antialias"
    mask_dir: Optional[pathlib.Path] = None


def short_side(size: int, resize: str = "antialias") -> ShortSide:
    """The configuration of photographs whose short sides are kept at no more than so many pixels."""
    name = f"{size}px" if resize == "antialias" else f"{size}px_{resize}"
    return ShortSide(
        name=name, description=f"Short sides of at most {size} pixels, {resize}.", image_size=size, resize=resize
    )


class _Info(tfds.core.DatasetInfo):
    """Does not look for the data set in TFDS's bucket, which has none of ours."""

    def initialize_from_bucket(self) -> None:
        pass


class PictureBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Pictures with masks.

    An example is `{"image": uint8 [H, W, 3], "mask": uint8 [H, W], "id": string}`.
    Mask values: 0 background, 1…n−1 objects, 255 no label.

    Class attributes of a data set, beside TFDS's own:
      REGIONS: natural number of regions n, background included.
      MERGEABLE: see `split.Split`.
      LARGEST_LABEL: in prepared examples, beside 255; None for n − 1.
      SOURCES: the files it is made from, or None if it is generated.
      DESCRIPTION, HOMEPAGE, CITATION: for the TFDS documentation.
    """

    REGIONS: ClassVar[int] = 2
    MERGEABLE: ClassVar[bool] = False
    LARGEST_LABEL: ClassVar[Optional[int]] = None
    SOURCES: ClassVar[Optional[Sources]] = None
    DESCRIPTION: ClassVar[str]
    HOMEPAGE: ClassVar[str]
    CITATION: ClassVar[str]

    @classmethod
    def configuration(
        cls, image_size: int, resize: str, mask_dir: Optional[pathlib.Path]
    ) -> Optional[tfds.core.BuilderConfig]:
        """The TFDS configuration for pictures of a size; None where pictures are kept as published."""
        del resize, mask_dir
        return picture_size(image_size) if cls.BUILDER_CONFIGS else None

    @property
    def classes(self) -> int:
        """Number of labels, background included, of the data as it is prepared."""
        return self.REGIONS

    def labels(self, mask: np.ndarray) -> np.ndarray:
        """An example's mask as labels 0…`classes`−1 and 255."""
        return mask

    @classmethod
    def configured(
        cls, data_dir: Union[str, pathlib.Path], config: Optional[tfds.core.BuilderConfig]
    ) -> PictureBuilder:
        """A builder with a configuration from `configuration`."""
        known = {known.name: known for known in cls.BUILDER_CONFIGS}  # TFDS wants its own object of that name.
        return cls(data_dir=str(data_dir), config=config and known.get(config.name, config))

    def _info(self) -> tfds.core.DatasetInfo:
        describe = tfds.features.Documentation
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(
                    shape=(None, None, 3), doc=describe(desc="The picture.", value_range="0…255")
                ),
                "mask": tfds.features.Tensor(
                    shape=(None, None),
                    dtype=np.uint8,
                    encoding="zlib",
                    doc=describe(
                        desc="Region of each pixel: 0 background, 1 and up objects, 255 no label.",
                        value_range=f"0…{self.LARGEST_LABEL or self.REGIONS - 1}, 255",
                    ),
                ),
                "id": tfds.features.Text(doc=describe(desc="Name of the picture, unique in the data set.")),
            }
        )
        return _Info(
            builder=self,
            description=self.DESCRIPTION,
            homepage=self.HOMEPAGE,
            citation=self.CITATION,
            features=features,
            # The files it was made from, so that changed ones are noticed.
            metadata=tfds.core.MetadataDict(),
        )

    def fingerprint(self, folder: pathlib.Path) -> Dict[str, str]:
        """What tells the files that the data set is made from, in `folder`, from others."""
        return self.SOURCES.fingerprint(folder)

    def _source_folder(self, dl_manager: tfds.download.DownloadManager) -> pathlib.Path:
        """The folder of the published files, completed by downloads where a host is known; notes their fingerprint."""
        try:
            folder = pathlib.Path(dl_manager.manual_dir)
        except AssertionError:  # TFDS's word for a folder that is empty or not there.
            folder = pathlib.Path(dl_manager.download_dir) / "manual"
        self._download(self.SOURCES.absent(folder), folder, dl_manager)
        self.info.metadata["sources"] = self.fingerprint(folder)
        return folder

    def _download(self, names: Iterable[str], folder: pathlib.Path, dl_manager: tfds.download.DownloadManager) -> None:
        urls = {name: self.SOURCES.urls[name] for name in names if name in self.SOURCES.urls}
        if len(urls) < len(list(names)):
            raise self.SOURCES.missing(folder)
        try:
            files = dl_manager.download(urls) if urls else {}
        except Exception as error:  # Whatever requests, urllib3 and TFDS raise: no network, a wrong checksum.
            raise UserError(
                f"Cannot download {' and '.join(urls.values())} ({error}): get the files from {self.SOURCES.page}, and put "
                f"them into {folder}."
            ) from error
        folder.mkdir(parents=True, exist_ok=True)
        for name, path in files.items():
            shutil.move(str(path), str(folder / name))

    def _with_bar(self, split: str, total: int, examples: Iterable[Example]) -> Iterator[Example]:
        """The examples themselves, counted by a progress bar."""
        with bar(total, f"{self.name} {split}", unit="picture") as progress:
            for example in examples:
                yield example
                progress.update()


class PhotographBuilder(PictureBuilder, skip_registration=True):
    """Pictures with masks that are kept no larger than is needed: as PNG, with the short side of the configuration."""

    BUILDER_CONFIGS = [short_side(size) for size in (128, 32, 64, 256)]

    @classmethod
    def configuration(cls, image_size, resize, mask_dir):
        del mask_dir
        return short_side(image_size, resize)

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self._lock = threading.Lock()

    def _note_size(self, size: Tuple[int, int]) -> None:
        """Keeps the smallest and the largest (W, H) of the published pictures, which are not to be had later."""
        with self._lock:  # Pictures are worked on by several threads.
            known = [tuple(known) for known in self.info.metadata.get("published_sizes", [])]
            by_area = sorted([*known, size], key=lambda size: (size[0] * size[1], size))
            self.info.metadata["published_sizes"] = [list(by_area[0]), list(by_area[-1])]

    def _features(self, image: Image.Image, mask: np.ndarray, name: str) -> Dict[str, Any]:
        """An example's features.

        Args:
          image: RGB, at its published size.
          mask: labels uint8 [H, W] of the same size.
          name: unique in the data set.
        """
        self._note_size(image.size)
        size = self.builder_config.image_size
        buffer = io.BytesIO()
        # Without the published file's colour profile: nothing reads it, and Pillow opens no PNG with one above 1 MiB.
        shrink(image, size, RESIZE[self.builder_config.resize]).save(buffer, "PNG", compress_level=1, icc_profile=None)
        # Labels cannot be averaged: masks are always resized with NEAREST.
        mask = np.asarray(shrink(Image.fromarray(mask), size, RESIZE["nearest"]))
        return {"image": buffer.getvalue(), "mask": mask, "id": name}
