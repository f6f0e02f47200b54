"""What a person is told."""
from __future__ import annotations

import pytest

from redo_tf.errors import UserError


def refusal(call, *arguments, **options) -> str:
    """The one sentence with which a call refuses its arguments."""
    with pytest.raises(UserError) as caught:
        call(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)
