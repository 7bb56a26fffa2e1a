"""Stage 7: average weights -> stock diffusers folder, f16.  `export.py START OUT [--state train.pt]`

Decision: the compact token rows go back into the full 49,408-row table (all other rows = their mean: an unknown word reads as an
"average word"), so that the real CLIP tokenizer and every stock loader work unchanged.
"""
import argparse
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from model import STATE
from sample import load


def write(path, tensors, like):
    """Saves `tensors` under the names, shapes and types of the file that the network was started from."""
    pattern = load_file(like)
    assert pattern.keys() == tensors.keys(), pattern.keys() ^ tensors.keys()
    save_file({k: tensors[k].to(v.dtype).reshape(v.shape).contiguous() for k, v in pattern.items()}, path, {"format": "pt"})


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("start", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--state", default=STATE / "train.pt")
    parser.add_argument("--last", action="store_true", help="the last weights instead of the average")
    args = parser.parse_args()
    network, tokens, samples = load(args.start, args.state, not args.last)
    for part in ("vae", "tokenizer", "scheduler", "unet", "text_encoder"):
        shutil.copytree(args.start / part, args.out / part, dirs_exist_ok=True, copy_function=shutil.copyfile)
    shutil.copyfile(args.start / "model_index.json", args.out / "model_index.json")
    unet, text = "unet/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors"
    write(args.out / unet, network.unet.state_dict(), args.start / unet)
    weights = {k: v for k, v in network.text.state_dict().items() if not k.endswith("position_ids")}
    name = "text_model.embeddings.token_embedding.weight"
    table = weights[name].mean(0).repeat(49408, 1)
    table[tokens.rows] = weights[name]
    write(args.out / text, {**weights, name: table}, args.start / text)
    print(json.dumps({"samples": samples, "trained_tokens": len(tokens.rows)}))


if __name__ == "__main__":
    with torch.no_grad():
        main()
