//! Where the values and scales of a weight matrix lie in its GPU buffer, and the packing of rows into it.
//!
//! Decision: one buffer with a values segment and a scales segment, because a GGUF block of 18 or 34 bytes starts at odd
//! half-words, which a shader could only read byte by byte; apart, both are read in aligned words, and one binding
//! serves both. Rejected: two buffers a matrix, one storage binding more in kernels that already use seven of eight.

use crate::error::{Error, ErrorKind, Result};
use crate::quant::{BLOCK, f16, q4_0, q8_0};
use crate::tensor::DType;

/// Bytes for one place of a matrix's buffer: offset (a multiple of 4) and data (a multiple of 4 long).
pub type Segment = (u64, Vec<u8>);

/// Layout of a row-major `[rows, columns]` matrix of weights.
///
/// Values: f32 or f16 little endian; Q8_0 signed bytes in order; Q4_0 nibbles in order, value 2i in the low half of
/// byte i. Block formats add one f16 scale per block of 32 values, row by row, from `scales_offset` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatrixLayout {
    pub dtype: DType,
    pub rows: usize,
    pub columns: usize,
    /// Where the scales start, a multiple of 256; the end of the values for formats without scales.
    pub scales_offset: u64,
    /// Size of the whole buffer.
    pub bytes: u64,
}

impl MatrixLayout {
    /// `rows` must be a multiple of 4, `columns` of 4, or of 32 for block formats.
    pub fn new(dtype: DType, rows: usize, columns: usize) -> Result<Self> {
        let (column_unit, value_bits) = match dtype {
            DType::F32 => (4, 32),
            DType::F16 => (4, 16),
            DType::Q8_0 => (BLOCK, 8),
            DType::Q4_0 => (BLOCK, 4),
            DType::BF16 => {
                return Err(Error::new(
                    ErrorKind::Internal,
                    "bf16 weights have no GPU layout; convert them to f16 or f32",
                ));
            }
        };
        let fault = |what: &str| {
            Err(Error::new(ErrorKind::TensorShape, format!("a {dtype} matrix of {rows}×{columns} {what}")))
        };
        if rows == 0 || columns == 0 || !rows.is_multiple_of(4) || !columns.is_multiple_of(column_unit) {
            return fault(&format!("needs rows in multiples of 4 and columns in multiples of {column_unit}"));
        }
        let Some(bits) = (rows as u64).checked_mul(columns as u64).and_then(|values| values.checked_mul(value_bits))
        else {
            return fault("is too large");
        };
        let value_bytes = bits / 8;
        let (scales_offset, bytes) = if matches!(dtype, DType::Q8_0 | DType::Q4_0) {
            let offset = value_bytes.next_multiple_of(256);
            (offset, offset + (rows as u64) * (columns / BLOCK) as u64 * 2)
        } else {
            (value_bytes, value_bytes)
        };
        // Shaders index values, in units of four, and scales with u32.
        if bytes / 4 > u64::from(u32::MAX) || (rows as u64) * (columns as u64) / 4 > u64::from(u32::MAX) {
            return fault("is too large for 32-bit offsets");
        }
        Ok(Self { dtype, rows, columns, scales_offset, bytes })
    }

    /// Encodes whole consecutive rows, starting with `first_row`, and says where their bytes go.
    ///
    /// A matrix may be packed in pieces of any number of rows as long as every piece starts and ends at a multiple of 4
    /// bytes; multiples of 2 rows always do.
    pub fn pack_rows(&self, first_row: usize, values: &[f32]) -> Result<Vec<Segment>> {
        self.check_rows(first_row, values.len(), self.columns)?;
        let mut packed = Vec::new();
        match self.dtype {
            DType::F32 => packed.extend(values.iter().flat_map(|value| value.to_le_bytes())),
            DType::F16 => f16::encode(values, &mut packed),
            DType::Q8_0 => return self.pack_q8_0(first_row, values.as_chunks().0.iter().map(q8_0::Block::encode)),
            DType::Q4_0 => return self.pack_q4_0(first_row, values.as_chunks().0.iter().map(q4_0::Block::encode)),
            DType::BF16 => return Err(self.foreign()),
        }
        self.segments(first_row, packed, Vec::new())
    }

    /// Moves whole consecutive rows of the matrix's own type from a file's order to the GPU's, without a second rounding.
    pub fn repack_rows(&self, first_row: usize, stored: &[u8]) -> Result<Vec<Segment>> {
        self.check_rows(first_row, stored.len(), super::stored_bytes(self.dtype, self.columns)?)?;
        match self.dtype {
            DType::F32 | DType::F16 => self.segments(first_row, stored.to_vec(), Vec::new()),
            DType::Q8_0 => self.pack_q8_0(first_row, stored.as_chunks().0.iter().map(q8_0::Block::from_bytes)),
            DType::Q4_0 => self.pack_q4_0(first_row, stored.as_chunks().0.iter().map(q4_0::Block::from_bytes)),
            DType::BF16 => Err(self.foreign()),
        }
    }

    /// Decodes `count` rows from the bytes of the whole buffer, exactly as the shaders do.
    pub fn unpack_rows(&self, buffer: &[u8], first_row: usize, count: usize) -> Result<Vec<f32>> {
        self.check_rows(first_row, count, 1)?;
        let first = first_row * self.columns;
        let values = first..first + count * self.columns;
        let slice = |from: usize, to: usize| {
            buffer.get(from..to).ok_or_else(|| {
                Error::new(
                    ErrorKind::Internal,
                    format!("{} bytes do not hold a matrix of {}", buffer.len(), self.bytes),
                )
            })
        };
        let scales = |blocks: std::ops::Range<usize>| -> Result<Vec<half::f16>> {
            let start = self.scales_offset as usize;
            let bytes = slice(start + blocks.start * 2, start + blocks.end * 2)?;
            Ok(bytes.as_chunks().0.iter().map(|&chunk| half::f16::from_le_bytes(chunk)).collect())
        };
        let blocks = values.start / BLOCK..values.end / BLOCK;
        match self.dtype {
            DType::F32 => super::decode(DType::F32, slice(values.start * 4, values.end * 4)?),
            DType::F16 => super::decode(DType::F16, slice(values.start * 2, values.end * 2)?),
            DType::Q8_0 => {
                let (packed, _) = slice(values.start, values.end)?.as_chunks::<BLOCK>();
                let blocks = packed.iter().zip(scales(blocks)?);
                Ok(blocks
                    .flat_map(|(bytes, scale)| q8_0::Block { scale, values: bytes.map(|byte| byte as i8) }.decode())
                    .collect())
            }
            DType::Q4_0 => {
                let (packed, _) = slice(values.start / 2, values.end / 2)?.as_chunks();
                let blocks = packed.iter().zip(scales(blocks)?);
                Ok(blocks.flat_map(|(bytes, scale)| q4_0::Block::from_sequential(scale, bytes).decode()).collect())
            }
            DType::BF16 => Err(self.foreign()),
        }
    }

    fn pack_q8_0(&self, first_row: usize, blocks: impl Iterator<Item = q8_0::Block>) -> Result<Vec<Segment>> {
        let (mut values, mut scales) = (Vec::new(), Vec::new());
        for block in blocks {
            values.extend(block.values.map(|value| value as u8));
            scales.extend(block.scale.to_le_bytes());
        }
        self.segments(first_row, values, scales)
    }

    fn pack_q4_0(&self, first_row: usize, blocks: impl Iterator<Item = q4_0::Block>) -> Result<Vec<Segment>> {
        let (mut values, mut scales) = (Vec::new(), Vec::new());
        for block in blocks {
            values.extend(block.to_sequential());
            scales.extend(block.scale.to_le_bytes());
        }
        self.segments(first_row, values, scales)
    }

    fn segments(&self, first_row: usize, values: Vec<u8>, scales: Vec<u8>) -> Result<Vec<Segment>> {
        let per_row = |bytes: u64| bytes / self.rows as u64 * first_row as u64;
        let values_at = per_row((self.rows * self.columns) as u64 * self.value_bits() / 8);
        let scales_at = self.scales_offset + per_row(self.bytes - self.scales_offset);
        let mut segments = vec![(values_at, values)];
        if !scales.is_empty() {
            segments.push((scales_at, scales));
        }
        if segments.iter().any(|(offset, data)| !offset.is_multiple_of(4) || !data.len().is_multiple_of(4)) {
            return Err(Error::new(
                ErrorKind::Internal,
                format!(
                    "rows from {first_row} of a {} matrix start or end within a word; pack pairs of rows",
                    self.dtype
                ),
            ));
        }
        Ok(segments)
    }

    fn value_bits(&self) -> u64 {
        match self.dtype {
            DType::F32 => 32,
            DType::F16 | DType::BF16 => 16,
            DType::Q8_0 => 8,
            DType::Q4_0 => 4,
        }
    }

    fn check_rows(&self, first_row: usize, length: usize, row_length: usize) -> Result<()> {
        let whole = length.is_multiple_of(row_length);
        if whole && first_row.checked_add(length / row_length).is_some_and(|end| end <= self.rows) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Internal,
            format!(
                "{length} items from row {first_row} on are not whole rows of a {}×{} matrix",
                self.rows, self.columns
            ),
        ))
    }

    fn foreign(&self) -> Error {
        Error::new(ErrorKind::Internal, format!("{} weights have no GPU layout", self.dtype))
    }
}
