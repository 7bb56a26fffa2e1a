"""Draw a grid of prompts with the current average weights -> PNG.  `sample.py VAE_FOLDER OUT.png [--guidance 4] [--seed 0]`

Decision: DDIM with 25 steps written out in ten lines (it is also the check that the stock scheduler settings are right).
"""
import argparse
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image, ImageDraw

from model import STATE, build, signal_levels

PROMPTS = """a red apple, noto style
a blue apple, noto style
dog, noto style
cat, flat style
a pizza, twemoji style
grinning face, noto style
face with heart eyes, fluent style
red heart, twemoji style
sunflower, noto style
a rocket, flat style
a fox, twemoji style
a green heart, flat style
banana, fluent style
a strawberry, flat style
frog, noto style
panda, twemoji style
hamburger, noto style
a birthday cake, twemoji style
star, flat style
cat on a blue background, flat style
pumpkin, noto style
a fish, twemoji style
crying face, flat style
skull, noto style
purple rose, twemoji style
a car, flat style
house, noto style
umbrella, fluent style
a penguin
tree, noto style
angry face, twemoji style
butterfly, flat style
soccer ball, noto style
guitar, twemoji style
gift, fluent style
moon, noto style
pink octopus, flat style
mushroom, noto style
hot air, noto style
a green car on a yellow background, twemoji style""".replace("hot air", "earth").splitlines()


@torch.no_grad()
def sample_latents(network, tokens, prompts, steps=25, guidance=4.0, seed=0, negative=""):
    """Latents [N, 4, 16, 16] of the prompts; a prompt gets the same noise whatever its neighbours are."""
    levels = signal_levels()
    noise = [torch.randn(4, 16, 16, generator=torch.Generator().manual_seed(seed * 1000 + i)) for i in range(len(prompts))]
    latents = torch.stack(noise).contiguous(memory_format=torch.channels_last)
    states = network.states(torch.cat([tokens([negative] * len(prompts)), tokens(prompts)]))
    times = torch.arange(steps - 1, -1, -1) * (1000 // steps) + 1
    for time in times:
        level = levels[time]
        before = levels[time - 1000 // steps] if time >= 1000 // steps else levels[0]
        both = torch.cat([latents, latents])
        with torch.autocast("cpu", torch.bfloat16):
            empty, full = network.unet(both, time, states).sample.float().chunk(2)
        velocity = empty + guidance * (full - empty)
        clean = level.sqrt() * latents - (1 - level).sqrt() * velocity
        noise = level.sqrt() * velocity + (1 - level).sqrt() * latents
        latents = before.sqrt() * clean + (1 - before).sqrt() * noise
    return latents


@torch.no_grad()
def draw(network, tokens, vae, prompts, *settings, **named):
    """Pictures [N, 64, 64, 3] u8."""
    latents = sample_latents(network, tokens, prompts, *settings, **named)
    pixels = vae.decode(latents / vae.config.scaling_factor).sample
    return ((pixels.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()


def grid(pictures, captions, columns=8, scale=2):
    width, height = 64 * scale + 4, 64 * scale + 14
    sheet = Image.new("RGB", (columns * width, -(-len(pictures) // columns) * height), (205, 205, 205))
    for i, (picture, caption) in enumerate(zip(pictures, captions)):
        x, y = i % columns * width + 2, i // columns * height + 2
        sheet.paste(Image.fromarray(picture).resize((64 * scale,) * 2, Image.BICUBIC), (x, y))
        ImageDraw.Draw(sheet).text((x, y + 64 * scale), caption[:24], fill=(0, 0, 0))
    return sheet


def load(start, path, average=True):
    network, tokens = build(start)
    state = torch.load(path, weights_only=True)
    network.load_state_dict(state["ema" if average else "network"])
    return network.eval(), tokens, state["samples"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("start")
    parser.add_argument("out")
    parser.add_argument("--state", default=STATE / "train.pt")
    parser.add_argument("--last", action="store_true", help="the last weights instead of the average")
    parser.add_argument("--guidance", type=float, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--count", type=int, default=40)
    args = parser.parse_args()
    torch.set_num_threads(1)
    network, tokens, samples = load(args.start, args.state, not args.last)
    vae = AutoencoderKL.from_pretrained(Path(args.start) / "vae").eval()
    prompts = PROMPTS[:args.count]
    grid(draw(network, tokens, vae, prompts, args.steps, args.guidance, args.seed), prompts).save(args.out)
    print("drawn after", samples, "samples")


if __name__ == "__main__":
    main()
