"""Trained mask networks in forms that need neither this project nor Python."""
import redo_tf  # noqa: F401  First: it checks Python's version and silences TensorFlow's start-up messages.
