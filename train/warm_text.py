"""Stage 3: teach the text encoder alone what its words look like -> state/text.pt.  `warm_text.py START SECONDS`

Decision: a linear head on the mean text state predicts the 4x4-pooled latent; a few minutes make prompts differ before the UNet
begins. Rejected: training both from scratch at once (65 of 77 positions are padding, the UNet learns to ignore the text).
"""
import sys
import time

import torch

from model import STATE, Pictures, build, save


def main():
    torch.set_num_threads(1)
    network, tokens = build(sys.argv[1])
    text, data = network.text, Pictures(7)
    head = torch.nn.Linear(128, 64)
    optimizer = torch.optim.AdamW([*text.parameters(), *head.parameters()], lr=1e-3, betas=(0.9, 0.98), weight_decay=0.01)
    begin, seconds, step, mean = time.time(), float(sys.argv[2]), 0, None
    while (spent := time.time() - begin) < seconds:
        for group in optimizer.param_groups:
            group["lr"] = 1.5e-3 * min(1, (step + 1) / 50) * min(1, (seconds - spent) / (0.4 * seconds) + 0.02)
        latents, captions = data.batch(96, empty=0.02)
        target = torch.nn.functional.avg_pool2d(latents, 4).flatten(1)
        with torch.autocast("cpu", torch.bfloat16):
            states = network.states(tokens(captions))
        loss = (head(states.float().mean(1)) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        share = 1 - loss.item() / target.var(0).mean().item()
        mean = share if mean is None else 0.95 * mean + 0.05 * share
        step += 1
        if step % 50 == 0:
            print(f"{spent:.0f} s, step {step}, R2 {mean:.3f}", flush=True)
    save(STATE / "text.pt", text.state_dict())


if __name__ == "__main__":
    main()
