"""Recolouring and backgrounds: the same picture in a named colour, so that colour words mean something by themselves.

Decision: only pixels within 50 degrees of the picture's main hue are turned (a blue apple keeps its green leaf).
Rejected: turning every pixel (leaves, eyes and outlines change too and the words "blue apple" no longer say what is seen).
"""
import numpy as np

HUES = {"red": 0, "orange": 28, "yellow": 50, "green": 125, "cyan": 182, "blue": 218, "purple": 278, "pink": 330}
BACKGROUNDS = {
    "red": (226, 58, 58), "orange": (250, 150, 40), "yellow": (253, 216, 70), "green": (80, 180, 90), "blue": (60, 130, 235),
    "purple": (140, 90, 210), "pink": (250, 160, 200), "black": (20, 20, 24), "grey": (150, 152, 158),
}
COLOUR_WORDS = set(HUES) | {"black", "white", "grey", "brown"}


def to_hsv(rgb):
    high, low = rgb.max(-1), rgb.min(-1)
    span = np.maximum(high - low, 1e-6)
    red, green, blue = np.moveaxis(rgb, -1, 0)
    hue = np.where(high == red, (green - blue) / span, np.where(high == green, 2 + (blue - red) / span, 4 + (red - green) / span))
    return (hue * 60) % 360, (high - low) / np.maximum(high, 1e-6), high


def to_rgb(hue, saturation, value):
    def channel(n):
        k = (n + hue / 60) % 6
        return value - value * saturation * np.clip(np.minimum(k, 4 - k), 0, 1)
    return np.stack([channel(5), channel(3), channel(1)], -1)


def distance(a, b):
    return np.abs((a - b + 180) % 360 - 180)


def main_hue(picture):
    """The hue that covers most of the saturated area, or None when less than 40 % of the picture has it."""
    hue, saturation, value = to_hsv(picture[..., :3].astype(np.float32) / 255)
    alpha = picture[..., 3] / 255
    weight = alpha * (saturation > 0.35) * (value > 0.35)
    centres = np.arange(0, 360, 10)
    area = np.array([(weight * (distance(hue, c) < 25)).sum() for c in centres])
    best = centres[area.argmax()]
    return float(best) if area.max() > 0.4 * alpha.sum() else None


def recolour(picture, source, colour):
    hue, saturation, value = to_hsv(picture[..., :3].astype(np.float32) / 255)
    near = distance(hue, source) < 50
    turned = to_rgb((hue + HUES[colour] - source) % 360, saturation, np.where(near & (colour == "yellow"), value ** 0.6, value))
    rgb = np.where(near[..., None], turned, picture[..., :3] / 255)
    return np.concatenate([np.round(rgb * 255).clip(0, 255).astype(np.uint8), picture[..., 3:]], -1)


def flatten(picture, background=None):
    """RGBA 0..255 -> RGB -1..1 on white or a named background."""
    alpha = picture[..., 3:].astype(np.float32) / 255
    ground = np.array(BACKGROUNDS.get(background, (255, 255, 255)), np.float32)
    return ((picture[..., :3] * alpha + ground * (1 - alpha)) / 127.5 - 1).astype(np.float32)
