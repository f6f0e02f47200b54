"""What recipes start from: the released code's widths and losses at 128×128, first weights as the paper's text has them."""
from redo_tf.config import Config


def get_config() -> Config:
    return Config()
