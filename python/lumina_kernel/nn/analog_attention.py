"""`AnalogMultiheadAttention`: torch.nn's, with its projections on arrays."""

from __future__ import annotations

import math
from typing import Any, Optional, Tuple, Union

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..checks import checked_int
from .analog_linear import AnalogLinear
from .analog_module import AnyProfile
from .borrowed_linear import BorrowedLinear, Lent, array_profile, check_tensor, checked_share
from .kinds import checked_options
from .noise_keys import NoiseKeys


class AnalogMultiheadAttention(nn.Module):
    """Queries, keys, values and outputs are products on arrays (q_proj, k_proj, v_proj, out_proj);
    products of activations, the softmax and masks are digital.

    Arguments, parameters and their names are those of torch.nn.MultiheadAttention, and those of
    AnalogLinear. A HardwareProfile is refused.

    forward(query, key, value, …) -> (attn_output, attn_output_weights or None)
      query [L, N, embed_dim], key [S, N, kdim], value [S, N, vdim]; with batch_first N first; or
      without N. attn_output is like query; the weights are [N, L, S], or of each head
      [N, heads, L, S].
      Masks are bool (True: not seen) or floats (added): key_padding_mask [N, S] or [S],
      attn_mask [L, S] or [N·heads, L, S]. is_causal says, as in torch 2, that attn_mask is causal;
      without attn_mask it is refused. A query that may see nothing gets zeros, not NaN.

    Errors: TypeError or ValueError, which name layer and argument; those of AnalogLinear.
    """

    #: What torch's encoder layers look at before they take a way on which no layer is called.
    _qkv_same_embed_dim = False

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: Optional[int] = None,
        vdim: Optional[int] = None,
        batch_first: bool = False,
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
        numbers = {
            "embed_dim": embed_dim,
            "num_heads": num_heads,
            "kdim": embed_dim if kdim is None else kdim,
            "vdim": embed_dim if vdim is None else vdim,
        }
        for name, number in numbers.items():
            setattr(self, name, checked_int(name, number))
            if number < 1:
                raise ValueError(f"{layer}: {name} must be positive, not {number}")
        if embed_dim % num_heads:
            raise ValueError(
                f"{layer}: embed_dim must be a multiple of num_heads, {num_heads}, not {embed_dim}"
            )
        self.head_dim = embed_dim // num_heads
        self.dropout = checked_share(layer, "dropout", dropout)
        self.batch_first = bool(batch_first)
        self.add_zero_attn = bool(add_zero_attn)
        profile = array_profile(layer, profile)
        kind = checked_options(device, dtype)

        def parameter(name: str, *shape: int) -> None:
            values = nn.Parameter(torch.empty(shape, **kind)) if shape else None
            self.register_parameter(name, values)

        packed = self.kdim == self.vdim == embed_dim
        columns = {"q": embed_dim, "k": self.kdim, "v": self.vdim}
        for name, inputs in columns.items():
            parameter(f"{name}_proj_weight", *(() if packed else (embed_dim, inputs)))
        parameter("in_proj_weight", *((3 * embed_dim, embed_dim) if packed else ()))
        parameter("in_proj_bias", *((3 * embed_dim,) if bias else ()))
        noise = {"noise_in_eval": noise_in_eval, "process_group": process_group}
        keys = NoiseKeys(generator, seed, stream)  # one of all, so that no two are alike
        self.out_proj = AnalogLinear(embed_dim, embed_dim, bool(bias), profile, **kind, **noise)
        self.out_proj._passes.keys = keys
        for name in ("bias_k", "bias_v"):
            parameter(name, *((1, 1, embed_dim) if add_bias_kv else ()))
        for i, name in enumerate(f"{each}_proj" for each in columns):
            rows = slice(i * embed_dim, (i + 1) * embed_dim)
            weight = Lent("in_proj_weight", rows) if packed else Lent(f"{name}_weight")
            values = Lent("in_proj_bias", rows)
            projection = BorrowedLinear(
                self, name, weight, values, profile=profile, keys=keys, **noise
            )
            self.add_module(name, projection)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As torch.nn.MultiheadAttention does; but for out_proj's weight, which the constructor
        sets."""
        for name in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"):
            if getattr(self, name) is not None:
                nn.init.xavier_uniform_(getattr(self, name))
        for bias in (self.in_proj_bias, self.out_proj.bias):
            if bias is not None:
                nn.init.zeros_(bias)
        for row in (self.bias_k, self.bias_v):
            if row is not None:
                nn.init.xavier_normal_(row)

    @property
    def profile(self) -> Any:
        return self.out_proj.profile

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Optional[Tensor] = None,
        need_weights: bool = True,
        attn_mask: Optional[Tensor] = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> Tuple[Tensor, Optional[Tensor]]:
        self._check(query, key, value)
        if is_causal and attn_mask is None:
            raise ValueError(f"{type(self).__name__}: is_causal needs attn_mask, as in torch.nn")
        q = self._heads(self.q_proj(query))
        k = self._heads(self.k_proj(key), self._more_sources(self.bias_k))
        v = self._heads(self.v_proj(value), self._more_sources(self.bias_v))
        scores = (q * self.head_dim**-0.5) @ k.transpose(-2, -1)  # [N, heads, L, S]
        scores, hides_all = self._masked(scores, key_padding_mask, attn_mask, query.dim() == 3)
        weights = F.softmax(scores, -1)
        if hides_all is not None:
            weights = weights.masked_fill(hides_all, 0.0)
        weights = F.dropout(weights, self.dropout, self.training)
        y = self.out_proj(self._like(weights @ v, query).to(query.dtype))
        if not need_weights:
            return y, None
        if average_attn_weights:
            weights = weights.mean(1)
        return y, weights if query.dim() == 3 else weights.squeeze(0)

    def _more_sources(self, row: Optional[Tensor]) -> Tuple[Tensor, ...]:
        """Rows [1, 1, embed_dim] behind the keys or values of each sequence."""
        rows = () if row is None else (row,)
        if self.add_zero_attn:
            rows += (self.out_proj.weight.new_zeros(1, 1, self.embed_dim),)
        return rows

    def _heads(self, x: Tensor, more: Tuple[Tensor, ...] = ()) -> Tensor:
        """[N, heads, length, head_dim]"""
        if x.dim() == 2:
            x = x.unsqueeze(0)
        elif not self.batch_first:
            x = x.transpose(0, 1)
        if more:
            x = torch.cat([x, *(row.to(x.dtype).expand(x.shape[0], 1, -1) for row in more)], 1)
        return x.unflatten(2, (self.num_heads, self.head_dim)).transpose(1, 2)

    def _like(self, y: Tensor, query: Tensor) -> Tensor:
        y = y.transpose(1, 2).flatten(2)  # [N, L, embed_dim]
        if query.dim() == 2:
            return y.squeeze(0)
        return y if self.batch_first else y.transpose(0, 1)

    def _masked(
        self,
        scores: Tensor,
        key_padding_mask: Optional[Tensor],
        attn_mask: Optional[Tensor],
        batched: bool,
    ) -> Tuple[Tensor, Optional[Tensor]]:
        """Scores, and whether a query sees nothing, [N, heads, L, 1], where there is a mask."""
        count, heads, length, _ = scores.shape
        seen = scores.shape[3]
        added = (self.bias_k is not None) + self.add_zero_attn
        sources = seen - added
        if key_padding_mask is not None:
            shapes = [[count, sources] if batched else [sources]]
            self._check_mask("key_padding_mask", key_padding_mask, shapes)
            mask = F.pad(key_padding_mask, (0, added)).reshape(count, 1, 1, seen)
            scores = _hidden(scores, mask)
        if attn_mask is not None:
            shapes = [[length, sources], [count * heads, length, sources]]
            self._check_mask("attn_mask", attn_mask, shapes)
            mask = F.pad(attn_mask, (0, added))
            if mask.dim() == 3:
                mask = mask.unflatten(0, (count, heads))
            scores = _hidden(scores, mask)
        if key_padding_mask is None and attn_mask is None:
            return scores, None
        return scores, (scores == -math.inf).all(-1, keepdim=True)

    def _check_mask(self, name: str, mask: Any, shapes: list) -> None:
        layer = type(self).__name__
        check_tensor(layer, name, mask)
        if mask.dtype != torch.bool and not mask.is_floating_point():
            raise TypeError(f"{layer}: {name} must be bool or floats, not {mask.dtype}")
        if list(mask.shape) not in shapes:
            raise ValueError(
                f"{layer}: {name} must be {' or '.join(map(str, shapes))}, not {list(mask.shape)}"
            )

    def _check(self, query: Any, key: Any, value: Any) -> None:
        layer = type(self).__name__
        given = {"query": query, "key": key, "value": value}
        for name, tensor in given.items():
            check_tensor(layer, name, tensor)
        features = {"query": self.embed_dim, "key": self.kdim, "value": self.vdim}
        for name, tensor in given.items():
            wrong_kind = tensor.dim() not in (2, 3) or tensor.dim() != query.dim()
            if wrong_kind or tensor.shape[-1] != features[name]:
                lengths = {2: "length", 3: "N, length" if self.batch_first else "length, N"}
                form = lengths.get(query.dim(), "length[, N]")
                raise ValueError(
                    f"{layer}: {name} must be [{form}, {features[name]}], not "
                    f"{list(tensor.shape)}, beside a query {list(query.shape)}"
                )
        if key.shape[:-1] != value.shape[:-1]:
            raise ValueError(
                f"{layer}: key {list(key.shape)} and value {list(value.shape)} must be of one "
                "length and one batch"
            )
        batch = 0 if self.batch_first else 1
        if query.dim() == 3 and query.shape[batch] != key.shape[batch]:
            raise ValueError(
                f"{layer}: query {list(query.shape)} and key {list(key.shape)} must be of one "
                "batch"
            )

    def extra_repr(self) -> str:
        optional = {
            "dropout": (self.dropout, 0.0),
            "bias": (self.in_proj_bias is not None, True),
            "add_bias_kv": (self.bias_k is not None, False),
            "add_zero_attn": (self.add_zero_attn, False),
            "kdim": (self.kdim, self.embed_dim),
            "vdim": (self.vdim, self.embed_dim),
            "batch_first": (self.batch_first, False),
        }
        given = "".join(f", {k}={v!r}" for k, (v, usual) in optional.items() if v != usual)
        return f"{self.embed_dim}, {self.num_heads}{given}, profile={self.profile.name!r}"


def _hidden(scores: Tensor, mask: Tensor) -> Tensor:
    if mask.dtype == torch.bool:
        return scores.masked_fill(mask, -math.inf)
    return scores + mask.to(scores.dtype)
