//! Q4_0: a block of 32 values is one f16 scale d and 32 nibbles q; value = d·(q − 8).
//!
//! Definition and rounding: `block_q4_0` of ggml and `Q4_0` of gguf-py (`gguf/quants.py`).

use crate::quant::BLOCK;

/// Bytes of a block in a GGUF file: the scale, then 16 bytes; byte i holds value i in its low nibble and value i + 16
/// in its high one.
pub const BYTES: usize = 2 + BLOCK / 2;

/// One block of 32 values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Block {
    pub scale: half::f16,
    /// In order of the values, each 0 to 15.
    pub nibbles: [u8; BLOCK],
}

impl Block {
    /// The value of largest magnitude (the first of equals), sign included, becomes −8.
    pub fn encode(values: &[f32; BLOCK]) -> Self {
        let extreme =
            values.iter().fold(0.0f32, |extreme, &value| if value.abs() > extreme.abs() { value } else { extreme });
        let scale = extreme / -8.0;
        let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
        // The reference multiplies and adds without rounding in between, then narrows, then drops the fraction.
        let nibbles = values.map(|value| ((f64::from(value) * f64::from(inverse) + 8.5) as f32).clamp(0.0, 15.0) as u8);
        Self { scale: half::f16::from_f32(scale), nibbles }
    }

    pub fn decode(&self) -> [f32; BLOCK] {
        let scale = self.scale.to_f32();
        self.nibbles.map(|nibble| scale * (f32::from(nibble) - 8.0))
    }

    pub fn from_bytes(&[low, high, ref packed @ ..]: &[u8; BYTES]) -> Self {
        let mut nibbles = [0; BLOCK];
        let (first, second) = nibbles.split_at_mut(BLOCK / 2);
        for ((first, second), byte) in first.iter_mut().zip(second).zip(packed) {
            *first = byte & 15;
            *second = byte >> 4;
        }
        Self { scale: half::f16::from_le_bytes([low, high]), nibbles }
    }

    pub fn to_bytes(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        let [low, high, packed @ ..] = &mut bytes;
        [*low, *high] = self.scale.to_le_bytes();
        let (first, second) = self.nibbles.split_at(BLOCK / 2);
        for ((first, second), byte) in first.iter().zip(second).zip(packed) {
            *byte = first | (second << 4);
        }
        bytes
    }

    /// As the GPU reads it: byte i holds values 2i (low nibble) and 2i + 1, so that a word is 8 values in order and half
    /// a word one `vec4`.
    pub fn to_sequential(&self) -> [u8; BLOCK / 2] {
        let (pairs, _) = self.nibbles.as_chunks::<2>();
        std::array::from_fn(|index| pairs.get(index).map_or(0, |[low, high]| low | (high << 4)))
    }

    /// The reverse of [`Self::to_sequential`].
    pub fn from_sequential(scale: half::f16, packed: &[u8; BLOCK / 2]) -> Self {
        let mut nibbles = [0; BLOCK];
        for (pair, byte) in nibbles.as_chunks_mut::<2>().0.iter_mut().zip(packed) {
            *pair = [byte & 15, byte >> 4];
        }
        Self { scale, nibbles }
    }
}
