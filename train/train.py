"""Stage 5: train the UNet and the text encoder -> state/train.pt every few minutes; starts again from there by itself.

Decision: two single-thread processes on shared weights (each with its own data, gradients and optimiser: "Hogwild"), bf16
autocast, channels_last. Beside other jobs this is ten times faster than one process with two threads, whose every parallel
region waits for the starved thread. The rate falls over the last 60 % of the wall-clock time given by --until.
Times are drawn denser where noise is high (three of four above 500): there the prompt decides what the picture will be, while removing
the last noise is much the same for all pictures and is learned soon.
Rejected: synchronous data parallelism (waits in the same way), min-SNR weights (they silence the high-noise steps).
"""
import argparse
import copy
import time
from datetime import datetime
from pathlib import Path

import torch
import torch.multiprocessing as processes

from model import STATE, Pictures, build, save, signal_levels
from muon import Muon


def options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--start", default="../models/emoji", help="folder of the model to start from (stock layout)")
    parser.add_argument("--weights", default=STATE / "aimed.pt", help="what to begin with when there is no state yet")
    parser.add_argument("--until", required=True, help="local time to stop at, HH:MM")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=8e-4)
    parser.add_argument("--optimizer", choices=["muon", "adam"], default="muon")
    parser.add_argument("--momentum", type=float, default=0.97, help="Muon's")
    parser.add_argument("--ema", type=float, default=0.998)
    parser.add_argument("--sketch", type=float, default=0.5, help="weight of the sketch error")
    parser.add_argument("--warm", type=int, default=20, help="steps over which the rate rises")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--name", default="train", help="state file and log: state/NAME.pt, state/NAME.log")
    return parser.parse_args()


def optimizers(network, args):
    for name, module in network.unet.named_modules():
        if name.endswith("attn2"):  # stays aimed: Muon moves every weight at full speed, also where the gradient is mostly noise
            module.to_q.requires_grad_(False), module.to_k.requires_grad_(False)
    hidden, rest = [], []
    for name, weight in network.named_parameters():
        if not weight.requires_grad:
            continue
        outer = "embedding" in name or name.startswith(("unet.conv_in", "unet.conv_out", "sketch", "places"))
        (hidden if weight.ndim >= 2 and not outer and args.optimizer == "muon" else rest).append(weight)
    groups = [{"params": rest, "lr": args.lr}]
    found = [torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.01, fused=True)]
    return found + ([Muon(hidden, args.lr)] if hidden else [])


def work(rank, network, tokens, args, counter, begin, state):
    torch.set_num_threads(1)
    torch.manual_seed(1000 + rank + counter.item())
    data, levels = Pictures(rank + 10 + counter.item()), signal_levels()
    engines = optimizers(network, args)
    if state and "optimizers" in state:
        for engine, saved in zip(engines, state["optimizers"]):
            if [len(g["params"]) for g in saved["param_groups"]] == [len(g["params"]) for g in engine.param_groups]:
                engine.load_state_dict(saved)
    average = copy.deepcopy(network) if rank == 0 else None
    if average is not None and state:
        average.load_state_dict(state["ema"])
    end = datetime.now().replace(hour=int(args.until[:2]), minute=int(args.until[3:]), second=0).timestamp()
    step, quarters, shown, saved_at, count_then = 0, torch.zeros(4, 2), time.time(), time.time(), counter.item()
    log = open(STATE / f"{args.name}.log", "a") if rank == 0 else None
    while (now := time.time()) < end:
        rate = min(1, (step + 1) / args.warm) * min(1, (end - now) / (0.6 * (end - begin)) + 0.02)
        for group in (g for engine in engines for g in engine.param_groups):
            group["lr"] = args.lr * rate
            if "momentum" in group:
                group["momentum"] = args.momentum
        latents, captions = data.batch(3 * args.batch)
        order = torch.randperm(3 * args.batch)  # two thirds of them for the text encoder's sketch alone
        latents, captions = latents[order], [captions[i] for i in order]
        times = ((torch.randperm(args.batch) + torch.rand(args.batch)) / args.batch) ** 0.5 * 1000
        times = times.long().clamp(max=999)
        level = levels[times][:, None, None, None]
        clean = latents[:args.batch]
        noise = torch.randn_like(clean)
        noisy = (level.sqrt() * clean + (1 - level).sqrt() * noise).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            states = network.states(tokens(captions))
            guess = network.unet(noisy, times, states[:args.batch]).sample
        errors = (guess.float() - (level.sqrt() * noise - (1 - level).sqrt() * clean)).square().mean((1, 2, 3))
        blur, misplaced = network.sketch_errors(states, latents)
        for engine in engines:
            engine.zero_grad()
        (errors.mean() + args.sketch * (blur + 0.1 * misplaced)).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        for engine in engines:
            engine.step()
        counter += args.batch
        step += 1
        quarters.index_add_(0, times // 250, torch.stack([errors.detach(), torch.ones_like(errors)], 1))
        if average is None:
            continue
        if step % 4 == 0:
            keep = min(args.ema ** 4, (step + 1) / (step + 20))  # a short memory at first
            with torch.no_grad():
                torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - keep)
        if now - shown > 30:
            means = (quarters[:, 0] / quarters[:, 1]).tolist()
            speed = (counter.item() - count_then) / (now - shown)
            line = f"{datetime.now():%H:%M:%S} samples {counter.item()} step {step} loss {sum(means) / 4:.4f} quarters " + \
                " ".join(f"{m:.3f}" for m in means) + f" speed {speed:.1f}/s lr {rate * args.lr:.2e} sketch {blur.item():.3f}"
            print(line, file=log, flush=True)
            quarters.zero_()
            shown, count_then = now, counter.item()
        if now - saved_at > 240 or end - now < 5:
            saved_at = now
            snapshot(network, average, engines, counter, args)
    if average is not None:
        snapshot(network, average, engines, counter, args)


def snapshot(network, average, engines, counter, args):
    save(STATE / f"{args.name}.pt", {"network": network.state_dict(), "ema": average.state_dict(), "samples": counter.item(),
                                     "optimizers": [e.state_dict() for e in engines], "optimizer": args.optimizer})


def main():
    args = options()
    torch.set_num_threads(1)
    network, tokens = build(args.start)
    state, path = None, STATE / f"{args.name}.pt"
    if path.exists():
        state = torch.load(path, weights_only=True)
        network.load_state_dict(state["network"])
    elif Path(args.weights).exists():
        network.load_state_dict(torch.load(args.weights, weights_only=True))
    if state and state["optimizer"] != args.optimizer:
        del state["optimizers"]
    counter = torch.tensor(state["samples"] if state else 0)
    counter.share_memory_()
    network.share_memory()
    processes.spawn(work, (network, tokens, args, counter, time.time(), state), nprocs=args.workers)


if __name__ == "__main__":
    main()
