//! Q8_0: a block of 32 values is one f16 scale d and 32 signed bytes q; value = d·q.
//!
//! Definition and rounding: `block_q8_0` of ggml and `Q8_0` of gguf-py (`gguf/quants.py`).

use crate::quant::BLOCK;

/// Bytes of a block in a GGUF file: the scale, then the values in order.
pub const BYTES: usize = 2 + BLOCK;

/// One block of 32 values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Block {
    pub scale: half::f16,
    pub values: [i8; BLOCK],
}

impl Block {
    /// The largest magnitude becomes ±127; ties round away from zero.
    pub fn encode(values: &[f32; BLOCK]) -> Self {
        let largest = values.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        let scale = largest / 127.0;
        let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
        Self { scale: half::f16::from_f32(scale), values: values.map(|value| (value * inverse).round() as i8) }
    }

    pub fn decode(&self) -> [f32; BLOCK] {
        let scale = self.scale.to_f32();
        self.values.map(|value| scale * f32::from(value))
    }

    pub fn from_bytes(&[low, high, ref values @ ..]: &[u8; BYTES]) -> Self {
        Self { scale: half::f16::from_le_bytes([low, high]), values: values.map(|byte| byte as i8) }
    }

    pub fn to_bytes(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        let [low, high, values @ ..] = &mut bytes;
        [*low, *high] = self.scale.to_le_bytes();
        *values = self.values.map(|value| value as u8);
        bytes
    }
}
