//! Weight formats: how values are encoded, and how a matrix of them lies in a GPU buffer.
//!
//! Decision: GGUF's block definitions, one file per format, quantised exactly as GGUF's reference does; so a file made by
//! any tool of that ecosystem loads as it is, and what Darkroom writes is readable elsewhere. The GPU sees the same
//! numbers with values and scales apart ([`MatrixLayout`]). Rejected: a block format of our own, which would quantise
//! already quantised files a second time.

pub mod f16;
pub mod layout;
pub mod q4_0;
pub mod q8_0;

pub use layout::{MatrixLayout, Segment};

use crate::error::{Error, ErrorKind, Result};
use crate::tensor::DType;

/// Values in a block of every block format, along K.
pub const BLOCK: usize = 32;

/// Bytes of `values` consecutive values of a row, as a GGUF or safetensors file stores them.
pub fn stored_bytes(dtype: DType, values: usize) -> Result<usize> {
    let (group, bytes) = match dtype {
        DType::F32 => (1, 4),
        DType::F16 | DType::BF16 => (1, 2),
        DType::Q8_0 => (BLOCK, q8_0::BYTES),
        DType::Q4_0 => (BLOCK, q4_0::BYTES),
    };
    if !values.is_multiple_of(group) {
        return Err(Error::new(
            ErrorKind::TensorShape,
            format!("{values} values are not whole {dtype} blocks of {group}"),
        ));
    }
    (values / group)
        .checked_mul(bytes)
        .ok_or_else(|| Error::new(ErrorKind::TensorShape, format!("{values} {dtype} values exceed the address space")))
}

/// Widens stored bytes to f32: exactly GGUF's reference dequantisation.
pub fn decode(dtype: DType, bytes: &[u8]) -> Result<Vec<f32>> {
    let ragged = |unit: usize| {
        Err(Error::new(ErrorKind::Truncated, format!("{} bytes are not whole {dtype} blocks of {unit}", bytes.len())))
    };
    match dtype {
        DType::F32 => match bytes.as_chunks() {
            (chunks, []) => Ok(chunks.iter().map(|&chunk| f32::from_le_bytes(chunk)).collect()),
            _ => ragged(4),
        },
        DType::F16 => f16::decode(bytes).map_or_else(|| ragged(2), Ok),
        DType::BF16 => f16::decode_brain(bytes).map_or_else(|| ragged(2), Ok),
        DType::Q8_0 => match bytes.as_chunks() {
            (blocks, []) => Ok(blocks.iter().flat_map(|block| q8_0::Block::from_bytes(block).decode()).collect()),
            _ => ragged(q8_0::BYTES),
        },
        DType::Q4_0 => match bytes.as_chunks() {
            (blocks, []) => Ok(blocks.iter().flat_map(|block| q4_0::Block::from_bytes(block).decode()).collect()),
            _ => ragged(q4_0::BYTES),
        },
    }
}

/// Narrows f32 values to stored bytes: exactly GGUF's reference quantisation.
pub fn encode(dtype: DType, values: &[f32]) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(stored_bytes(dtype, values.len())?);
    match dtype {
        DType::F32 => values.iter().for_each(|value| bytes.extend(value.to_le_bytes())),
        DType::F16 => f16::encode(values, &mut bytes),
        DType::BF16 => f16::encode_brain(values, &mut bytes),
        DType::Q8_0 => {
            values.as_chunks().0.iter().for_each(|block| bytes.extend(q8_0::Block::encode(block).to_bytes()));
        }
        DType::Q4_0 => {
            values.as_chunks().0.iter().for_each(|block| bytes.extend(q4_0::Block::encode(block).to_bytes()));
        }
    }
    Ok(bytes)
}
