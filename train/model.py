"""The network: stock diffusers UNet + CLIP text encoder, the noise schedule, the data sampler, checkpoints.

Decision: same shapes as the first checkpoint (18 M UNet, 128-wide text encoder), v-prediction on SD's schedule, so every
stock sampler works. Rejected: a zero-terminal-SNR schedule (needs samplers that know about it).
"""
import os
from pathlib import Path

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from transformers import CLIPTextModel

from captions import Tokens, caption
from concepts import CORE, STYLES

STATE = Path(__file__).parent / "state"
FIRST = 13  # text position of the sketch's top left patch (see warm_text.py)


class Network(torch.nn.Module):
    def __init__(self, start, tokens):
        super().__init__()
        self.unet = UNet2DConditionModel.from_pretrained(start / "unet", torch_dtype=torch.float32)
        self.text = CLIPTextModel.from_pretrained(start / "text_encoder", torch_dtype=torch.float32)
        table = self.text.text_model.embeddings.token_embedding.weight.detach()[tokens.rows].clone()
        self.text.text_model.embeddings.token_embedding = torch.nn.Embedding.from_pretrained(table, freeze=False)
        # plain matrix attention: the fused CPU kernel's backward pass costs a fifth of the whole step at these sizes
        self.unet.set_attn_processor(AttnProcessor())
        self.text.set_attn_implementation("eager")

        self.sketch, self.places = torch.nn.Linear(128, 16), torch.nn.Linear(128, 3)  # training aids, not exported

    def states(self, ids):
        return self.text(ids).last_hidden_state

    def sketch_errors(self, states, latents):
        """How far the sketch in the text states is from the pictures, and its places from where they should be."""
        states = states.float()
        target = latents.view(-1, 4, 8, 2, 8, 2).permute(0, 2, 4, 1, 3, 5).reshape(-1, 64, 16)
        return (self.sketch(states[:, FIRST:]) - target).square().mean(), (self.places(states) - place_table()).square().mean()


def build(start):
    tokens = Tokens(Path(start) / "tokenizer")
    return Network(Path(start), tokens).to(memory_format=torch.channels_last), tokens


def place_table():
    """Coordinates of all 77 positions: x, y in -1..1 and x*x + y*y; the words' positions sit far outside."""
    index = torch.arange(77) - FIRST
    x, y = (index % 8) / 3.5 - 1, index.div(8, rounding_mode="floor") / 3.5 - 1
    table = torch.stack([x, y, x * x + y * y], 1)
    table[:FIRST] = torch.tensor([0.0, 0.0, 4.0])
    return table


def signal_levels():
    betas = torch.linspace(0.00085 ** 0.5, 0.012 ** 0.5, 1000) ** 2
    return torch.cumprod(1 - betas, 0)


class Pictures:
    """Random batches of (latents, captions); natural 68 %, recoloured 21 %, on a background 11 %."""

    def __init__(self, seed, other=0.2):
        data = np.load(STATE / "latents.npz")
        self.latents = torch.from_numpy(data["latents"])
        self.names, self.styles = data["names"], data["styles"]
        self.picture, self.colour, self.ground = data["picture"], data["colour"], data["ground"]
        self.random = np.random.default_rng(seed)
        first = np.r_[True, self.picture[1:] != self.picture[:-1]]
        kind = np.where(first, 0, np.where(self.ground != "", 2, 1))
        weight = np.array([STYLES[s][1] for s in self.styles])[self.picture]
        weight *= np.where(np.isin(self.names, list(CORE)), 1, other)[self.picture]
        for k, share in enumerate((0.68, 0.21, 0.11)):
            weight[kind == k] *= share / weight[kind == k].sum()
        self.cumulative = np.cumsum(weight)

    def batch(self, size, empty=0.1):
        points = (np.arange(size) + self.random.random(size)) / size * self.cumulative[-1]
        rows = np.searchsorted(self.cumulative, points).clip(max=len(self.cumulative) - 1)
        texts = [caption(self.random, str(self.names[self.picture[r]]), str(self.styles[self.picture[r]]),
                         str(self.colour[r]), str(self.ground[r]), empty) for r in rows]
        return self.latents[torch.from_numpy(rows)].float(), texts


def save(path, content):
    torch.save(content, f"{path}.part")
    os.replace(f"{path}.part", path)
