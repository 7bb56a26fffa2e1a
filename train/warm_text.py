"""Stage 3: teach the text encoder alone to sketch what its words look like -> state/text.pt.  `warm_text.py START SECONDS`

A caption fills a dozen of the 77 positions, the rest is padding that can see the whole caption (the mask is causal). The last 64
positions are taken as an 8x8 map: a linear head on position 13 + 8 y + x predicts the 2x2 latent patch at (x, y), a second
head its coordinates. So the padding, which used to dilute a from-scratch signal, hands the UNet a blurred sketch, place by place;
`aim.py` then points the UNet's cross-attention at it.
Decision: the text encoder costs a tenth of the UNet a sample, so as much as possible is learned here. Rejected: one pooled target
for the mean state (it warms the words up but says nothing about places), training everything at once (the UNet ignores the text).
"""
import sys
import time

import torch
import torch.multiprocessing as processes

from model import STATE, Pictures, build, save
from muon import Muon

def work(rank, network, tokens, seconds):
    torch.set_num_threads(1)
    text, data = network.text, Pictures(70 + rank)
    matrices = [w for n, w in text.named_parameters() if w.ndim == 2 and "embedding" not in n]
    rest = [w for n, w in text.named_parameters() if w.ndim != 2 or "embedding" in n]
    engines = [Muon(matrices, 2e-3), torch.optim.AdamW([*rest, *network.sketch.parameters(), *network.places.parameters()], lr=2e-3, betas=(0.9, 0.98), weight_decay=0.01)]
    begin, step, mean, shown = time.time(), 0, None, 0
    while (spent := time.time() - begin) < seconds:
        for engine in engines:
            for group in engine.param_groups:
                group["lr"] = 2e-3 * min(1, (step + 1) / 30) * min(1, (seconds - spent) / (0.5 * seconds) + 0.02)
        latents, captions = data.batch(48, empty=0.05)
        with torch.autocast("cpu", torch.bfloat16):
            states = network.states(tokens(captions))
        error, misplaced = network.sketch_errors(states, latents)
        for engine in engines:
            engine.zero_grad()
        (error + 0.1 * misplaced).backward()
        for engine in engines:
            engine.step()
        share = 1 - error.item() / latents.var().item()
        mean = share if mean is None else 0.95 * mean + 0.05 * share
        step += 1
        if rank == 0 and spent - shown > 20:
            shown = spent
            print(f"{spent:.0f} s, step {step}, R2 {mean:.3f}, places {misplaced.item():.4f}", flush=True)
            save(STATE / "text.pt", network.state_dict())
    if rank == 0:
        save(STATE / "text.pt", network.state_dict())


def main():
    torch.set_num_threads(1)
    network, tokens = build(sys.argv[1])
    if (STATE / "text.pt").exists():
        network.load_state_dict(torch.load(STATE / "text.pt", weights_only=True))
    network.share_memory()
    processes.spawn(work, (network, tokens, float(sys.argv[2])), nprocs=2)


if __name__ == "__main__":
    main()
