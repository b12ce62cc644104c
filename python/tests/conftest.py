import sys

import hypothesis
import pytest

hypothesis.settings.register_profile(
    "repeatable", deadline=None, derandomize=True, database=None, max_examples=100)
hypothesis.settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def same_random_tensors():
    """Whatever tests have run before, in this process or another one."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture
def force_isa():
    """lumina_kernel.force_isa, undone after the test."""
    import lumina_kernel

    before = lumina_kernel.isa()
    yield lumina_kernel.force_isa
    lumina_kernel.force_isa(before)
