"""The device that is none, for the tests of this folder."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest


def _load():
    if "fake" not in sys.modules:  # pytest loaded it with -p fake
        spec = spec_from_file_location("fake", Path(__file__).with_name("fake.py"))
        sys.modules["fake"] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules["fake"])
    return sys.modules["fake"]


@pytest.fixture
def fake():
    """The module `fake`; within its `cuda()` there is a device."""
    return _load()
