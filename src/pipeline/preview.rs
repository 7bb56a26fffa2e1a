//! What a latent looks like before it is decoded: a linear map from its channels to colours.
//!
//! Decision: known factors for Stable Diffusion's own VAE; for any other one the map is fitted by least squares to the
//! first picture that was decoded. Rejected: a small decoder network, which every VAE would need to have trained.

use crate::pipeline::observer::Preview;

/// Rows of channel factors and an offset, for red, green and blue in -1…1.
#[derive(Clone, Debug, PartialEq)]
pub struct PreviewFactors {
    channels: usize,
    /// `[3][channels + 1]`
    factors: Vec<f64>,
    /// Nothing is left to learn.
    known: bool,
}

/// Stable Diffusion 1.x and 2.x, as ComfyUI publishes them (`comfy/latent_formats.py`): rows are latent channels.
const STABLE_DIFFUSION: [[f64; 3]; 4] =
    [[0.3512, 0.2297, 0.3227], [0.3250, 0.4974, 0.2350], [-0.2829, 0.1762, 0.2721], [-0.2120, -0.2616, -0.7177]];

impl PreviewFactors {
    /// The best map known before any picture was decoded.
    pub fn known(channels: usize, scaling_factor: f32) -> Self {
        let mut factors = vec![0.0; 3 * (channels + 1)];
        let stable_diffusion = channels == 4 && (scaling_factor - 0.18215).abs() < 1e-6;
        for colour in 0..3 {
            for channel in 0..channels {
                factors[colour * (channels + 1) + channel] = if stable_diffusion {
                    STABLE_DIFFUSION[channel][colour]
                } else if channel == 0 {
                    0.5
                } else {
                    0.0
                };
            }
        }
        Self { channels, factors, known: stable_diffusion }
    }

    /// Whether the map needs no picture to learn from any more.
    pub fn is_known(&self) -> bool {
        self.known
    }

    /// Fits the map to a decoded picture. `latent` is `[height · width][stride]`, `rgba` a picture `scale` times as
    /// large.
    pub fn fit(&mut self, latent: &[f32], stride: usize, width: usize, rgba: &[u8], scale: usize) {
        let unknowns = self.channels + 1;
        let mut normal = vec![0.0; unknowns * unknowns];
        let mut right = vec![0.0; unknowns * 3];
        for (position, values) in latent.chunks_exact(stride).enumerate() {
            let mut row = vec![1.0; unknowns];
            for (target, &value) in row.iter_mut().zip(values.iter().take(self.channels)) {
                *target = f64::from(value);
            }
            let colour = mean_colour(rgba, width * scale, position % width * scale, position / width * scale, scale);
            for i in 0..unknowns {
                for j in 0..unknowns {
                    normal[i * unknowns + j] += row[i] * row[j];
                }
                for c in 0..3 {
                    right[i * 3 + c] += row[i] * colour[c];
                }
            }
        }
        // A little ridge: a flat latent must not make the map explode.
        let positions = (latent.len() / stride.max(1)).max(1) as f64;
        for i in 0..unknowns {
            normal[i * unknowns + i] += 1e-3 * positions;
        }
        if let Some(solution) = solve(normal, right, unknowns) {
            for i in 0..unknowns {
                for c in 0..3 {
                    self.factors[c * unknowns + i] = solution[i * 3 + c];
                }
            }
            self.known = true;
        }
    }

    /// Colours of a latent `[height · width][stride]`.
    pub fn picture(&self, latent: &[f32], stride: usize, width: usize, height: usize) -> Preview {
        let unknowns = self.channels + 1;
        let mut rgba = Vec::with_capacity(width * height * 4);
        for values in latent.chunks_exact(stride.max(1)).take(width * height) {
            for row in self.factors.chunks_exact(unknowns) {
                let sum: f64 = row.iter().zip(values).take(self.channels).map(|(f, &v)| f * f64::from(v)).sum();
                let value = sum + row.last().copied().unwrap_or(0.0);
                rgba.push(((value * 0.5 + 0.5).clamp(0.0, 1.0) * 255.0).round() as u8);
            }
            rgba.push(255);
        }
        Preview { width, height, rgba }
    }
}

fn mean_colour(rgba: &[u8], row: usize, left: usize, top: usize, size: usize) -> [f64; 3] {
    let mut sum = [0.0; 3];
    for y in top..top + size {
        for x in left..left + size {
            for (channel, sum) in sum.iter_mut().enumerate() {
                *sum += f64::from(rgba.get((y * row + x) * 4 + channel).copied().unwrap_or(0));
            }
        }
    }
    sum.map(|sum| sum / (size * size) as f64 / 127.5 - 1.0)
}

/// Gaussian elimination with pivoting of `matrix · x = right`, three right-hand sides.
fn solve(mut matrix: Vec<f64>, mut right: Vec<f64>, size: usize) -> Option<Vec<f64>> {
    for column in 0..size {
        let pivot = (column..size)
            .max_by(|&a, &b| matrix[a * size + column].abs().total_cmp(&matrix[b * size + column].abs()))?;
        if matrix[pivot * size + column].abs() < 1e-12 {
            return None;
        }
        for k in 0..size {
            matrix.swap(column * size + k, pivot * size + k);
        }
        for k in 0..3 {
            right.swap(column * 3 + k, pivot * 3 + k);
        }
        for row in (0..size).filter(|&row| row != column) {
            let factor = matrix[row * size + column] / matrix[column * size + column];
            for k in 0..size {
                matrix[row * size + k] -= factor * matrix[column * size + k];
            }
            for k in 0..3 {
                right[row * 3 + k] -= factor * right[column * 3 + k];
            }
        }
    }
    Some((0..size * 3).map(|index| right[index] / matrix[index / 3 * size + index / 3]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fit_recovers_a_linear_map() {
        let mut factors = PreviewFactors::known(4, 1.0);
        let latent: Vec<f32> = (0..64 * 4).map(|i| ((i * 37 % 101) as f32 / 50.0 - 1.0) * 0.8).collect();
        let truth = |v: &[f32], c: usize| 0.3 * v[c] - 0.2 * v[3] + 0.1;
        let rgba: Vec<u8> = latent
            .chunks_exact(4)
            .flat_map(|v| {
                let colour = |c| ((truth(v, c) * 0.5 + 0.5) * 255.0).round() as u8;
                [colour(0), colour(1), colour(2), 255]
            })
            .collect();
        factors.fit(&latent, 4, 8, &rgba, 1);
        let picture = factors.picture(&latent, 4, 8, 8);
        let worst = picture.rgba.iter().zip(&rgba).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(factors.is_known() && worst <= 2, "worst difference {worst}");
    }
}
