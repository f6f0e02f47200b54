from __future__ import annotations

import numpy as np
import pytest

from redo_tf.layers import Orthogonal


@pytest.mark.parametrize("gain", [0.8, 1.4])
@pytest.mark.parametrize("shape", [(3, 3, 4, 8), (1, 1, 3, 7), (5, 9)])
def test_all_singular_values_of_the_kernel_matrix_are_the_gain(shape, gain):
    kernel = Orthogonal(gain)(shape).numpy()
    singular = np.linalg.svd(kernel.reshape(-1, shape[-1]), compute_uv=False)
    np.testing.assert_allclose(singular, gain * np.ones_like(singular), rtol=1e-5)


def test_a_seed_gives_the_same_weights():
    np.testing.assert_array_equal(Orthogonal(0.8, seed=3)([6, 6]), Orthogonal(0.8, seed=3)([6, 6]))
    assert not np.array_equal(Orthogonal(0.8, seed=4)([6, 6]), Orthogonal(0.8, seed=3)([6, 6]))
