//! One tensor as a file holds it, safetensors or GGUF: how its values are encoded, its shape, and where it lies.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use crate::error::{Error, ErrorKind, Result};
use crate::formats::gguf::{self, TensorType, Value};
use crate::formats::ldm::Piece;
use crate::formats::safetensors::{self, ElementType};
use crate::quant;
use crate::tensor::DType;

/// How values are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Storage {
    /// One after the other, as in safetensors.
    Elements(ElementType),
    /// As GGUF has them, mostly in blocks along the innermost dimension.
    Blocks(TensorType),
}

impl Storage {
    /// Values of a block, and the bytes it takes.
    pub const fn block(self) -> (u64, u64) {
        match self {
            Self::Elements(element) => (1, element.bytes()),
            Self::Blocks(tensor_type) => tensor_type.block(),
        }
    }

    /// Widens values to f32; f64 is rounded. `Unsupported` for integers and for block formats that are not known.
    pub fn decode(self, bytes: &[u8]) -> Result<Vec<f32>> {
        let dtype = match self {
            Self::Elements(ElementType::F32) | Self::Blocks(TensorType::F32) => DType::F32,
            Self::Elements(ElementType::F16) | Self::Blocks(TensorType::F16) => DType::F16,
            Self::Elements(ElementType::BF16) | Self::Blocks(TensorType::BF16) => DType::BF16,
            Self::Blocks(TensorType::Q8_0) => DType::Q8_0,
            Self::Blocks(TensorType::Q4_0) => DType::Q4_0,
            Self::Elements(ElementType::F64) | Self::Blocks(TensorType::F64) => {
                return Ok(bytes.as_chunks().0.iter().map(|chunk| f64::from_le_bytes(*chunk) as f32).collect());
            }
            _ => return Err(Error::new(ErrorKind::Unsupported, format!("weights of the type {self} cannot be used"))),
        };
        quant::decode(dtype, bytes)
    }
}

impl fmt::Display for Storage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Elements(element) => element.fmt(formatter),
            Self::Blocks(tensor_type) => tensor_type.fmt(formatter),
        }
    }
}

/// A tensor within a file.
#[derive(Clone, Debug)]
pub struct StoredTensor {
    pub storage: Storage,
    /// As it is read, outermost dimension first.
    pub shape: Vec<usize>,
    /// Bytes from the start of the file.
    pub range: Range<u64>,
    /// The file has the matrix with rows and columns exchanged.
    pub transposed: bool,
}

impl StoredTensor {
    /// The bytes of consecutive rows, where a row is everything that one index of the first dimension holds. None
    /// where they do not lie together as whole blocks.
    pub fn row_range(&self, rows: &Range<usize>) -> Option<Range<u64>> {
        let (block, block_bytes) = self.storage.block();
        let (_, row_shape) = self.shape.split_first()?;
        let row = row_shape.iter().try_fold(1_u64, |size, dimension| size.checked_mul(*dimension as u64))?;
        if self.transposed || !row.is_multiple_of(block) {
            return None;
        }
        let row_bytes = (row / block).checked_mul(block_bytes)?;
        let place = |row: usize| self.range.start.checked_add(row_bytes.checked_mul(row as u64)?);
        Some(place(rows.start)?..place(rows.end)?)
    }

    /// A part of this tensor; none where its shape does not allow that.
    pub fn piece(&self, piece: Piece) -> Option<Self> {
        let mut part = self.clone();
        match piece {
            Piece::Whole => {}
            Piece::Third(third) => {
                let rows = self.shape.first().filter(|rows| rows.is_multiple_of(3))? / 3;
                part.range = self.row_range(&(third * rows..(third + 1) * rows))?;
                *part.shape.first_mut()? = rows;
            }
            Piece::Transposed => {
                part.shape = self.shape.iter().rev().copied().collect();
                part.transposed = part.shape.len() == 2;
                if !part.transposed {
                    return None;
                }
            }
        }
        Some(part)
    }

    /// Widens the bytes of the whole tensor.
    pub fn decode_all(&self, bytes: &[u8]) -> Result<Vec<f32>> {
        let values = self.storage.decode(bytes)?;
        match self.shape.as_slice() {
            [rows, columns] if self.transposed => {
                let at = |row: usize, column: usize| values.get(column * rows + row).copied();
                Ok((0..*rows).flat_map(|row| (0..*columns).filter_map(move |column| at(row, column))).collect())
            }
            _ => Ok(values),
        }
    }
}

/// The tensors of a safetensors file.
pub fn of_safetensors(header: safetensors::Header) -> BTreeMap<String, StoredTensor> {
    let stored = |entry: safetensors::Entry| StoredTensor {
        storage: Storage::Elements(entry.element),
        shape: entry.shape,
        range: entry.range,
        transposed: false,
    };
    header.tensors.into_iter().map(|(name, entry)| (name, stored(entry))).collect()
}

/// The tensors of a GGUF file. Converters flatten a convolution whose rows are no whole blocks, and note its shape.
pub fn of_gguf(header: gguf::Header) -> BTreeMap<String, StoredTensor> {
    let metadata = header.metadata;
    let stored = |(name, entry): (String, gguf::Entry)| {
        let noted = metadata.get(&format!("comfy.gguf.orig_shape.{name}")).and_then(noted_shape);
        let elements = |shape: &[usize]| shape.iter().try_fold(1_usize, |size, dimension| size.checked_mul(*dimension));
        let shape = noted.filter(|shape| elements(shape) == elements(&entry.shape)).unwrap_or(entry.shape);
        let storage = Storage::Blocks(entry.tensor_type);
        (name, StoredTensor { storage, shape, range: entry.range, transposed: false })
    };
    header.tensors.into_iter().map(stored).collect()
}

fn noted_shape(value: &Value) -> Option<Vec<usize>> {
    let Value::Array(dimensions) = value else { return None };
    let dimension = |value: &Value| match value {
        Value::Signed(dimension) => usize::try_from(*dimension).ok(),
        Value::Unsigned(dimension) => usize::try_from(*dimension).ok(),
        _ => None,
    };
    dimensions.iter().map(dimension).collect()
}
