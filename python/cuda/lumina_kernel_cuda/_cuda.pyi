"""The compiled part: kernels of lumina/cuda.hpp on memory that others have allocated.

Memory is named by its address on the device, matrices lie row after row; vectors in one piece; 0 is
none. Every call is put on the place's stream and returns; nothing is allocated, nothing waits, so that
a stream may be captured. (The first call on a device runs a kernel apart and waits for it.)

Errors: ValueError for what lumina/cuda.hpp refuses or CUDA reports there, which says the shapes;
RuntimeError, one of CUDA's. Nothing is written then.
"""

from typing import Optional, Tuple

Matrix = Tuple[int, int, int, int]
"""Address, rows, columns, elements from row to row."""
Weights = Tuple[int, int, int, int, bool]
"""Address, a multiple of 128; outputs, inputs; bits, whether they are multiplied as codes. Else they are
floats as they are, whatever the bits."""
Converter = Tuple[int, float, float, bool]
"""Bits, lo, hi, symmetric."""
Readout = Tuple[float, float, float, float]
"""Gain, shot noise, noise, attenuation."""
Key = Tuple[int, int, int]
"""Seed, stream, row offset."""
Memory = Tuple[int, int]
"""Address, a multiple of 128; bytes."""
Place = Tuple[int, int]
"""Device, stream (cudaStream_t)."""

device_type: str
"""As torch.device has it: "cuda"; "cpu" where the kernels are emulated."""

def version() -> str:
    """The library's, "major.minor.patch"."""

def weights_bytes(outputs: int, inputs: int, coded: bool) -> int: ...
def encode_weights(w: Matrix, weights: Weights, place: Place) -> None:
    """w [out, in] of floats to the memory of `weights`."""

def decode_weights(weights: Weights, to: Matrix, place: Place) -> None:
    """Of coded ones: codes times scales, [out, in]."""

def workspace_bytes(rows: int, inputs: int, coded: bool, has_dac: bool) -> int:
    """Of forward()."""

def forward(
    x: Matrix,
    weights: Weights,
    y: Matrix,
    dac: Optional[Converter],
    readout: Readout,
    adc: Converter,
    key: Key,
    bias: int,
    output_bias: int,
    adc_limit: int,
    record: int,
    largest: int,
    workspace: Memory,
    place: Place,
) -> None:
    """y = ADC(attenuation·(gain·s + bias + shot_noise·√|gain·s + bias|·N1 + noise·N2)) + output_bias,
    s = DAC(x)·wᵀ, all floats, the draws those of lumina::dispatch.

    Coded weights need a DAC of at most 8 bits. bias, output_bias: [out]. adc_limit: a float, the
    ADC's range is ± it then, in place of lo and hi. record: [rows, 16·⌈out / 128⌉] bytes, a multiple
    of 4; bit c % 8 of byte c / 8 is 1 where the ADC did not clip output c. largest: a float that
    grows to the largest |v| in front of the ADC, NaN left out.
    """

def backward_workspace_bytes(rows: int, weights: Weights, products: str) -> int: ...
def backward(
    grad_y: Matrix,
    x: Matrix,
    weights: Weights,
    dac: Converter,
    readout: Readout,
    record: int,
    products: str,
    seed: int,
    grad_x: Optional[Matrix],
    grad_w: Optional[Matrix],
    grad_bias: int,
    workspace: Memory,
    place: Place,
) -> None:
    """Straight-through gradients of the forward() that has filled `record`; those that are None or 0
    are not computed. products: "int8", "int16" or "int24" of coded weights, "float32" of floats; int8
    rounds at random with the seed."""
