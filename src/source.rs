//! Where the bytes of a model come from, one range at a time.
//!
//! Decision: object-safe traits with boxed local futures, because a model mixes sources (a folder picked by hand, a hub,
//! a cache) and reads are few and large. Rejected: whole files in memory; a checkpoint is larger than a wasm heap.

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::rc::Rc;

use crate::error::{Error, ErrorKind, Result};

/// A future that stays on its thread, as those of a browser do.
pub type LocalFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// One file.
pub trait ByteSource {
    /// Path or address, for messages.
    fn name(&self) -> &str;
    /// Length in bytes.
    fn length(&self) -> u64;
    /// Exactly the bytes of `range`; `Truncated` where the file ends before, `Network` where reading fails.
    fn read(&self, range: Range<u64>) -> LocalFuture<'_, Result<Vec<u8>>>;
}

/// A tree of files with `/`-separated relative paths, such as a diffusers folder.
pub trait Folder {
    /// Path or address, for messages.
    fn name(&self) -> &str;
    /// The file at `path`, or none where there is no such file.
    fn open<'a>(&'a self, path: &'a str) -> LocalFuture<'a, Result<Option<Rc<dyn ByteSource>>>>;
}

/// A file that is already in memory.
pub struct MemorySource {
    name: String,
    bytes: Vec<u8>,
}

impl MemorySource {
    pub fn new(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self { name: name.into(), bytes }
    }
}

impl ByteSource for MemorySource {
    fn name(&self) -> &str {
        &self.name
    }

    fn length(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read(&self, range: Range<u64>) -> LocalFuture<'_, Result<Vec<u8>>> {
        let bytes = usize::try_from(range.start)
            .ok()
            .zip(usize::try_from(range.end).ok())
            .and_then(|(start, end)| self.bytes.get(start..end))
            .map(<[u8]>::to_vec)
            .ok_or_else(|| Error::new(ErrorKind::Truncated, format!("{} ends before byte {}", self.name, range.end)));
        Box::pin(std::future::ready(bytes))
    }
}
