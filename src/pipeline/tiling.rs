//! Decoding in tiles where the whole picture does not fit one of the device's bindings.
//!
//! Decision: overlapping tiles, blended linearly over the overlap, as diffusers' `AutoencoderKL.tiled_decode` does.
//! Norms then see a tile instead of the picture, so colours may differ by a level or two; it happens only where the
//! alternative is no picture. Rejected: bands with exact statistics, which needs every layer twice.

use crate::tensor::Shape;

/// A tile's place, in latents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    pub image: usize,
    pub top: usize,
    pub left: usize,
}

/// How a latent is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiling {
    /// The whole: images, height, width, channels.
    pub latents: Shape,
    /// Height and width of a tile; the whole image's where one tile is enough.
    pub height: usize,
    pub width: usize,
}

/// The least tile side worth decoding, in latents.
const LEAST: usize = 8;

impl Tiling {
    /// One tile: everything at once.
    pub const fn whole(latents: Shape) -> Self {
        Self { latents, height: latents.height, width: latents.width }
    }

    pub const fn is_whole(&self) -> bool {
        self.height == self.latents.height && self.width == self.latents.width
    }

    /// The next smaller tiling; none when tiles would get too small.
    pub fn smaller(&self) -> Option<Self> {
        let halved = |side: usize| side.div_ceil(2).max(LEAST.min(side));
        let smaller = if self.height >= self.width {
            Self { height: halved(self.height), ..*self }
        } else {
            Self { width: halved(self.width), ..*self }
        };
        (smaller != *self).then_some(smaller)
    }

    /// Shape of what one run decodes.
    pub const fn tile_shape(&self) -> Shape {
        if self.is_whole() {
            self.latents
        } else {
            Shape { batch: 1, height: self.height, width: self.width, channels: self.latents.channels }
        }
    }

    /// All tiles; neighbours overlap by about a quarter.
    pub fn tiles(&self) -> Vec<Tile> {
        let rows = starts(self.latents.height, self.height);
        let columns = starts(self.latents.width, self.width);
        let mut tiles = Vec::new();
        for image in 0..self.latents.batch {
            for &top in &rows {
                tiles.extend(columns.iter().map(|&left| Tile { image, top, left }));
            }
        }
        tiles
    }
}

fn starts(length: usize, tile: usize) -> Vec<usize> {
    if tile >= length {
        return vec![0];
    }
    let stride = (tile * 3 / 4).max(1);
    let count = (length - tile).div_ceil(stride) + 1;
    (0..count).map(|index| index * (length - tile) / (count - 1).max(1)).collect()
}

/// Collects decoded tiles, weighted so that they fade into each other.
pub struct Mosaic {
    width: usize,
    height: usize,
    sums: Vec<f32>,
    weights: Vec<f32>,
}

impl Mosaic {
    /// An empty picture, in pixels.
    pub fn new(width: usize, height: usize) -> Self {
        Self { width, height, sums: vec![0.0; width * height * 3], weights: vec![0.0; width * height] }
    }

    /// Adds a tile's RGBA, `tile_width` pixels wide, at a place in pixels.
    pub fn add(&mut self, rgba: &[u8], tile_width: usize, top: usize, left: usize) {
        let tile_height = rgba.len() / 4 / tile_width.max(1);
        for (index, pixel) in rgba.chunks_exact(4).enumerate() {
            let (y, x) = (index / tile_width, index % tile_width);
            // Highest in the middle, never zero, so that the outermost pixels count too.
            let ramp = |place: usize, length: usize| (place + 1).min(length - place) as f32;
            let weight = ramp(y, tile_height) * ramp(x, tile_width);
            let (row, column) = (top + y, left + x);
            if row >= self.height || column >= self.width {
                continue;
            }
            let target = row * self.width + column;
            self.weights[target] += weight;
            for (sum, &value) in self.sums[target * 3..target * 3 + 3].iter_mut().zip(pixel) {
                *sum += weight * f32::from(value);
            }
        }
    }

    /// The picture as RGBA.
    pub fn finish(&self) -> Vec<u8> {
        self.sums
            .chunks_exact(3)
            .zip(&self.weights)
            .flat_map(|(colour, &weight)| {
                let value = |channel: usize| (colour[channel] / weight.max(1e-9)).round().clamp(0.0, 255.0) as u8;
                [value(0), value(1), value(2), 255]
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_everything_and_stay_inside() {
        for (length, tile) in [(64, 64), (64, 32), (65, 32), (9, 8), (128, 40)] {
            let starts = starts(length, tile);
            assert_eq!(starts[0], 0);
            assert_eq!(starts.last().unwrap() + tile.min(length), length);
            for pair in starts.windows(2) {
                assert!(pair[1] > pair[0] && pair[1] < pair[0] + tile, "{starts:?} of {length} by {tile}");
            }
        }
    }

    #[test]
    fn equal_tiles_give_the_picture_back() {
        let tiling = Tiling { latents: Shape::image(1, 12, 20, 4), height: 8, width: 8 };
        let mut mosaic = Mosaic::new(20, 12);
        let colour = |row: usize, column: usize| [(row * 9) as u8, (column * 7) as u8, 200, 255];
        for tile in tiling.tiles() {
            let rgba: Vec<u8> = (0..64).flat_map(|index| colour(tile.top + index / 8, tile.left + index % 8)).collect();
            mosaic.add(&rgba, 8, tile.top, tile.left);
        }
        let expected: Vec<u8> = (0..240).flat_map(|index| colour(index / 20, index % 20)).collect();
        assert_eq!(mosaic.finish(), expected);
    }
}
