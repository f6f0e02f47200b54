"""From configuration to networks."""
from __future__ import annotations

from typing import List

import tensorflow as tf

from redo_tf.config import ModelConfig
from redo_tf.models import Discriminator, Encoder, MaskNetwork, Redo, RegionGenerator
from redo_tf.released_weights import begin_as


def build_mask_network(config: ModelConfig) -> MaskNetwork:
    """f, with every variable created: I [B, H, W, 3] in −1…1 → M [B, H, W, n], H and W multiples of 4."""
    network = _mask_network(config)
    network(tf.zeros([1, 32, 32, 3]))  # No weight depends on the picture's size.
    begin_as(config.initialization, network)
    return network


def _mask_network(config: ModelConfig) -> MaskNetwork:
    f = config.mask_network
    return MaskNetwork(config.regions, f.channels, f.residual_blocks, f.temperature, f.pooling_windows, config.gain)


def build_region_generators(config: ModelConfig, image_size: int) -> List[RegionGenerator]:
    """G_1…G_n, whose variables appear with their first calls: (M_k [B, S, S, 1], z_k [B, d]) → M_k ⊙ V_k [B, S, S, 3] in
    −1…1."""
    g = config.generator
    return [RegionGenerator(image_size, g.channels, g.normalization, g.attention, config.gain)
            for _ in range(config.regions)]


def build_model(config: ModelConfig, image_size: int) -> Redo:
    """The four networks, with every variable created."""
    d, e = config.discriminator, config.encoder
    model = Redo(
        _mask_network(config),
        build_region_generators(config, image_size),
        Discriminator(image_size, d.widths, d.attention, config.gain),
        Encoder(image_size, config.regions, config.latent_size, e.widths, e.attention, config.gain),
        image_size, config.latent_size)
    model.build()
    begin_as(config.initialization, model)
    return model
