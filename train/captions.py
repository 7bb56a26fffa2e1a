"""Captions for pictures, and the tokenizer restricted to the words that captions can contain.

Decision: short, template-made captions ("a blue apple on a pink background, noto style"), one in ten empty so that
classifier-free guidance and negative prompts work. In training only the token rows that occur are kept (a 49,408-row table
would cost more than the UNet in Adam); `export.py` scatters them back, all other rows become their mean.
"""
import numpy as np
import torch
from transformers import CLIPTokenizer

from colours import BACKGROUNDS, COLOUR_WORDS, HUES
from concepts import CONCEPTS, STYLES

LENGTH = 77


def caption(random, name, style, colour="", ground="", empty=0.1):
    if random.random() < empty:
        return ""
    phrases = CONCEPTS[name]
    plain = [p for p in phrases if not COLOUR_WORDS & set(p.split())]
    if colour:
        phrases = plain
    subject = phrases[0] if random.random() < 0.6 else phrases[random.integers(len(phrases))]
    if colour:
        subject = f"{colour} {subject}"
    if random.random() < 0.45:
        subject = ("an " if subject[0] in "aeiou" else "a ") + subject
    if ground or random.random() < 0.06:
        subject += f" on a {ground or 'white'} background"
    pick = random.random()
    if pick < 0.5:
        return f"{subject}, {style} style"
    if pick < 0.65:
        return f"{subject} in {style} style"
    if pick < 0.75:
        return f"{style} style {subject}"
    return subject


class Tokens:
    """Text -> ids of a compact vocabulary; `rows` are the ids in the real CLIP vocabulary."""

    def __init__(self, folder):
        self.clip = CLIPTokenizer.from_pretrained(folder)
        words = {"a", "an", "on", "background", "in", "style", "background,", "white", "picture", "of", "the"}
        words |= set(STYLES) | set(HUES) | set(BACKGROUNDS) | COLOUR_WORDS
        words |= {w for phrases in CONCEPTS.values() for p in phrases for w in p.split()}
        words |= {w + "," for w in words}
        self.cache = {w: self.clip(w, add_special_tokens=False)["input_ids"] for w in sorted(words)}
        self.start, self.end = self.clip.bos_token_id, self.clip.eos_token_id
        self.rows = sorted({i for ids in self.cache.values() for i in ids} | {self.start, self.end})
        self.compact = {row: i for i, row in enumerate(self.rows)}

    def __call__(self, texts):
        out = np.full((len(texts), LENGTH), self.compact[self.end], np.int64)
        for row, text in zip(out, texts):
            ids = [i for word in text.split() for i in self.cache[word]][:LENGTH - 2]
            ids = [self.compact[self.start]] + [self.compact[i] for i in ids]
            row[:len(ids)] = ids
        return torch.from_numpy(out)
