"""The generated shapes have no published recipe: shapes.py is already the one for a CPU."""
from configs.shapes import get_config

__all__ = ["get_config"]
