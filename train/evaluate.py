"""Stage 6: does a prompt give its object? -> state/evaluation.json.  `evaluate.py START [GUIDANCE [STEPS [last]]]`

A small classifier learns the objects from the real pictures' latents (with noise, shifts and all training colours); then the
model draws (a) every common object in a random style, (b) pairs of object and colour that were never drawn in training.
Reported: how often the right object is the classifier's first guess or among its first five, and the same for the nearest real picture.
Decision: judged in latent space, where the VAE's softness is the same for real and drawn pictures. Rejected: CLIP score (needs weights
that nobody here trained).
"""
import json
import sys

import numpy as np
import torch

from concepts import CONCEPTS, CORE, STYLES
from colours import HUES, distance, main_hue
from encode import held_out, plain_phrases
from model import STATE, Pictures, save
from sample import load, sample_latents


def classifier(classes):
    layers = []
    for a, b, stride in ((4, 64, 1), (64, 128, 2), (128, 192, 2)):
        layers += [torch.nn.Conv2d(a, b, 3, stride, 1), torch.nn.GroupNorm(8, b), torch.nn.SiLU()]
    return torch.nn.Sequential(*layers, torch.nn.Dropout(0.3), torch.nn.Flatten(), torch.nn.Linear(192 * 16, classes))


def disturb(latents):
    """Shifts by up to one latent pixel and noise of random strength, so that soft or slightly wrong pictures count too."""
    x, y = np.random.randint(-1, 2, 2)
    strength = torch.rand(len(latents), 1, 1, 1) * 0.6
    return latents.roll((int(x), int(y)), (2, 3)) + strength * torch.randn_like(latents)


def learn(data, label, names, steps):
    """The classifier, and its top-1 and top-5 on one of the four styles, kept away from it."""
    fluent = torch.from_numpy(data.styles[data.picture] == "fluent")
    scores = {}
    for run in ("check", "final"):
        rows = torch.arange(len(label)) if run == "final" else (~fluent).nonzero().flatten()
        torch.manual_seed(0)
        network = classifier(len(names))
        engine = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=0.05)
        for step in range(steps):
            engine.param_groups[0]["lr"] = 2e-3 * (1 - step / steps)
            pick = rows[torch.randint(len(rows), (128,))]
            loss = torch.nn.functional.cross_entropy(network(disturb(data.latents[pick].float())), label[pick])
            engine.zero_grad()
            loss.backward()
            engine.step()
        network.eval()
        if run == "check":
            with torch.no_grad():
                found = network(data.latents[fluent].float()).topk(5).indices == label[fluent][:, None]
            scores = {"real_unseen_style_top1": found[:, 0].float().mean().item(), "real_unseen_style_top5": found.any(1).float().mean().item()}
    return {"network": network.state_dict(), "scores": scores}


@torch.no_grad()
def judge(network, tokens, tests, judge_network, data, label, names, guidance):
    """tests: (object, caption). Top-1 and top-5 of the classifier, top-1 of the nearest natural picture."""
    drawn = torch.cat([sample_latents(network, tokens, [c for _, c in tests[i:i + 32]], 20, guidance, seed=i) for i in range(0, len(tests), 32)])
    truth = torch.tensor([names.index(n) for n, _ in tests])
    found = judge_network(drawn).topk(5).indices == truth[:, None]
    near = torch.cdist(drawn.flatten(1), data.latents.float().flatten(1)).argmin(1)
    return {"prompts": len(tests), "top1": found[:, 0].float().mean().item(), "top5": found.any(1).float().mean().item(),
            "nearest": (label[near] == truth).float().mean().item()}, found.any(1).tolist()


def main():
    torch.set_num_threads(1)
    random, names, data = np.random.default_rng(3), list(CONCEPTS), Pictures(0)
    network, tokens, samples = load(sys.argv[1], STATE / "train.pt", "last" not in sys.argv)
    label = torch.tensor([names.index(str(n)) for n in data.names])[torch.from_numpy(data.picture)]
    judge_network, path = classifier(len(names)).eval(), STATE / "classifier.pt"
    if not path.exists():
        save(path, learn(data, label, names, int(sys.argv[3]) if len(sys.argv) > 3 else 500))
    state = torch.load(path, weights_only=True)
    judge_network.load_state_dict(state["network"])
    scores = state["scores"]
    print(scores, flush=True)
    seen = [(n, f"{CONCEPTS[n][0]}, {random.choice(list(STYLES))} style") for n in sorted(CORE)]
    pictures, hues = np.load(STATE / "pictures.npz"), {}
    for name, picture in zip(pictures["names"], pictures["pictures"]):
        hues.setdefault(str(name), []).append(main_hue(picture))
    pairs = [(n, c) for n in sorted(CORE) for c in HUES if held_out(n, c) and plain_phrases(n)
             and any(h is not None and distance(h, HUES[c]) > 30 for h in hues[n])]
    unseen = [(n, f"{c} {plain_phrases(n)[0]}, {random.choice(list(STYLES))} style") for n, c in pairs]
    guidance = float(sys.argv[2]) if len(sys.argv) > 2 else 3.0
    result = {"samples": samples, "guidance": guidance, "classifier": scores}
    for kind, tests in (("seen objects", seen), ("held-out colour and object", unseen)):
        tests = [tests[i] for i in random.permutation(len(tests))[:96]]
        result[kind], hits = judge(network, tokens, tests, judge_network, data, label, names, guidance)
        result[kind]["missed"] = [c for (_, c), hit in zip(tests, hits) if not hit]
        print(kind, result[kind], flush=True)
    (STATE / "evaluation.json").write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
