"""The four networks."""
from redo_tf.models.discriminator import Discriminator
from redo_tf.models.encoder import Encoder
from redo_tf.models.mask_network import MaskNetwork
from redo_tf.models.redo import Redo, compose, networks
from redo_tf.models.region_generator import RegionGenerator

__all__ = ["Discriminator", "Encoder", "MaskNetwork", "Redo", "RegionGenerator", "compose", "networks"]
