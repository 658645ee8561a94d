"""A distribution over years comes off the topic as it went on, as nearly as is promised."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.ages import YEARS, decode_log_pmf, encode_log_pmf


@given(weights=st.lists(st.floats(0, 1e6), min_size=YEARS, max_size=YEARS).filter(lambda each: sum(each) > 1))
def test_every_mass_is_right_to_a_thousandth_and_tails_to_less(weights: list[float]):
    pmf = np.array([weights]) / sum(weights)
    (packed,) = encode_log_pmf(pmf.astype(np.float32))
    found = np.exp(decode_log_pmf(packed))
    assert len(packed) == 242
    np.testing.assert_allclose(found, pmf[0], rtol=1e-3, atol=1e-12)
    np.testing.assert_allclose(found.cumsum(), pmf[0].cumsum(), atol=1e-3)
    assert abs(found.sum() - 1) < 1e-9


def test_other_bytes_are_no_distribution():
    with pytest.raises(ValueError, match="241 bytes"):
        decode_log_pmf(bytes(241))
