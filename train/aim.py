"""Stage 4: point the UNet's cross-attention at the sketch in the text states -> state/aimed.pt.  `aim.py START [STATE [again]]`

Two heads of every cross-attention get the weights that make place (x, y) look at patch (x, y): attention logits -beta * distance^2,
with the coordinates read by least squares from the UNet's own features (queries) and from the text states (keys); their values
are the sketch itself. The other heads keep their weights and are free for words.
With `again` a training state is only sharpened: its average weights become its weights, its aim is set right where it has drifted.
Decision: what thousands of steps would have to find by luck is set in seconds with stock layers only, and stays trainable.
Rejected: adding a positional code to the UNet (no longer a stock network).
"""
import sys

import torch

from model import FIRST, STATE, Pictures, build, place_table, save, signal_levels

SHARP = {8: (24.0, 6.0), 4: (10.0, 3.0)}  # beta of head 0 and head 1, by feature map size


def least_squares(features, target, ridge=1e-3):
    gram = features.T @ features
    gram += ridge * gram.diagonal().mean() * torch.eye(len(gram))
    weights = torch.linalg.solve(gram, features.T @ target)
    error = (features @ weights - target).square().mean(0) / target.var(0).clamp(min=1e-3)
    return weights.T, 1 - error


def grid(size):
    """x, y of the centres of a size x size map in the sketch's coordinates, row by row, and a one."""
    axis = ((torch.arange(size) + 0.5) * 8 / size - 0.5) / 3.5 - 1
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return torch.stack([x, y, torch.ones_like(x)], -1).view(-1, 3)


def aim(attention, features, sketch, places, generator):
    """Sets heads 0 and 1 of one cross-attention; `features` [N, places, C] are what its queries are made of."""
    size, width = int(features.shape[1] ** 0.5), attention.to_q.weight.shape[0] // attention.heads
    target = grid(size).repeat(len(features), 1)
    read, fit = least_squares(features.flatten(0, 1), target)
    gain = width ** 0.25  # on both sides: undoes the 1 / sqrt(width) of attention
    out = attention.to_out[0].weight
    for head, beta in enumerate(SHARP[size]):
        rows = slice(head * width, (head + 1) * width)
        for weight in (attention.to_q.weight, attention.to_k.weight):
            weight[rows] = 0.01 * torch.randn(weight[rows].shape, generator=generator)
        attention.to_q.weight[rows][:3] = read * gain * beta ** 0.5
        factors = torch.tensor([2.0, 2.0, -1.0])[:, None] * beta ** 0.5
        attention.to_k.weight[rows][:3] = factors * places * gain
        values = attention.to_v.weight[rows]
        values[:16] = sketch
        values[16:] = torch.randn(values[16:].shape, generator=generator) / 128 ** 0.5
        out[:, rows] = torch.randn(out[:, rows].shape, generator=generator) * 0.5 / width ** 0.5
    return size, fit


def sharpen(attention, features, states, steps=100):
    """A few gradient steps on the two heads' queries and keys alone, towards attention of exp(-beta * distance^2)."""
    size, width = int(features.shape[1] ** 0.5), attention.to_q.weight.shape[0] // attention.heads
    distance = torch.cdist(grid(size)[:, :2], grid(8)[:, :2]).square()
    wanted = torch.stack([(-beta * distance).softmax(-1) for beta in SHARP[size]])
    query = attention.to_q.weight[:2 * width].detach().clone().requires_grad_()
    key = attention.to_k.weight[:2 * width].detach().clone().requires_grad_()
    engine = torch.optim.Adam([query, key], lr=0.01)
    for step in range(steps):
        engine.param_groups[0]["lr"] = 0.01 * (1 - step / steps)
        rows = torch.randint(len(features), (24,))
        q = (features[rows] @ query.T).unflatten(-1, (2, width)).transpose(1, 2)
        k = (states[rows] @ key.T).unflatten(-1, (2, width)).transpose(1, 2)
        found = (q @ k.transpose(2, 3) / width ** 0.5).log_softmax(-1)[..., FIRST:]
        loss = -(wanted * found).sum(-1).mean()
        engine.zero_grad()
        loss.backward()
        engine.step()
    with torch.no_grad():
        attention.to_q.weight[:2 * width], attention.to_k.weight[:2 * width] = query, key


@torch.no_grad()
def look(network, name, inputs):
    """What the queries of one cross-attention are made of, for a batch of noisy pictures."""
    class Seen(Exception):
        pass

    def keep(_, args):
        raise Seen(args[0].clone())

    hook = network.unet.get_submodule(name).register_forward_pre_hook(keep)
    try:
        network.unet(*inputs)
    except Seen as seen:
        return seen.args[0]
    finally:
        hook.remove()


@torch.no_grad()
def report(attention, features, states, latents):
    """How far attention misses, and how much of the clean picture (8x8 means) its values tell, by a linear reading."""
    size, width = int(features.shape[1] ** 0.5), attention.to_q.weight.shape[0] // attention.heads
    query, key = attention.to_q(features)[..., :width], attention.to_k(states)[..., :width]
    share = (query @ key.transpose(1, 2) / width ** 0.5).softmax(-1)
    seen = (share[..., FIRST:] @ grid(8)[:, :2]) / share[..., FIRST:].sum(-1, keepdim=True)
    off = (seen - grid(size)[:, :2]).norm(dim=-1).mean().item() * 3.5
    values = (share @ attention.to_v(states)[..., :16]).flatten(0, 1)
    values = torch.cat([values, torch.ones(len(values), 1)], 1)
    clean = torch.nn.functional.adaptive_avg_pool2d(latents, size).flatten(2).transpose(1, 2).flatten(0, 1)
    _, told = least_squares(values, clean)
    return f"on the sketch {share[..., FIRST:].sum(-1).mean():.2f}, off by {off:.2f} patches, tells {told.mean():.2f} of the picture"


def main():
    torch.set_num_threads(1)
    network, tokens = build(sys.argv[1])
    source = sys.argv[2] if len(sys.argv) > 2 else "text.pt"
    again = len(sys.argv) > 3
    state = torch.load(STATE / source, weights_only=True)
    network.load_state_dict(state.get("ema", state))
    latents, captions = Pictures(5).batch(128)
    times, generator = torch.randint(300, 1000, (128,)), torch.Generator().manual_seed(0)
    level = signal_levels()[times][:, None, None, None]
    with torch.no_grad():
        states = network.states(tokens(captions))
        places, _ = least_squares(states.flatten(0, 1), place_table().repeat(len(states), 1))
    noisy = level.sqrt() * latents + (1 - level).sqrt() * torch.randn_like(latents)
    inputs = noisy.contiguous(memory_format=torch.channels_last), times, states
    # in the order in which the UNet runs them: aiming one changes what the next ones see
    names = [name for name, _ in network.unet.named_modules() if name.endswith("attn2")]
    for name in sorted(names, key=lambda name: ("down", "mid_", "up_b").index(name[:4])):
        attention, features = network.unet.get_submodule(name), look(network, name, inputs)
        print(f"{name}: before: {report(attention, features, states, latents)}")
        if not again:
            with torch.no_grad():
                size, fit = aim(attention, features, network.sketch.weight, places, generator)
            print(f"  {size}x{size}, fit of x, y {fit[0]:.2f} {fit[1]:.2f}")
        sharpen(attention, features, states)
        print(f"  now: {report(attention, features, states, latents)}", flush=True)
    if again:
        state["network"] = state["ema"] = network.state_dict()
    save(STATE / (source if again else "aimed.pt"), state if again else network.state_dict())


if __name__ == "__main__":
    main()
