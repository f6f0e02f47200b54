from __future__ import annotations

import pytest

from redo_tf.sizes import fit_widths, halvings


@pytest.mark.parametrize("size, count", [(32, 3), (64, 4), (128, 5), (256, 6)])
def test_halvings_lead_to_4_by_4(size, count):
    assert halvings(size) == count and size / 2**count == 4


@pytest.mark.parametrize("size", [0, 4, 16, 48, 100, 127, 129])
def test_other_sizes_are_refused(size):
    with pytest.raises(ValueError, match=f"The picture size is {size}, but must be 32, 64, 128"):
        halvings(size)


@pytest.mark.parametrize("size, widths", [
    (32, (64, 128, 256, 512)),
    (64, (64, 128, 256, 512, 1024)),
    (128, (64, 128, 256, 512, 1024, 1024)),
    (512, (64, 128, 256, 512, 1024, 1024, 1024, 1024)),
])
def test_a_width_list_for_128_is_cut_or_its_last_repeated(size, widths):
    assert fit_widths((64, 128, 256, 512, 1024, 1024), size) == widths


def test_a_single_width_serves_every_block():
    assert fit_widths((7,), 32) == (7, 7, 7, 7)
