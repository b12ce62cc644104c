"""The program of the README: 32 vectors through noisy analog hardware, then a layer that trains."""

import lumina_kernel as lk
import numpy as np
import torch
from lumina_kernel.nn import OpticalLinear

rng = np.random.default_rng(42)
x = rng.random((32, 784), dtype=np.float32)  # [batch, in]
w = rng.normal(0.0, 0.05, (512, 784)).astype(np.float32)  # [out, in]
weights = lk.CodedWeights(w, bits=8)  # once per weight update
y = lk.optical_linear_fused(x, weights, None, noise_std=0.1, bits=8, seed=7, dac_bits=8)
print(f"y {y.shape}: off by {np.std(y - x @ w.T):.3f}, of which 0.100 is noise")

layer = OpticalLinear(784, 512, "lumina_nano_v1", bias=True)  # a torch.nn.Module, 4 bits
layer(torch.from_numpy(x)).square().mean().backward()  # noisy forward, straight-through gradients
print(f"{layer}\ngradient of the weights: {tuple(layer.weight.grad.shape)}")
