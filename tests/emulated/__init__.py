"""gsplat's own kernels run on the CPU, under tensors that pretend to lie on a GPU; run with `pytest -m emulated`."""
