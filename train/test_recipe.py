"""Checks of the recipe's own arithmetic: colours, captions, sketch layout, Muon, the sampler's last step."""
import unittest

import numpy as np
import torch

from captions import caption
from colours import flatten, main_hue, recolour, to_hsv, to_rgb
from concepts import CONCEPTS, CORE
from encode import held_out
from model import FIRST, place_table, signal_levels
from muon import orthogonalise


class Recipe(unittest.TestCase):
    def test_hue_round_trip(self):
        rgb = np.random.default_rng(0).random((50, 3)).astype(np.float32)
        np.testing.assert_allclose(to_rgb(*to_hsv(rgb)), rgb, atol=1e-5)

    def test_recolour_turns_the_main_hue_and_keeps_the_rest(self):
        picture = np.zeros((64, 64, 4), np.uint8)
        picture[:] = (220, 30, 30, 255)
        picture[:8] = (30, 160, 40, 255)
        blue = recolour(picture, main_hue(picture), "blue")

        self.assertGreater(int(blue[20, 0, 2]), int(blue[20, 0, 0]) + 100)
        self.assertLess(np.abs(blue[0, 0].astype(int) - picture[0, 0]).max(), 2)

    def test_clear_pixels_become_the_ground(self):
        clear = np.zeros((64, 64, 4), np.uint8)
        np.testing.assert_allclose(flatten(clear), 1.0)
        self.assertGreater(flatten(clear, "blue")[0, 0, 2], flatten(clear, "blue")[0, 0, 0] + 0.5)

    def test_a_coloured_caption_names_only_that_colour(self):
        random = np.random.default_rng(1)
        for _ in range(100):
            words = caption(random, "red-apple", "noto", "blue", empty=0).replace(",", "").split()
            self.assertIn("blue", words)
            self.assertNotIn("red", words)

    def test_held_out_pairs_are_about_a_tenth(self):
        share = np.mean([held_out(n, c) for n in CONCEPTS for c in ("red", "blue", "green", "pink")])
        self.assertTrue(0.06 < share < 0.14, share)
        self.assertTrue(CORE <= CONCEPTS.keys())

    def test_places_cover_the_map_row_by_row(self):
        table = place_table()
        torch.testing.assert_close(table[FIRST, :2], torch.tensor([-1.0, -1.0]))
        torch.testing.assert_close(table[FIRST + 7, :2], torch.tensor([1.0, -1.0]))
        torch.testing.assert_close(table[76, :2], torch.tensor([1.0, 1.0]))

    def test_muon_levels_the_directions(self):
        torch.manual_seed(0)
        for shape in ((32, 128), (128, 32)):
            values = torch.linalg.svdvals(orthogonalise(torch.randn(shape)).float())
            self.assertTrue(0.5 < values.min() and values.max() < 1.4, values)

    def test_noise_schedule_is_stable_diffusions(self):
        levels = signal_levels()
        self.assertAlmostEqual(levels[0].item(), 0.99915, places=5)
        self.assertAlmostEqual(levels[999].item(), 0.00466, places=4)


if __name__ == "__main__":
    unittest.main()
