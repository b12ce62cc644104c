"""Kernels for GPUs, which lumina_kernel finds and uses for CUDA tensors."""
