"""`OpticalLinear`: a torch.nn.Linear on simulated analog hardware."""

from __future__ import annotations

import math
from typing import Any, Callable, Optional, Tuple, Union

import torch
from torch import Tensor, nn

from ..checks import checked_int
from ..profiles import HardwareProfile, Readout
from . import function, limits, operators, selection
from .freezing import FrozenWeights
from .kinds import check_linear, checked_options, float32
from .noise_keys import NoiseKeys, drawn
from .options import Options, fixed, number_of_profile, option, profile_of
from .passes import Passes, PassKind


class OpticalLinear(nn.Module):
    """y = ADC(v) + bias,  v = a·((1 − 0.8·t)·s + noise_level·√|s|·N1 + 0.005·N2),  s = DAC(x)·Wᵀ

    x [..., in_features] -> y [..., out_features] on one device; N1, N2 ~ N(0, 1) independent. The
    weights have a scale for each output. Gradients are straight-through: rounding counts as the
    identity, what a converter clips gets 0. Noise is drawn in training, and in eval() only with
    `noise_in_eval`. x and parameters may be float32, float64, float16 or bfloat16: everything is
    computed in float32, under autocast too, and y has x's type.

    hardware_profile  a preset's name or a HardwareProfile: attenuation a and what is None here
    precision         bits of DAC, weights and ADC, 2 … 16
    noise_level       strength of the shot noise, 0 or more
    temp_drift        t, 0 … 1
    input_range       (lo, hi) of the DAC
    output_range      (lo, hi) of the ADC. None: ± the largest |v| of all training batches so far,
                      kept in the buffer `adc_limit` (0: not known yet); a batch is converted with
                      the range that those before it have left, the very first one with its own.
                      In eval() it stays; where it is not known yet the first batch sets it, too
    zero_preserving   0 is a level of the ADC, and of a DAC with a range (−hi, hi): 2^precision − 1
                      levels instead of 2^precision, of which 0 lies between two. Ranges are then
                      (−hi, hi), or for the DAC (0, hi), which has it anyway
    gradient_products how backward() multiplies the gradient with the codes of weights and inputs,
                      for up to 8 bits: "float32", or as integers over each row's largest magnitude,
                      "int16", "int24" (as accurate as floats) or "int8" (rounded at random with the
                      noise's key; in a graph of torch.compile always alike). Integers have the same
                      bits on every machine. None: what is fastest here, `used_gradient_products`
                      says what
    generator         of the noise
    seed, stream      of the noise: a function of both and of how many passes there were. Without
                      `stream` the layers of a seed are numbered as they are made; one that is made
                      again after the same torch.manual_seed() gets the number it had
    process_group     of torch.distributed, None for all processes: where it is initialised, the
                      tracked range is that of the whole group, which must run as many batches in
                      training on each rank

    Without generator and seed the noise follows torch.manual_seed(), differently on each rank. In
    any case a pass that draws noise or moves the range draws a number from torch's default
    generator, by which torch.utils.checkpoint finds the same noise and range again.

    Weights are encoded in each pass, whatever has changed them; lumina_kernel.nn.freeze() encodes
    them once. Attributes with the names of arguments can be set, with the same errors, and count
    from the next pass on; all but the features, generator and seed.

    The constructor raises TypeError or ValueError, and names the argument. forward() raises
    TypeError for an x that is no tensor of such floats; ValueError if it is not dense, not where the
    weights are, has another number of columns, or on the CPU if x or a weight has NaN or Inf, which
    nobody looks for on a GPU; RuntimeError for a recomputation that can't be that of the pass, and for a graph that could not be right.
    """

    weight: Tensor
    bias: Optional[Tensor]
    adc_limit: Optional[Tensor]
    noise_in_eval: bool

    hardware_profile = option("hardware_profile")
    precision = number_of_profile("bits")
    noise_level = number_of_profile("noise_level")
    temp_drift = number_of_profile("temp_drift")
    input_range = option("input_range")
    output_range = option("output_range")
    zero_preserving = option("zero_preserving")
    gradient_products = option("gradient_products")
    in_features = fixed("_in_features", "make another one")
    out_features = fixed("_out_features", "make another one")
    generator = fixed("_passes.keys.generator", "make another one, or set the generator's state")
    seed = fixed("_passes.keys.seed", "make another one, or set its stream")

    def __init__(
        self,
        in_features: int,
        out_features: int,
        hardware_profile: Union[str, HardwareProfile] = "lumina_nano_v1",
        precision: Optional[int] = None,
        noise_level: Optional[float] = None,
        bias: bool = False,
        temp_drift: Optional[float] = None,
        *,
        input_range: Tuple[float, float] = (0.0, 1.0),
        output_range: Optional[Tuple[float, float]] = None,
        zero_preserving: bool = False,
        gradient_products: Optional[str] = None,
        noise_in_eval: bool = False,
        generator: Optional[torch.Generator] = None,
        seed: Optional[int] = None,
        stream: Optional[int] = None,
        process_group: Optional[Any] = None,
        device: Union[None, str, torch.device] = None,
        dtype: Optional[torch.dtype] = None,
    ) -> None:
        super().__init__()
        self._in_features = checked_int("in_features", in_features)
        self._out_features = checked_int("out_features", out_features)
        if self._in_features < 1 or self._out_features < 1:
            raise ValueError(
                f"in_features and out_features must be positive, not {in_features}, {out_features}"
            )
        profile = profile_of(hardware_profile).replaced(precision, noise_level, temp_drift)
        kind = checked_options(device, dtype)
        shape = (self._out_features, self._in_features)
        self.weight = nn.Parameter(torch.empty(shape, **kind))
        bias_values = nn.Parameter(torch.empty(shape[:1], **kind)) if bias else None
        self.register_parameter("bias", bias_values)
        self.register_buffer("adc_limit", None)
        self._frozen: Optional[FrozenWeights] = None
        self._take(
            Options(profile, input_range, output_range, zero_preserving, gradient_products)
        )
        self.noise_in_eval = noise_in_eval
        self.reset_parameters()
        self._passes = Passes(NoiseKeys(generator, seed, stream), process_group)

    def reset_parameters(self) -> None:
        """As torch.nn.Linear does; a tracked range is not known then."""
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features)
            nn.init.uniform_(self.bias, -bound, bound)
        if self.adc_limit is not None:
            nn.init.zeros_(self.adc_limit)

    def forward(self, input: Tensor) -> Tensor:
        weight, bias = self.weight, self.bias  # once: a parametrization computes them anew
        check_linear(input, weight, bias, self._in_features, self._out_features)
        training, frozen = self.training, self._frozen
        if frozen is not None and training:
            raise RuntimeError(
                "OpticalLinear: a frozen layer can't be in train() mode; call eval(), with "
                "noise_in_eval where noise is wanted, or lumina_kernel.nn.unfreeze()"
            )
        tracked = self._options.output_range is None
        limit = self.adc_limit if tracked else None
        kind = PassKind(
            self._settings, tracked, training or self.noise_in_eval, training and tracked
        )
        x, w, bias = float32(input), float32(weight), float32(bias)
        if operators.needed(x, w):
            y = operators.call(x, w, bias, self._passes, kind, limit)
        else:
            if frozen is not None:
                weights = frozen.encoded(weight)
            else:
                computation = selection.computation(w.device)
                weights = computation.encode(w.detach(), kind.settings.adc.bits)
            before = limits.of(limit) if tracked else 0.0
            number = drawn().item() if kind.numbered else None
            y, after = function.run(
                x, w, bias, weights, frozen is not None, self._passes, kind, number, before
            )
            if tracked:
                limits.move(limit, before, after)
        return y if input.dtype == torch.float32 else y.to(input.dtype)

    def _take(self, options: Options) -> None:
        """All of them, or none and an error."""
        options = options.checked(self._in_features)
        if self._frozen is not None and options.hardware_profile.bits != self.precision:
            raise RuntimeError(
                "OpticalLinear: the weights of a frozen layer keep their bits; call "
                "lumina_kernel.nn.unfreeze() first"
            )
        self._options = options
        self._settings = options.settings()
        if options.output_range is not None:
            self.adc_limit = None
        elif self.adc_limit is None:
            self.adc_limit = torch.zeros((), dtype=torch.float32, device=self.weight.device)

    @property
    def used_gradient_products(self) -> str:
        """How backward() of this layer multiplies: `gradient_products`, or what None chooses."""
        computation = selection.computation(self.weight.device)
        return computation.gradient_products(self.precision, self.gradient_products)

    @property
    def stream(self) -> Optional[int]:
        return self._passes.keys.stream

    @stream.setter
    def stream(self, stream: int) -> None:
        self._passes.keys.stream = stream

    @property
    def process_group(self) -> Optional[Any]:
        return self._passes.group

    @process_group.setter
    def process_group(self, group: Optional[Any]) -> None:
        self._passes.group = group

    @property
    def _readout(self) -> Readout:
        return self._settings.readout

    def _apply(self, fn: Callable[[Tensor], Tensor], *options: Any, **others: Any) -> OpticalLinear:
        """to(), half(), to_empty() and the like."""
        frozen, self._frozen = self._frozen, None
        before = self.adc_limit
        super()._apply(fn, *options, **others)
        after = self.adc_limit
        if before is not None:
            if before.is_meta and not after.is_meta:
                nn.init.zeros_(after)  # to_empty() leaves what was in memory
            elif after.dtype != torch.float32:  # as the range is used
                self.adc_limit = before.to(after.device)
        if frozen is not None:
            self._frozen = FrozenWeights(self, self.precision)
        return self

    def _load_from_state_dict(
        self,
        state_dict: dict,
        prefix: str,
        local_metadata: dict,
        strict: bool,
        missing_keys: list,
        unexpected_keys: list,
        error_msgs: list,
    ) -> None:
        has_some = any(key.startswith(prefix) for key in state_dict)
        if has_some and self._frozen is not None:
            error_msgs.append(
                f"{prefix[:-1] or 'this layer'} is a frozen OpticalLinear: call "
                "lumina_kernel.nn.unfreeze() before load_state_dict()"
            )
            return
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )
        if has_some and prefix + "adc_limit" in missing_keys:  # those of a torch.nn.Linear
            missing_keys.remove(prefix + "adc_limit")

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_frozen": None}

    def __prepare_scriptable__(self) -> None:
        raise TypeError("OpticalLinear: torch.jit.script can't compile it; use torch.jit.trace")

    def extra_repr(self) -> str:
        profile = self.hardware_profile
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}, hardware_profile={profile.name!r}, "
            f"precision={profile.bits}, noise_level={profile.noise_level:g}, "
            f"temp_drift={profile.temp_drift:g}, input_range={self.input_range}, "
            f"output_range={self.output_range or 'tracked'}, "
            + "zero_preserving=True, " * self.zero_preserving
            + f"gradient_products={self.used_gradient_products}, "
            + "frozen=True, " * (self._frozen is not None)
            + f"backend={selection.backend(self.weight.device)}"
        )
