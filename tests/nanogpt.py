"""A twin of the attention baseline, written as nanoGPT writes it (Karpathy, MIT licence): model and training loop.

Learned positions, blocks of pre-normalised attention and a feed-forward layer of GELU, tied embeddings, weights drawn
with a spread of 0.02 and 0.02 / sqrt(2 layers) for those that write to the stream; AdamW with betas 0.9 and 0.95, decay
0.1 of matrices, gradients clipped to 1, warm-up and cosine decay to a tenth of the peak.
"""

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class Block(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.c_attn, self.c_proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.c_fc, self.mlp_c_proj = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x):
        rows, tokens, dim = x.shape
        q, k, v = self.c_attn(self.ln_1(x)).split(dim, dim=2)
        q, k, v = (part.view(rows, tokens, self.heads, dim // self.heads).transpose(1, 2) for part in (q, k, v))
        scores = (q @ k.transpose(-2, -1)) / math.sqrt(dim // self.heads)
        future = torch.ones(tokens, tokens, dtype=torch.bool).triu(1)
        y = scores.masked_fill(future, -torch.inf).softmax(-1) @ v
        x = x + self.c_proj(y.transpose(1, 2).reshape(rows, tokens, dim))
        return x + self.mlp_c_proj(functional.gelu(self.c_fc(self.ln_2(x))))


class NanoGPT(nn.Module):
    def __init__(self, vocabulary, dim, layers, heads, context):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocabulary, dim), nn.Embedding(context, dim)
        self.h = nn.ModuleList(Block(dim, heads) for _ in range(layers))
        self.ln_f = nn.LayerNorm(dim)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                nn.init.normal_(weight, std=0.02 / math.sqrt(2 * layers) if name.endswith("c_proj.weight") else 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(weight)

    def forward(self, ids):
        x = self.wte(ids) + self.wpe.weight[: ids.shape[1]]
        for block in self.h:
            x = block(x)
        return self.ln_f(x) @ self.wte.weight.T


def train_nanogpt(model, train, held_out, *, tokens, window, batch_size, peak_rate):
    """Train on the budget; the mean held-out loss over windows end to end."""
    generator = np.random.default_rng(1)
    steps = tokens // (window * batch_size)
    matrices = [weight for weight in model.parameters() if weight.dim() >= 2]
    others = [weight for weight in model.parameters() if weight.dim() < 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}], betas=(0.9, 0.95)
    )
    for step in range(steps):
        warm = min(1.0, (step + 1) / (0.05 * steps))
        rate = peak_rate * warm * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * step / steps)))
        for group in optimizer.param_groups:
            group["lr"] = rate
        begins = generator.integers(0, len(train) - window, batch_size)
        rows = torch.tensor(np.stack([train[begin : begin + window + 1] for begin in begins]))
        loss = functional.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    rows = torch.tensor(np.stack([held_out[at : at + window + 1] for at in range(0, len(held_out) - window, window)]))
    with torch.no_grad():
        return functional.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten()).item()
