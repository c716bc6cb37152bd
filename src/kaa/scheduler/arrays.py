"""The one door to numpy.

The scheduler's vectors are short (a number per node): threads of a linear algebra library would only cost, and each
would map its own buffers. They must be told before numpy is first imported.
"""

import os
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import numpy.typing as npt

__all__ = ["EVERY", "Bools", "Ints", "Rows", "np"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Rows = slice | npt.NDArray[Any]
"""Which nodes an answer is about: `EVERY`, or an array of row numbers."""

EVERY = slice(None)
