"""`AnalogRNN`, `AnalogLSTM`, `AnalogGRU`: torch.nn's recurrent layers on arrays."""

from __future__ import annotations

import math
from contextlib import ExitStack
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from ..checks import checked_int
from .analog_module import AnyProfile
from .borrowed_linear import BorrowedLinear, Lent, array_profile, check_tensor, checked_share
from .kinds import checked_options
from .noise_keys import NoiseKeys

Product = BorrowedLinear
State = Tuple[Tensor, ...]  # [N, features] each: h, of an LSTM h and c


class _AnalogRecurrent(nn.Module):
    """Of each layer k and direction, the inputs of all steps are one product on arrays (ih_lk),
    the state of each step another (hh_lk), which has the same weights in all steps of a call,
    noise of training included (in a graph of torch.compile that noise is each step's own); gates
    are digital.

    Arguments, parameters and their names are those of torch.nn, and those of AnalogLinear. A
    HardwareProfile is refused.

    forward(input, hx=None) -> (output, state), as torch.nn's: input [T, N, input_size], with
    batch_first [N, T, input_size]; [T, input_size]; or a PackedSequence, of which padding is not
    computed. T is 1 or more.

    Errors: TypeError or ValueError, which name layer and argument; those of AnalogLinear.
    """

    _gates: int
    _states = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        profile: AnyProfile = "pcm_hwa",
        *,
        device: Union[None, str, torch.device] = None,
        dtype: Optional[torch.dtype] = None,
        noise_in_eval: bool = True,
        generator: Optional[torch.Generator] = None,
        seed: Optional[int] = None,
        stream: Optional[int] = None,
        process_group: Optional[Any] = None,
    ) -> None:
        super().__init__()
        layer = type(self).__name__
        sizes = {"input_size": input_size, "hidden_size": hidden_size, "num_layers": num_layers}
        for name, size in {**sizes, "proj_size": proj_size}.items():
            setattr(self, name, checked_int(name, size))
            if size < (name in sizes):
                raise ValueError(f"{layer}: {name} must be positive, not {size}")
        if proj_size >= hidden_size:
            raise ValueError(
                f"{layer}: proj_size must be below hidden_size, {hidden_size}, not {proj_size}"
            )
        self.bias, self.batch_first = bool(bias), bool(batch_first)
        self.dropout = checked_share(layer, "dropout", dropout)
        self.bidirectional = bool(bidirectional)
        self.profile = array_profile(layer, profile)
        for name, shape in self._shapes().items():
            values = nn.Parameter(torch.empty(shape, **checked_options(device, dtype)))
            self.register_parameter(name, values)
        self.reset_parameters()
        keys = NoiseKeys(generator, seed, stream)  # one of all, so that no two are alike
        for name in self._shapes():
            kind, product = name.split("_", 1)
            if kind == "weight":
                bias_name = f"bias_{product}"
                linear = BorrowedLinear(
                    self,
                    product,
                    Lent(name),
                    Lent(bias_name) if bias_name in self._parameters else None,
                    profile=self.profile,
                    noise_in_eval=noise_in_eval,
                    keys=keys,
                    process_group=process_group,
                )
                self.add_module(product, linear)

    def _shapes(self) -> Dict[str, Tuple[int, ...]]:
        """Parameters, as torch.nn names and orders them."""
        gates, out = self._gates * self.hidden_size, self.proj_size or self.hidden_size
        shapes: Dict[str, Tuple[int, ...]] = {}
        for k in range(self.num_layers):
            for end in self._ends():
                inputs = len(self._ends()) * out if k else self.input_size
                shapes[f"weight_ih_l{k}{end}"] = (gates, inputs)
                shapes[f"weight_hh_l{k}{end}"] = (gates, out)
                if self.bias:
                    shapes[f"bias_ih_l{k}{end}"] = shapes[f"bias_hh_l{k}{end}"] = (gates,)
                if self.proj_size:
                    shapes[f"weight_hr_l{k}{end}"] = (out, self.hidden_size)
        return shapes

    def _ends(self) -> Tuple[str, ...]:
        """Of names, by direction."""
        return ("", "_reverse") if self.bidirectional else ("",)

    def reset_parameters(self) -> None:
        """As torch.nn does."""
        limit = 1 / math.sqrt(self.hidden_size)
        for values in self._parameters.values():
            nn.init.uniform_(values, -limit, limit)

    def flatten_parameters(self) -> None:
        """For programs that call it on torch.nn's: does nothing."""

    def _step(self, x: Tensor, hh: Product, hr: Optional[Product], state: State) -> State:
        """The next state, of the product x [N, gates] of a step's inputs."""
        raise NotImplementedError

    # --- A pass ----------------------------------------------------------------------------------

    def forward(self, input: Any, hx: Any = None) -> Tuple[Any, Any]:
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx)
        layer = type(self).__name__
        check_tensor(layer, "input", input)
        if input.dim() not in (2, 3) or input.shape[-1] != self.input_size:
            form = "N, T" if self.batch_first else "T, N"
            raise ValueError(
                f"{layer}: input must be [{form}, {self.input_size}] or [T, {self.input_size}], "
                f"not {list(input.shape)}"
            )
        batched = input.dim() == 3
        if not batched:
            x = input.unsqueeze(1)
        else:
            x = input.transpose(0, 1) if self.batch_first else input
        steps, count = x.shape[:2]
        if steps == 0:
            raise ValueError(f"{layer}: input {list(input.shape)} must have a step or more")
        state = self._given_state(hx, count, x, batched)
        rows, state = self._layers(x.flatten(0, 1), [count] * steps, state)
        y = rows.unflatten(0, (steps, count))
        if not batched:
            return y.squeeze(1), self._as_given(state, lambda each: each.squeeze(1))
        return y.transpose(0, 1) if self.batch_first else y, self._as_given(state)

    def _forward_packed(self, input: PackedSequence, hx: Any) -> Tuple[PackedSequence, Any]:
        data, sizes, order, back = input
        if data.dim() != 2 or data.shape[-1] != self.input_size:
            raise ValueError(
                f"{type(self).__name__}: input.data must be [rows, {self.input_size}], not "
                f"{list(data.shape)}"
            )
        counts = sizes.tolist()
        state = self._given_state(hx, counts[0], data, True)
        if hx is not None and order is not None:
            state = tuple(each.index_select(1, order) for each in state)
        rows, state = self._layers(data, counts, state)
        if back is not None:
            state = tuple(each.index_select(1, back) for each in state)
        return PackedSequence(rows, sizes, order, back), self._as_given(state)

    def _given_state(self, hx: Any, count: int, like: Tensor, batched: bool) -> State:
        """[layers · directions, N, features] each. Errors: TypeError, ValueError."""
        layer = type(self).__name__
        first = self.num_layers * len(self._ends())
        features = (self.proj_size or self.hidden_size, self.hidden_size)[: self._states]
        if hx is None:
            return tuple(like.new_zeros(first, count, each) for each in features)
        names = ("hx",) if self._states == 1 else ("hx[0]", "hx[1]")
        if self._states > 1 and not (isinstance(hx, (tuple, list)) and len(hx) == 2):
            raise TypeError(f"{layer}: hx must be a pair of tensors, (h_0, c_0)")
        given = (hx,) if self._states == 1 else tuple(hx)
        for name, each, size in zip(names, given, features):
            check_tensor(layer, name, each)
            shape = [first, count, size] if batched else [first, size]
            if list(each.shape) != shape:
                raise ValueError(f"{layer}: {name} must be {shape}, not {list(each.shape)}")
        return given if batched else tuple(each.unsqueeze(1) for each in given)

    def _as_given(self, state: State, change: Any = lambda each: each) -> Any:
        changed = tuple(map(change, state))
        return changed[0] if self._states == 1 else changed

    def _layers(self, x: Tensor, counts: Sequence[int], state: State) -> Tuple[Tensor, State]:
        """Of rows, those of a step behind those of the one before; counts[t] of them have step t,
        the first of the batch."""
        ends: List[State] = []
        for k in range(self.num_layers):
            if k:
                x = F.dropout(x, self.dropout, self.training)
            outputs = []
            for end in self._ends():
                own = tuple(each[len(ends)] for each in state)
                y, own = self._direction(x, counts, own, f"l{k}{end}", bool(end))
                outputs.append(y)
                ends.append(own)
            x = torch.cat(outputs, 1) if len(outputs) > 1 else outputs[0]
        return x, tuple(torch.stack(each) for each in zip(*ends))

    def _direction(
        self, x: Tensor, counts: Sequence[int], state: State, name: str, backwards: bool
    ) -> Tuple[Tensor, State]:
        ih, hh = getattr(self, f"ih_{name}"), getattr(self, f"hh_{name}")
        hr = getattr(self, f"hr_{name}") if self.proj_size else None
        pieces = list(ih(x).split(counts))
        first = state
        ended: List[State] = []  # of sequences that are over, the longest of them last
        outputs = []
        if backwards:
            pieces.reverse()
            state = tuple(each[: counts[-1]] for each in first)
        with ExitStack() as steps:
            for each in (hh, hr):
                if each is not None:
                    steps.enter_context(each._passes.with_the_same_weights())
            for piece in pieces:
                count, before = len(piece), len(state[0])
                if count < before:
                    ended.append(tuple(each[count:] for each in state))
                    state = tuple(each[:count] for each in state)
                elif count > before:  # backwards: more sequences begin, at their ends
                    state = tuple(
                        torch.cat([each, new[before:count]]) for each, new in zip(state, first)
                    )
                state = self._step(piece, hh, hr, state)
                outputs.append(state[0])
        if backwards:
            outputs.reverse()
        if ended:
            state = tuple(torch.cat([last, *rest[::-1]]) for last, *rest in zip(state, *ended))
        return torch.cat(outputs), state

    def extra_repr(self) -> str:
        usual = {
            "proj_size": 0,
            "num_layers": 1,
            "nonlinearity": "tanh",
            "bias": True,
            "batch_first": False,
            "dropout": 0.0,
            "bidirectional": False,
        }
        given = {name: getattr(self, name, value) for name, value in usual.items()}
        parts = [f"{name}={v!r}" for name, v in given.items() if v != usual[name]]
        sizes = [str(self.input_size), str(self.hidden_size)]
        return ", ".join([*sizes, *parts, f"profile={self.profile.name!r}"])


class AnalogRNN(_AnalogRecurrent):
    __doc__ = f"""h' = tanh(W_ih·x + b_ih + W_hh·h + b_hh); nonlinearity "relu" instead of "tanh".
    {_AnalogRecurrent.__doc__}"""
    _gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        profile: AnyProfile = "pcm_hwa",
        **options: Any,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(
                f"AnalogRNN: nonlinearity must be 'tanh' or 'relu', not {nonlinearity!r}"
            )
        _refuse_projection(self, options)
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0,
            profile, **options,
        )
        self.nonlinearity = nonlinearity

    def _step(self, x: Tensor, hh: Product, hr: Optional[Product], state: State) -> State:
        total = x + hh(state[0])
        return (total.tanh() if self.nonlinearity == "tanh" else total.relu(),)


class AnalogLSTM(_AnalogRecurrent):
    __doc__ = f"""i, f, o = σ(…), g = tanh(…), each of W_ih·x + b_ih + W_hh·h + b_hh;
    c' = f·c + i·g, h' = o·tanh(c'); with proj_size W_hr·(o·tanh(c')), on arrays (hr_lk).
    {_AnalogRecurrent.__doc__}"""
    _gates, _states = 4, 2

    def _step(self, x: Tensor, hh: Product, hr: Optional[Product], state: State) -> State:
        h, c = state
        i, f, g, o = (x + hh(h)).chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        return (h if hr is None else hr(h)), c


class AnalogGRU(_AnalogRecurrent):
    __doc__ = f"""r, z = σ(W_ih·x + b_ih + W_hh·h + b_hh),
    n = tanh(W_ih·x + b_ih + r·(W_hh·h + b_hh)), h' = (1 − z)·n + z·h.
    {_AnalogRecurrent.__doc__}"""
    _gates = 3

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        profile: AnyProfile = "pcm_hwa",
        **options: Any,
    ) -> None:
        _refuse_projection(self, options)
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0,
            profile, **options,
        )

    def _step(self, x: Tensor, hh: Product, hr: Optional[Product], state: State) -> State:
        (h,) = state
        x_reset, x_update, x_new = x.chunk(3, 1)
        h_reset, h_update, h_new = hh(h).chunk(3, 1)
        update = (x_update + h_update).sigmoid()
        new = (x_new + (x_reset + h_reset).sigmoid() * h_new).tanh()
        return (new + update * (h - new),)


def _refuse_projection(layer: nn.Module, options: dict) -> None:
    if options.get("proj_size"):
        raise ValueError(f"{type(layer).__name__}: proj_size is one of AnalogLSTM alone")
    options.pop("proj_size", None)
