"""Settings shared by all tests."""

import os

# As `avatar/__init__.py` does for the program; here the plugin that checks shapes may load torch first, and OpenMP
# reads it only then.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
