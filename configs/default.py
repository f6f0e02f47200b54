"""The published training: released code's widths and losses at 128×128. Every recipe starts from it."""
from redo_tf.config import Config


def get_config() -> Config:
    return Config()
