"""The public layers."""
from redo_tf.layers.initializers import Orthogonal
from redo_tf.layers.instance_normalization import (
    ConditionalBatchNormalization, ConditionalInstanceNormalization, InstanceNormalization)
from redo_tf.layers.narrow_convolution import NarrowConv2D
from redo_tf.layers.pyramid_pooling import PyramidPooling
from redo_tf.layers.resampled_convolution import PooledConv2D, UpsampledConv2D
from redo_tf.layers.residual_blocks import DownBlock, ResidualBlock, UpBlock
from redo_tf.layers.self_attention import SelfAttention
from redo_tf.layers.spectral_normalization import SpectralNormalization

__all__ = [
    "ConditionalBatchNormalization", "ConditionalInstanceNormalization", "DownBlock", "InstanceNormalization",
    "NarrowConv2D", "Orthogonal", "PooledConv2D", "PyramidPooling", "ResidualBlock", "SelfAttention", "SpectralNormalization",
    "UpBlock", "UpsampledConv2D"]
