"""Settings shared by all tests."""

import os

# Before torch or numba start their thread pools, as `avatar.render.cpu` does for the program.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
