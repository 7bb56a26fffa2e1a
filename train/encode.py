"""Stage 2: latents of every picture and of its coloured variants -> state/latents.npz.  `encode.py VAE_FOLDER`

Decision: the frozen VAE is run once and its mean latents are kept, so UNet training never touches pixels (9,000 latents =
18 MB). One pair (object, colour) in ten is never drawn: `held_out` names them, the evaluation asks for exactly those.
Rejected: encoding on the fly (the encoder costs more than a UNet step at this size).
"""
import sys
import zlib
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL

from colours import BACKGROUNDS, HUES, COLOUR_WORDS, distance, flatten, main_hue, recolour
from concepts import CONCEPTS

STATE = Path(__file__).parent / "state"


def held_out(name, colour):
    return zlib.crc32(f"{name}/{colour}".encode()) % 10 == 0


def plain_phrases(name):
    return [p for p in CONCEPTS[name] if not COLOUR_WORDS & set(p.split())]


def variants(name, picture, random, recolours=4, grounds=2):
    """Yields (colour or "", background or "", RGBA): natural, recoloured, and on coloured backgrounds."""
    hue = main_hue(picture)
    natural = "" if hue is None else next((c for c, h in HUES.items() if distance(h, hue) < 14), "")
    if held_out(name, natural) or not plain_phrases(name):
        natural = ""
    yield natural, "", picture
    if hue is not None and plain_phrases(name):
        colours = [c for c, h in HUES.items() if distance(h, hue) > 22 and not held_out(name, c)]
        for colour in random.permutation(colours)[:recolours]:
            yield colour, "", recolour(picture, hue, colour)
    for ground in random.permutation(list(BACKGROUNDS))[:grounds]:
        yield natural, ground, picture


def main():
    torch.set_num_threads(1)
    data = np.load(STATE / "pictures.npz")
    vae = AutoencoderKL.from_pretrained(sys.argv[1]).eval().float()
    random = np.random.default_rng(1)
    rows, images = [], []
    for index, (name, picture) in enumerate(zip(data["names"], data["pictures"])):
        for colour, ground, coloured in variants(str(name), picture, random):
            rows.append((index, colour, ground)), images.append(flatten(coloured, ground))
    latents = []
    with torch.no_grad():
        for start in range(0, len(images), 32):
            batch = torch.from_numpy(np.stack(images[start:start + 32])).permute(0, 3, 1, 2)
            latents.append((vae.encode(batch).latent_dist.mean * vae.config.scaling_factor).half())
            if start % 1024 == 0:
                print(start, "of", len(images), flush=True)
    latents = torch.cat(latents).numpy()
    print("latents", latents.shape, "mean", latents.mean((0, 2, 3)), "std", latents.astype(np.float32).std((0, 2, 3)))
    np.savez(STATE / "latents.npz", latents=latents, picture=[r[0] for r in rows], colour=[r[1] for r in rows],
             ground=[r[2] for r in rows], names=data["names"], styles=data["styles"])


if __name__ == "__main__":
    main()
