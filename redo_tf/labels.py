"""The labels of pixels: 0 is background, 1…n−1 are objects."""

UNLABELLED = 255  # A pixel that has no label: it is not counted.
