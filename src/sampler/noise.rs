//! Random numbers that repeat what other programs draw for a seed: PyTorch's CPU generator, and CUDA's as
//! AUTOMATIC1111 draws from it.
//!
//! Decision: logarithm, sine and cosine are computed in f64 from the same arguments that PyTorch uses and then rounded
//! to its type, so that platforms agree; PyTorch's own vector code differs by a few units in the last place.
//! Rejected: f32 functions, whose last bits depend on the platform's library.

use std::f64::consts::TAU;

const STATE: usize = 624;
const MIDDLE: usize = 397;

/// `torch.Generator("cpu")`: the Mersenne Twister MT19937, with PyTorch's way to make floats of its words.
#[derive(Clone)]
pub struct TorchGenerator {
    state: [u32; STATE],
    next: usize,
    /// The second value of the last pair that a short draw made.
    spare: Option<f64>,
}

impl TorchGenerator {
    /// `manual_seed`. Like PyTorch's CPU generator, only the lower 32 bits count.
    pub fn new(seed: u64) -> Self {
        let mut word = seed as u32;
        let mut state = [0; STATE];
        for (index, slot) in (0u32..).zip(&mut state) {
            if index > 0 {
                word = 1_812_433_253u32.wrapping_mul(word ^ (word >> 30)).wrapping_add(index);
            }
            *slot = word;
        }
        Self { state, next: STATE, spare: None }
    }

    /// The next 32 random bits.
    pub fn word(&mut self) -> u32 {
        if self.next >= STATE {
            self.refill();
        }
        let mut word = self.state.get(self.next).copied().unwrap_or_default();
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    fn refill(&mut self) {
        let at = |state: &[u32; STATE], index: usize| state.get(index % STATE).copied().unwrap_or_default();
        for index in 0..STATE {
            let mixed = (at(&self.state, index) & 0x8000_0000) | (at(&self.state, index + 1) & 0x7fff_ffff);
            let twist = if mixed & 1 == 1 { 0x9908_b0df } else { 0 };
            let fresh = at(&self.state, index + MIDDLE) ^ (mixed >> 1) ^ twist;
            if let Some(slot) = self.state.get_mut(index) {
                *slot = fresh;
            }
        }
        self.next = 0;
    }

    /// `torch.rand(count)`: multiples of 2⁻²⁴ from 0 up to 1.
    pub fn uniform(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.uniform_single()).collect()
    }

    fn uniform_single(&mut self) -> f32 {
        (self.word() & 0x00ff_ffff) as f32 * 2f32.powi(-24)
    }

    fn uniform_double(&mut self) -> f64 {
        let bits = (u64::from(self.word()) << 32) | u64::from(self.word());
        (bits & ((1 << 53) - 1)) as f64 * 2f64.powi(-53)
    }

    /// `torch.randn(count)`. Draws of fewer than 16 use another method than longer ones, and may leave a value over for
    /// the next short draw.
    pub fn normal(&mut self, count: usize) -> Vec<f32> {
        self.draw(count, Kind::Single).into_iter().map(|value| value as f32).collect()
    }

    /// `torch.randn(count, dtype=torch.float16)`, widened. Not the rounded values of [`Self::normal`]: from 16 elements
    /// on it makes another picture of the same seed.
    pub fn normal_half(&mut self, count: usize) -> Vec<f32> {
        self.draw(count, Kind::Half).into_iter().map(|value| value as f32).collect()
    }

    /// `torch.randn(count, dtype=torch.float64)`.
    pub fn normal_double(&mut self, count: usize) -> Vec<f64> {
        self.draw(count, Kind::Double)
    }

    fn draw(&mut self, count: usize, kind: Kind) -> Vec<f64> {
        if count < 16 {
            return (0..count).map(|_| kind.rounded(self.next_normal())).collect();
        }
        let mut values: Vec<f64> = (0..count).map(|_| kind.uniform(self)).collect();
        values.chunks_exact_mut(16).for_each(|block| kind.to_normal(block));
        // A ragged end draws its last 16 values afresh, over some that are already normal.
        if !count.is_multiple_of(16)
            && let Some(tail) = values.last_chunk_mut::<16>()
        {
            tail.iter_mut().for_each(|value| *value = kind.uniform(self));
            kind.to_normal(tail);
        }
        values
    }

    fn next_normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let (angle, radius) = (self.uniform_double(), self.uniform_double());
        let radius = (-2.0 * (-radius).ln_1p()).sqrt();
        let (sine, cosine) = (TAU * angle).sin_cos();
        self.spare = Some(radius * sine);
        radius * cosine
    }
}

/// The type of a draw, to which PyTorch rounds each operation of a long one.
#[derive(Clone, Copy)]
enum Kind {
    Half,
    Single,
    Double,
}

impl Kind {
    fn rounded(self, value: f64) -> f64 {
        match self {
            Self::Half => half::f16::from_f32(value as f32).to_f64(),
            Self::Single => f64::from(value as f32),
            Self::Double => value,
        }
    }

    /// As many random bits as the type's fraction holds.
    fn uniform(self, generator: &mut TorchGenerator) -> f64 {
        match self {
            Self::Half => f64::from(generator.word() & 0x7ff) * 2f64.powi(-11),
            Self::Single => generator.uniform_single().into(),
            Self::Double => generator.uniform_double(),
        }
    }

    /// Box–Muller on 16 uniforms: the first eight give radii, the last eight angles.
    fn to_normal(self, block: &mut [f64]) {
        // The vector code for f32 takes the circle in f32, too.
        let circle = if let Self::Single = self { self.rounded(TAU) } else { TAU };
        let (radii, angles) = block.split_at_mut(block.len() / 2);
        for (radius, angle) in radii.iter_mut().zip(angles) {
            let logarithm = self.rounded((1.0 - *radius).ln());
            let length = self.rounded((-2.0 * logarithm).sqrt());
            let (sine, cosine) = self.rounded(circle * *angle).sin_cos();
            *radius = self.rounded(length * self.rounded(cosine));
            *angle = self.rounded(length * self.rounded(sine));
        }
    }
}

/// Normals of CUDA's Philox 4×32-10 generator, one counter per element, as AUTOMATIC1111 reproduces them on the CPU
/// (its random source "NV").
#[derive(Clone, Debug)]
pub struct PhiloxGenerator {
    seed: u64,
    draws: u32,
}

impl PhiloxGenerator {
    pub fn new(seed: u64) -> Self {
        Self { seed, draws: 0 }
    }

    /// The next draw. Unlike with [`TorchGenerator`], every draw starts anew with the number of draws before it.
    pub fn normal(&mut self, count: usize) -> Vec<f32> {
        let draw = self.draws;
        self.draws = draw.wrapping_add(1);
        (0..count).map(|index| self.element(draw, index as u32)).collect()
    }

    fn element(&self, draw: u32, index: u32) -> f32 {
        let [radius, angle, ..] = philox([draw, 0, index, 0], self.seed);
        let half = 0.5;
        let radius = (f64::from(radius) + half) * 2f64.powi(-32);
        let angle = (f64::from(angle) + half) * 2f64.powi(-32) * TAU;
        ((-2.0 * radius.ln()).sqrt() * angle.sin()) as f32
    }
}

/// Ten rounds of Philox 4×32 (Salmon et al. 2011).
fn philox(mut counter: [u32; 4], seed: u64) -> [u32; 4] {
    let split = |product: u64| ((product >> 32) as u32, product as u32);
    let (mut key_high, mut key_low) = split(seed);
    for _ in 0..10 {
        let [a, b, c, d] = counter;
        let (first_high, first_low) = split(u64::from(a) * 0xd251_1f53);
        let (second_high, second_low) = split(u64::from(c) * 0xcd9e_8d57);
        counter = [second_high ^ b ^ key_low, second_low, first_high ^ d ^ key_high, first_low];
        key_low = key_low.wrapping_add(0x9e37_79b9);
        key_high = key_high.wrapping_add(0xbb67_ae85);
    }
    counter
}
