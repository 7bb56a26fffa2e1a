"""Stage 1: draw the icons of `concepts.py` to 64x64 RGBA -> state/pictures.npz.

Decision: render at 128 px and average 2x2 with premultiplied alpha, which keeps thin lines smoother than drawing at 64.
Rejected: downloading ready-made PNG sets (npm packages pinned by version need no other host and state their licence).
"""
import io
import json
from pathlib import Path

import numpy as np
import resvg_py
from PIL import Image

from concepts import CONCEPTS, STYLES

HERE = Path(__file__).parent
STATE = HERE / "state"


def draw(icons, name):
    entry = icons["icons"].get(name)
    if entry is None and name in icons.get("aliases", {}):
        entry = icons["icons"].get(icons["aliases"][name]["parent"])
    if entry is None:
        return None
    width, height = entry.get("width", icons.get("width", 16)), entry.get("height", icons.get("height", 16))
    left, top = entry.get("left", 0), entry.get("top", 0)
    svg = (f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="128" height="128" '
           f'viewBox="{left} {top} {width} {height}">{entry["body"]}</svg>')
    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=128, height=128))
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"), np.float32) / 255
    pixels[..., :3] *= pixels[..., 3:]
    small = pixels.reshape(64, 2, 64, 2, 4).mean((1, 3))
    small[..., :3] /= np.maximum(small[..., 3:], 1e-6)
    return np.round(small.clip(0, 1) * 255).astype(np.uint8)


def main():
    STATE.mkdir(exist_ok=True)
    pictures, names, styles = [], [], []
    for style, (package, _) in STYLES.items():
        icons = json.loads((HERE / "node_modules/@iconify-json" / package / "icons.json").read_text())
        for name in CONCEPTS:
            picture = draw(icons, name)
            if picture is not None and picture[..., 3].mean() > 8:
                pictures.append(picture), names.append(name), styles.append(style)
        print(style, styles.count(style), "missing:", [n for n in CONCEPTS if n not in icons["icons"]])
    np.savez_compressed(STATE / "pictures.npz", pictures=np.stack(pictures), names=names, styles=styles)
    print(len(pictures), "pictures of", len(set(names)), "objects")


if __name__ == "__main__":
    main()
