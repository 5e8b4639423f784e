"""What pages and their kernels have imported when they are forked: for the fork server alone."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # pages run side by side

import ipykernel.kernelapp  # noqa: E402, F401
import jupytext  # noqa: E402, F401
import papermill  # noqa: E402, F401
import scipy.stats  # noqa: E402, F401
import sklearn.model_selection  # noqa: E402, F401
import torchvision  # noqa: E402, F401

from .. import study  # noqa: E402, F401
from . import claims  # noqa: E402, F401
