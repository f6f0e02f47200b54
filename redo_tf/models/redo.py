"""The four networks together."""
from __future__ import annotations

from typing import Dict, List

import tensorflow as tf

from redo_tf.models.discriminator import Discriminator
from redo_tf.models.encoder import Encoder
from redo_tf.models.mask_network import MaskNetwork
from redo_tf.models.region_generator import RegionGenerator


class Redo(tf.Module):
    """Mask network f, region generators G_1…G_n, discriminator D and encoder δ, for pictures of one size.

    Pictures I are [B, S, S, 3] in −1…1, masks M [B, S, S, n], noise z [B, n, d].
    """

    def __init__(self, mask_network: MaskNetwork, region_generators: List[RegionGenerator],
                 discriminator: Discriminator, encoder: Encoder, image_size: int, latent_size: int):
        super().__init__()
        self.mask_network = mask_network
        self.region_generators = region_generators
        self.discriminator = discriminator
        self.encoder = encoder
        self.image_size, self.latent_size = image_size, latent_size

    @property
    def regions(self) -> int:
        return len(self.region_generators)

    def build(self) -> None:
        """Creates every variable, by running each network once on zeros: on the CPU, as one picture is not worth a GPU's
        kernels, which may have to be compiled first."""
        with tf.device("CPU:0"):
            images = tf.zeros([1, self.image_size, self.image_size, 3])
            self.mask_network(images)
            self.discriminator(images)
            self.encoder(images)
            for generator in self.region_generators:
                generator((images[..., :1], tf.zeros([1, self.latent_size])))

    def paint(self, masks: tf.Tensor, latents: tf.Tensor, training: bool = False) -> tf.Tensor:
        """M_k ⊙ G_k(M_k, z_k) for every region: [n, B, S, S, 3]."""
        return tf.stack([self.paint_region(k, masks, latents, training) for k in range(self.regions)])

    def paint_region(self, k: int, masks: tf.Tensor, latents: tf.Tensor, training: bool = False) -> tf.Tensor:
        """M_k ⊙ G_k(M_k, z_k): [B, S, S, 3]."""
        return self.region_generators[k]((masks[..., k:k + 1], latents[:, k]), training=training)


def compose(images: tf.Tensor, masks: tf.Tensor, painted: tf.Tensor) -> tf.Tensor:
    """I'_k = M_k ⊙ V_k + (1 − M_k) ⊙ I for every region k; where M_k is 0 the picture is unchanged.

    Args:
      images: I [B, S, S, 3].
      masks: M [B, S, S, n], of all regions or of some of them.
      painted: M_k ⊙ V_k [n, B, S, S, 3] of the same ones.

    Returns:
      [n, B, S, S, 3].
    """
    return painted + (1 - tf.transpose(masks, [3, 0, 1, 2])[..., None]) * images


def networks(model: Redo) -> Dict[str, tf.keras.Model]:
    """Name → network; the names that optimisers, metrics and checkpoints use."""
    named = {"mask_network": model.mask_network, "encoder": model.encoder, "discriminator": model.discriminator}
    named.update({f"generator_{k}": generator for k, generator in enumerate(model.region_generators)})
    return named
