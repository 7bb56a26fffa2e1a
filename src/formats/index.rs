//! The index of a checkpoint that is split over several files (`*.safetensors.index.json`).
//!
//! Decision: the names of the parts are plain file names beside the index; anything that could lead elsewhere is
//! refused. Rejected: resolving paths, which no published index needs.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::error::{Error, ErrorKind, Result};
use crate::formats::json::UniqueMap;
use crate::formats::safetensors::pickle;

/// More than any published index is long.
pub const MAX_INDEX_BYTES: u64 = 50_000_000;

/// Which file holds which tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// Tensor name to file name.
    pub files: BTreeMap<String, String>,
}

impl Index {
    /// Reads an index; `name` is that of the file, for messages.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self> {
        let raw: RawIndex = serde_json::from_slice(bytes).map_err(|error| {
            Error::new(ErrorKind::Malformed, format!("{name} is not an index of a split checkpoint: {error}"))
        })?;
        let files = raw.weight_map.0;
        if files.is_empty() {
            return Err(Error::new(ErrorKind::Malformed, format!("{name} names no tensors")));
        }
        for file in files.values().collect::<BTreeSet<_>>() {
            check_file_name(file).map_err(|error| error.within(name))?;
        }
        Ok(Self { files })
    }

    /// The names of the parts, each once, in order.
    pub fn parts(&self) -> BTreeSet<&str> {
        self.files.values().map(String::as_str).collect()
    }
}

#[derive(Deserialize)]
struct RawIndex {
    weight_map: UniqueMap<String>,
}

fn check_file_name(file: &str) -> Result<()> {
    let leads_elsewhere = file.starts_with('.')
        || file.chars().any(|c| matches!(c, '/' | '\\' | ':' | '?' | '#' | '%') || c.is_control());
    if leads_elsewhere {
        return Err(Error::new(
            ErrorKind::Malformed,
            format!("the part {file:?} is not a plain file name, so it could lead out of the folder"),
        ));
    }
    if file.ends_with(".bin") || file.ends_with(".ckpt") || file.ends_with(".pt") {
        return Err(pickle(&format!("the part {file} is a PyTorch checkpoint")));
    }
    if !file.ends_with(".safetensors") {
        return Err(Error::new(ErrorKind::Unsupported, format!("the part {file:?} is not a .safetensors file")));
    }
    Ok(())
}
