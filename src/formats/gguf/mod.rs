//! GGUF, version 2 and 3: metadata, then the tensors' names, shapes, types and offsets, then their data.
//!
//! Decision: the header's length is written nowhere, so [`parse`] gets the beginning of the file and may answer that it
//! needs more of it. Long arrays of the metadata are checked but not kept, so that a header cannot grow in memory.
//! Rejected: a reader that pulls bytes as it goes, which would tie the format to I/O.
//!
//! Source: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.

mod tensor_type;

use std::collections::BTreeMap;
use std::ops::Range;

use crate::error::{Error, ErrorKind, Result};

pub use tensor_type::TensorType;

/// Enough for the header of any diffusion model in one go.
pub const FIRST_READ_BYTES: u64 = 1 << 20;
/// More than any published header is long.
pub const MAX_HEADER_BYTES: u64 = 100_000_000;
const DEFAULT_ALIGNMENT: u64 = 32;
const MAX_ALIGNMENT: u64 = 1 << 20;
const MAX_DIMENSIONS: u32 = 8;
const MAX_ARRAY_DEPTH: usize = 4;
/// Array elements that are kept, in all; longer arrays are vocabularies.
const MAX_KEPT_ELEMENTS: u64 = 1 << 16;
/// Bytes of a tensor's entry without its name and dimensions.
const MIN_TENSOR_BYTES: u64 = 8 + 4 + 4 + 8;
/// Bytes of a metadata entry with an empty key and a one-byte value.
const MIN_METADATA_BYTES: u64 = 8 + 4 + 1;

/// One tensor: what it is and where in the file it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub tensor_type: TensorType,
    /// Outermost dimension first, as in safetensors; the file has them the other way round.
    pub shape: Vec<usize>,
    /// Bytes from the start of the file; whole blocks.
    pub range: Range<u64>,
}

/// A value of the metadata.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
    Text(String),
    Array(Vec<Value>),
    /// An array of this length that is too long, or too deep, to be kept.
    LongArray(u64),
}

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Header {
    pub tensors: BTreeMap<String, Entry>,
    pub metadata: BTreeMap<String, Value>,
}

/// What [`parse`] made of the beginning of a file.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    Complete(Header),
    /// The header goes on: hand over this many bytes of the file, counted from its start.
    More(u64),
}

/// Reads the header from the beginning of a file of `file_length` bytes. Every tensor is whole blocks, aligned, within
/// the file, and overlaps no other.
pub fn parse(beginning: &[u8], file_length: u64) -> Result<Progress> {
    let mut reader = Reader { bytes: beginning, place: 0, file_length, kept: MAX_KEPT_ELEMENTS };
    match reader.header() {
        Ok(header) => Ok(Progress::Complete(header)),
        Err(Stop::Fault(error)) => Err(error),
        Err(Stop::More(needed)) if needed > MAX_HEADER_BYTES => Err(malformed(format!(
            "the GGUF header is longer than the {MAX_HEADER_BYTES} bytes that are allowed; the file is damaged"
        ))),
        // Twice as much as there was, so that a long header is not read in small steps.
        Err(Stop::More(needed)) => {
            let generous = needed.max(2 * beginning.len() as u64).max(FIRST_READ_BYTES);
            Ok(Progress::More(generous.min(file_length).min(MAX_HEADER_BYTES)))
        }
    }
}

enum Stop {
    Fault(Error),
    /// Bytes from the start of the file that are needed at least.
    More(u64),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Fault(error)
    }
}

fn malformed(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Malformed, message)
}

/// A tensor's entry before the data's place is known.
struct RawTensor {
    name: String,
    tensor_type: TensorType,
    /// Innermost first.
    dimensions: Vec<u64>,
    offset: u64,
}

struct Reader<'a> {
    bytes: &'a [u8],
    place: usize,
    file_length: u64,
    /// Array elements that may still be kept.
    kept: u64,
}

impl<'a> Reader<'a> {
    fn header(&mut self) -> std::result::Result<Header, Stop> {
        if self.take(4)? != b"GGUF" {
            return Err(malformed("the file does not begin with GGUF's mark").into());
        }
        match self.u32()? {
            2 | 3 => {}
            version if version.swap_bytes() <= 3 => {
                let message = "the GGUF file is big-endian, which no device of the web is";
                return Err(Error::new(ErrorKind::Unsupported, message).into());
            }
            version => {
                let message = format!("GGUF version {version} is not supported, only 2 and 3");
                return Err(Error::new(ErrorKind::Unsupported, message).into());
            }
        }
        let tensor_count = self.u64()?;
        let metadata_count = self.u64()?;
        self.check_count("metadata entries", metadata_count, MIN_METADATA_BYTES)?;
        self.check_count("tensors", tensor_count, MIN_TENSOR_BYTES)?;

        let mut header = Header::default();
        for _ in 0..metadata_count {
            let key = self.text("a metadata key")?;
            let value_type = self.u32()?;
            let value = self.value(value_type, 0).map_err(|stop| within(stop, &key))?;
            if header.metadata.insert(key.clone(), value).is_some() {
                return Err(malformed(format!("the metadata key {key} occurs twice")).into());
            }
        }
        let mut raw_tensors = Vec::new();
        for _ in 0..tensor_count {
            raw_tensors.push(self.tensor()?);
        }
        let alignment = alignment(&header.metadata)?;
        let data_start = (self.place as u64).next_multiple_of(alignment);
        for raw in raw_tensors {
            let name = raw.name.clone();
            let entry = raw.place(data_start, alignment, self.file_length).map_err(|error| error.within(&name))?;
            if header.tensors.insert(name.clone(), entry).is_some() {
                return Err(malformed(format!("the tensor {name} occurs twice")).into());
            }
        }
        check_overlap(&header.tensors)?;
        Ok(header)
    }

    fn tensor(&mut self) -> std::result::Result<RawTensor, Stop> {
        let name = self.text("a tensor's name")?;
        let rank = self.u32()?;
        if rank > MAX_DIMENSIONS {
            return Err(
                malformed(format!("{name}: {rank} dimensions are more than the {MAX_DIMENSIONS} allowed")).into()
            );
        }
        let mut dimensions = Vec::new();
        for _ in 0..rank {
            dimensions.push(self.u64()?);
        }
        let number = self.u32()?;
        let tensor_type =
            TensorType::ALL.iter().copied().find(|candidate| candidate.number() == number).ok_or_else(|| {
                Error::new(ErrorKind::Unsupported, format!("{name}: the tensor type number {number} is not supported"))
            })?;
        Ok(RawTensor { name, tensor_type, dimensions, offset: self.u64()? })
    }

    fn value(&mut self, value_type: u32, depth: usize) -> std::result::Result<Value, Stop> {
        Ok(match value_type {
            0 => Value::Unsigned(u64::from(self.number::<1>()?[0])),
            1 => Value::Signed(i64::from(i8::from_le_bytes(self.number()?))),
            2 => Value::Unsigned(u64::from(u16::from_le_bytes(self.number()?))),
            3 => Value::Signed(i64::from(i16::from_le_bytes(self.number()?))),
            4 => Value::Unsigned(u64::from(self.u32()?)),
            5 => Value::Signed(i64::from(i32::from_le_bytes(self.number()?))),
            6 => Value::Float(f64::from(f32::from_le_bytes(self.number()?))),
            7 => match self.number::<1>()? {
                [0] => Value::Bool(false),
                [1] => Value::Bool(true),
                [other] => return Err(malformed(format!("{other} is neither true nor false")).into()),
            },
            8 => Value::Text(self.text("a text")?),
            9 => self.array(depth)?,
            10 => Value::Unsigned(self.u64()?),
            11 => Value::Signed(i64::from_le_bytes(self.number()?)),
            12 => Value::Float(f64::from_le_bytes(self.number()?)),
            _ => return Err(malformed(format!("the value type number {value_type} does not exist")).into()),
        })
    }

    fn array(&mut self, depth: usize) -> std::result::Result<Value, Stop> {
        if depth == MAX_ARRAY_DEPTH {
            return Err(malformed(format!("arrays are nested more than {MAX_ARRAY_DEPTH} deep")).into());
        }
        let element_type = self.u32()?;
        let count = self.u64()?;
        let smallest = smallest_value(element_type)
            .ok_or_else(|| malformed(format!("the value type number {element_type} does not exist")))?;
        self.check_count("array elements", count, smallest)?;
        if depth == 0 && count <= self.kept {
            self.kept -= count;
            let mut elements = Vec::new();
            for _ in 0..count {
                elements.push(self.value(element_type, depth + 1)?);
            }
            return Ok(Value::Array(elements));
        }
        if matches!(element_type, 8 | 9) {
            // Of a length of their own each.
            for _ in 0..count {
                match element_type {
                    8 => self.skip_text()?,
                    _ => drop(self.array(depth + 1)?),
                }
            }
        } else {
            // No overflow: the product was checked against the file's length.
            self.skip(count.saturating_mul(smallest))?;
        }
        Ok(Value::LongArray(count))
    }

    /// Refuses a count that the rest of the file cannot hold, before anything is done that many times.
    fn check_count(&self, what: &str, count: u64, smallest: u64) -> Result<()> {
        let rest = self.file_length.saturating_sub(self.place as u64);
        match count.checked_mul(smallest) {
            Some(bytes) if bytes <= rest => Ok(()),
            _ => Err(Error::new(
                ErrorKind::Truncated,
                format!("the GGUF header promises {count} {what}, more than the file can hold"),
            )),
        }
    }

    fn text(&mut self, what: &str) -> std::result::Result<String, Stop> {
        let length = self.u64()?;
        let bytes = self.take(length)?;
        let text =
            std::str::from_utf8(bytes).map_err(|_| malformed(format!("{what} in the GGUF header is not UTF-8")))?;
        Ok(text.to_owned())
    }

    fn skip_text(&mut self) -> std::result::Result<(), Stop> {
        let length = self.u64()?;
        self.skip(length)
    }

    fn skip(&mut self, count: u64) -> std::result::Result<(), Stop> {
        self.take(count).map(drop)
    }

    fn u32(&mut self) -> std::result::Result<u32, Stop> {
        Ok(u32::from_le_bytes(self.number()?))
    }

    fn u64(&mut self) -> std::result::Result<u64, Stop> {
        Ok(u64::from_le_bytes(self.number()?))
    }

    fn number<const N: usize>(&mut self) -> std::result::Result<[u8; N], Stop> {
        let bytes = self.take(N as u64)?;
        let number = bytes.first_chunk::<N>().copied();
        number.ok_or_else(|| Error::new(ErrorKind::Internal, "a number of the GGUF header was cut").into())
    }

    /// The next `count` bytes, or what stands in the way.
    fn take(&mut self, count: u64) -> std::result::Result<&'a [u8], Stop> {
        let end = (self.place as u64).checked_add(count).filter(|end| *end <= self.file_length).ok_or_else(|| {
            Error::new(ErrorKind::Truncated, "the file ends inside its GGUF header; the download may be incomplete")
        })?;
        let taken = usize::try_from(end).ok().and_then(|end| Some((self.bytes.get(self.place..end)?, end)));
        let (bytes, place) = taken.ok_or(Stop::More(end))?;
        self.place = place;
        Ok(bytes)
    }
}

impl RawTensor {
    fn place(self, data_start: u64, alignment: u64, file_length: u64) -> Result<Entry> {
        let (block, block_bytes) = self.tensor_type.block();
        let too_large =
            || malformed(format!("the dimensions {:?} have more elements than a file can hold", self.dimensions));
        let elements = self.dimensions.iter().try_fold(1_u64, |product, dimension| product.checked_mul(*dimension));
        let elements = elements.ok_or_else(too_large)?;
        let row = self.dimensions.first().copied().unwrap_or(1);
        if !row.is_multiple_of(block) {
            return Err(malformed(format!(
                "a row of {row} elements is not whole blocks of {block} ({})",
                self.tensor_type
            )));
        }
        if !self.offset.is_multiple_of(alignment) {
            return Err(malformed(format!("the offset {} is not a multiple of {alignment}", self.offset)));
        }
        let bytes = (elements / block).checked_mul(block_bytes).ok_or_else(too_large)?;
        let start = data_start.checked_add(self.offset);
        let range = start.and_then(|start| Some(start..start.checked_add(bytes)?)).ok_or_else(too_large)?;
        if range.end > file_length {
            let message = format!("the file of {file_length} bytes ends before the tensor's data at {}", range.end);
            return Err(Error::new(ErrorKind::Truncated, message));
        }
        let shape: Option<Vec<usize>> =
            self.dimensions.iter().rev().map(|dimension| usize::try_from(*dimension).ok()).collect();
        let shape = shape.ok_or_else(too_large)?;
        Ok(Entry { tensor_type: self.tensor_type, shape, range })
    }
}

fn check_overlap(tensors: &BTreeMap<String, Entry>) -> Result<()> {
    let filled = tensors.iter().filter(|(_, entry)| !entry.range.is_empty());
    let mut by_position: Vec<(&String, &Range<u64>)> = filled.map(|(name, entry)| (name, &entry.range)).collect();
    by_position.sort_by_key(|(_, range)| range.start);
    let mut end = 0;
    for (name, range) in by_position {
        if range.start < end {
            return Err(malformed(format!("{name}: the tensor overlaps the one before it")));
        }
        end = range.end;
    }
    Ok(())
}

fn alignment(metadata: &BTreeMap<String, Value>) -> Result<u64> {
    match metadata.get("general.alignment") {
        None => Ok(DEFAULT_ALIGNMENT),
        Some(Value::Unsigned(alignment)) if alignment.is_power_of_two() && *alignment <= MAX_ALIGNMENT => {
            Ok(*alignment)
        }
        Some(other) => Err(malformed(format!("general.alignment is {other:?}, not a small power of two"))),
    }
}

/// Bytes that a value of a type takes at least; none where there is no such type.
fn smallest_value(value_type: u32) -> Option<u64> {
    match value_type {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        8 | 10..=12 => Some(8),
        9 => Some(12),
        _ => None,
    }
}

fn within(stop: Stop, place: &str) -> Stop {
    match stop {
        Stop::Fault(error) => Stop::Fault(error.within(place)),
        more @ Stop::More(_) => more,
    }
}
