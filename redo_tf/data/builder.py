"""What the TFDS builders share: their examples, and their configuration by size."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import ClassVar, Optional, Union

import numpy as np
import tensorflow_datasets as tfds

from redo_tf.data.archives import Sources


@dataclasses.dataclass(eq=False)
class PictureSize(tfds.core.BuilderConfig):
    """Configuration of a generated data set: the side of its pictures in pixels."""

    image_size: int = 64


def picture_size(size: int) -> PictureSize:
    return PictureSize(name=f"{size}px", description=f"Pictures of {size} by {size} pixels.", image_size=size)


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
      SOURCES: the files it is made from, or None if it is generated.
      DESCRIPTION, HOMEPAGE, CITATION: for the TFDS documentation.
    """

    REGIONS: ClassVar[int] = 2
    SOURCES: ClassVar[Optional[Sources]] = None
    DESCRIPTION: ClassVar[str]
    HOMEPAGE: ClassVar[str]
    CITATION: ClassVar[str]

    @classmethod
    def at_size(cls, data_dir: Union[str, pathlib.Path], image_size: int) -> PictureBuilder:
        """A builder of pictures of this size, or of the published ones if the data set is not generated."""
        if not cls.BUILDER_CONFIGS:
            return cls(data_dir=str(data_dir))
        for config in cls.BUILDER_CONFIGS:
            if config.image_size == image_size:
                return cls(data_dir=str(data_dir), config=config)
        return cls(data_dir=str(data_dir), config=picture_size(image_size))

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
                        value_range=f"0…{self.REGIONS - 1}, 255",
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

    def _source_folder(self, dl_manager: tfds.download.DownloadManager) -> pathlib.Path:
        """The folder of the published files; notes their fingerprint."""
        folder = pathlib.Path(dl_manager.manual_dir)
        self.info.metadata["sources"] = self.SOURCES.fingerprint(folder)
        return folder
