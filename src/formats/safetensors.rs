//! Safetensors: 8 bytes of header length (little endian), a JSON header, the tensors' data.
//!
//! Decision: own code for the rules of the `safetensors` crate, because its `Metadata` counts bytes in `usize` and so
//! refuses files beyond 4 GiB on wasm32, and because it lets a repeated name pass. The crate writes the files of the
//! tests and is asked there whether it agrees. Rejected: the crate itself; a lenient reader.
//!
//! Source of the format: <https://huggingface.co/docs/safetensors>.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::error::{Error, ErrorKind, Result};
use crate::formats::json::UniqueMap;

/// Bytes before the header, which hold its length.
pub const PREFIX_BYTES: u64 = 8;
/// The longest header that the format allows.
pub const MAX_HEADER_BYTES: u64 = 100_000_000;
/// More dimensions than any tensor has; bounds what a hostile shape can make us allocate.
const MAX_RANK: usize = 16;

/// How one element is stored, little endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ElementType {
    Bool,
    U8,
    I8,
    F8E4M3,
    F8E5M2,
    U16,
    I16,
    F16,
    BF16,
    U32,
    I32,
    F32,
    U64,
    I64,
    F64,
}

impl ElementType {
    const ALL: [Self; 15] = [
        Self::Bool,
        Self::U8,
        Self::I8,
        Self::F8E4M3,
        Self::F8E5M2,
        Self::U16,
        Self::I16,
        Self::F16,
        Self::BF16,
        Self::U32,
        Self::I32,
        Self::F32,
        Self::U64,
        Self::I64,
        Self::F64,
    ];

    /// The name in a header.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bool => "BOOL",
            Self::U8 => "U8",
            Self::I8 => "I8",
            Self::F8E4M3 => "F8_E4M3",
            Self::F8E5M2 => "F8_E5M2",
            Self::U16 => "U16",
            Self::I16 => "I16",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::U32 => "U32",
            Self::I32 => "I32",
            Self::F32 => "F32",
            Self::U64 => "U64",
            Self::I64 => "I64",
            Self::F64 => "F64",
        }
    }

    /// Bytes of one element.
    pub const fn bytes(self) -> u64 {
        match self {
            Self::Bool | Self::U8 | Self::I8 | Self::F8E4M3 | Self::F8E5M2 => 1,
            Self::U16 | Self::I16 | Self::F16 | Self::BF16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|element| element.name() == name)
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// One tensor: what it is and where in the file it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub element: ElementType,
    /// As in the file, outermost dimension first; empty for a single value.
    pub shape: Vec<usize>,
    /// Bytes from the start of the file; exactly shape × element.
    pub range: Range<u64>,
}

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    pub tensors: BTreeMap<String, Entry>,
    /// Free text of whoever wrote the file (`__metadata__`).
    pub metadata: BTreeMap<String, String>,
}

/// Bytes of the JSON header that follows the prefix. `prefix` holds the file's first 8 bytes (fewer where it is
/// shorter), `file_length` counts the whole file.
pub fn header_length(prefix: &[u8], file_length: u64) -> Result<u64> {
    refuse_other_formats(prefix)?;
    let Some(prefix) = prefix.first_chunk::<8>().filter(|_| file_length >= PREFIX_BYTES) else {
        return Err(Error::new(
            ErrorKind::Truncated,
            "the file is shorter than the 8 bytes that begin a safetensors file",
        ));
    };
    let length = u64::from_le_bytes(*prefix);
    if length > MAX_HEADER_BYTES {
        refuse_legacy_pickle(prefix)?;
        return Err(malformed(format!(
            "the safetensors header claims {length} bytes, more than the {MAX_HEADER_BYTES} that are allowed; \
             the file is damaged or not a safetensors file"
        )));
    }
    // "{}" is the shortest object.
    if length < 2 {
        return Err(malformed(format!("the safetensors header claims {length} bytes, too few for JSON")));
    }
    if length > file_length - PREFIX_BYTES {
        return Err(Error::new(
            ErrorKind::Truncated,
            format!("the file ends inside its safetensors header of {length} bytes; the download may be incomplete"),
        ));
    }
    Ok(length)
}

/// Reads a header of the length that [`header_length`] gave. Every tensor's range is its shape times its element, the
/// ranges follow each other without overlap or gap, and they end with the file.
pub fn parse(header: &[u8], file_length: u64) -> Result<Header> {
    if header.first() != Some(&b'{') {
        return Err(malformed("the safetensors header does not begin with '{'"));
    }
    let text = std::str::from_utf8(header).map_err(|_| malformed("the safetensors header is not UTF-8 text"))?;
    let raw: RawHeader = serde_json::from_str(text)
        .map_err(|error| malformed(format!("the safetensors header is not what the format asks for: {error}")))?;
    let data_start = PREFIX_BYTES + header.len() as u64;
    let data_length = file_length.checked_sub(data_start).ok_or_else(|| {
        Error::new(
            ErrorKind::Truncated,
            format!("the file ends inside its safetensors header of {} bytes", header.len()),
        )
    })?;

    let mut tensors = BTreeMap::new();
    for (name, entry) in raw.tensors {
        let entry = entry.check(data_start, data_length).map_err(|error| error.within(&name))?;
        tensors.insert(name, entry);
    }
    check_coverage(&tensors, data_start, file_length)?;
    Ok(Header { tensors, metadata: raw.metadata })
}

/// Each range begins where the one before ends, the first right after the header, the last at the end of the file.
fn check_coverage(tensors: &BTreeMap<String, Entry>, data_start: u64, file_length: u64) -> Result<()> {
    let mut by_position: Vec<(&String, &Range<u64>)> =
        tensors.iter().map(|(name, entry)| (name, &entry.range)).collect();
    by_position.sort_by_key(|(_, range)| (range.start, range.end));
    let mut end = data_start;
    for (name, range) in by_position {
        if range.start < end {
            return Err(malformed(format!("{name}: the tensor overlaps the one before it")));
        }
        if range.start > end {
            return Err(malformed(format!("{name}: {} unused bytes lie before the tensor", range.start - end)));
        }
        end = range.end;
    }
    if end != file_length {
        return Err(malformed(format!("{} bytes follow the last tensor", file_length.saturating_sub(end))));
    }
    Ok(())
}

/// Zip archives (PyTorch 1.6 and later), GGUF files, and the texts that stand in for a file that was not fetched.
fn refuse_other_formats(prefix: &[u8]) -> Result<()> {
    // As a length this would be 67 MB, which no real header has.
    if prefix.starts_with(b"PK\x03\x04") {
        return Err(pickle("the file is a PyTorch checkpoint (a zip archive with a pickle)"));
    }
    if prefix.starts_with(b"GGUF") {
        return Err(malformed("the file is a GGUF file, not a safetensors file"));
    }
    if prefix.starts_with(b"version ") {
        return Err(malformed("the file is a Git LFS pointer, not the weights; fetch them with `git lfs pull`"));
    }
    if prefix.starts_with(b"<!") || prefix.starts_with(b"<html") {
        return Err(malformed("the file is a web page, not weights; the address may need a login or be wrong"));
    }
    Ok(())
}

/// A bare pickle begins with 0x80 and its protocol. A header of 640 bytes does too, so only an absurd length tells.
fn refuse_legacy_pickle(prefix: &[u8; 8]) -> Result<()> {
    if matches!(prefix, [0x80, 2..=5, ..]) {
        return Err(pickle("the file is a pickle"));
    }
    Ok(())
}

/// The refusal of a pickle, with the reason and the remedy.
pub fn pickle(what: &str) -> Error {
    Error::new(
        ErrorKind::Pickle,
        format!(
            "{what}, which can run code when it is opened, so it is refused; use the .safetensors file of the same \
             model, or convert it"
        ),
    )
}

fn malformed(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Malformed, message)
}

struct RawHeader {
    tensors: BTreeMap<String, RawEntry>,
    metadata: BTreeMap<String, String>,
}

impl<'de> Deserialize<'de> for RawHeader {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(RawHeaderVisitor)
    }
}

struct RawHeaderVisitor;

impl<'de> Visitor<'de> for RawHeaderVisitor {
    type Value = RawHeader;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> std::result::Result<RawHeader, A::Error> {
        let mut tensors = BTreeMap::new();
        let mut metadata: Option<UniqueMap<String>> = None;
        while let Some(key) = access.next_key::<String>()? {
            let repeated = if key == "__metadata__" {
                metadata.replace(access.next_value()?).is_some()
            } else {
                // A refusal quotes the key, so it is looked up first.
                let repeated = tensors.contains_key(&key);
                let entry = access.next_value()?;
                if !repeated {
                    tensors.insert(key.clone(), entry);
                }
                repeated
            };
            if repeated {
                return Err(A::Error::custom(format_args!("the name {key} occurs twice")));
            }
        }
        Ok(RawHeader { tensors, metadata: metadata.map(|map| map.0).unwrap_or_default() })
    }
}

#[derive(Deserialize)]
struct RawEntry {
    dtype: String,
    shape: Dimensions,
    data_offsets: (u64, u64),
}

impl RawEntry {
    fn check(self, data_start: u64, data_length: u64) -> Result<Entry> {
        let element = ElementType::named(&self.dtype).ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, format!("the element type {} is not supported", self.dtype))
        })?;
        let (start, end) = self.data_offsets;
        if start > end {
            return Err(malformed(format!("the tensor's data ends at {end}, before it begins at {start}")));
        }
        let size =
            self.shape.0.iter().try_fold(element.bytes(), |size, dimension| size.checked_mul(*dimension)).ok_or_else(
                || malformed(format!("the shape {:?} has more elements than a file can hold", self.shape.0)),
            )?;
        if size != end - start {
            return Err(malformed(format!(
                "the shape {:?} of {element} takes {size} bytes, the header gives it {}",
                self.shape.0,
                end - start
            )));
        }
        if end > data_length {
            return Err(Error::new(
                ErrorKind::Truncated,
                format!(
                    "the file ends before the tensor's data ({data_length} of {end} bytes); the download may be incomplete"
                ),
            ));
        }
        let shape: Option<Vec<usize>> = self.shape.0.iter().map(|dimension| usize::try_from(*dimension).ok()).collect();
        let shape = shape.ok_or_else(|| malformed(format!("the shape {:?} is larger than memory", self.shape.0)))?;
        // No overflow: `end` is at most the data's length, which was subtracted from the file's.
        Ok(Entry { element, shape, range: data_start + start..data_start + end })
    }
}

/// A shape of at most [`MAX_RANK`] dimensions.
struct Dimensions(Vec<u64>);

impl<'de> Deserialize<'de> for Dimensions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_seq(DimensionsVisitor)
    }
}

struct DimensionsVisitor;

impl<'de> Visitor<'de> for DimensionsVisitor {
    type Value = Dimensions;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "at most {MAX_RANK} dimensions")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> std::result::Result<Dimensions, A::Error> {
        let mut dimensions = Vec::new();
        while let Some(dimension) = access.next_element()? {
            if dimensions.len() == MAX_RANK {
                return Err(A::Error::custom(format_args!("a shape has more than {MAX_RANK} dimensions")));
            }
            dimensions.push(dimension);
        }
        Ok(Dimensions(dimensions))
    }
}
