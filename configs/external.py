"""A sampler of another program: unadjusted Langevin on N(0, 1), with NumPy. See external.yaml."""
import os
import numpy as np

n, dim, steps, seed, repeat = (
    int(os.environ["STRIDE_" + key]) for key in ("N", "DIM", "STEPS", "SEED", "REPEAT"))
rng = np.random.default_rng([seed, repeat])
x = 3 * rng.standard_normal((n, dim))
h = 2 / steps
for _ in range(steps):
    x = x - h * x + np.sqrt(2 * h) * rng.standard_normal((n, dim))
np.save(os.environ["STRIDE_OUT"] + "/samples.npy", x)
