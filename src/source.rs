//! Where the bytes of a model come from, one range at a time.
//!
//! Decision: object-safe traits with boxed local futures, because a model mixes sources (a folder picked by hand, a hub,
//! a cache) and reads are few and large. Rejected: whole files in memory; a checkpoint is larger than a wasm heap.

use std::collections::BTreeMap;
#[cfg(not(target_arch = "wasm32"))]
use std::fs::File;
use std::future::Future;
#[cfg(not(target_arch = "wasm32"))]
use std::io::{ErrorKind as IoErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
#[cfg(not(target_arch = "wasm32"))]
use std::path::{Path, PathBuf};
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
    /// Whether reading something a second time costs little: true for disk and memory, false for a network.
    fn is_near(&self) -> bool {
        true
    }
    /// The file at `path`, or none where there is no such file.
    fn open<'a>(&'a self, path: &'a str) -> LocalFuture<'a, Result<Option<Rc<dyn ByteSource>>>>;
}

/// Fails where a relative path could leave its folder: with `..`, a root, a drive, or a separator of another system.
/// Every [`Folder`] that turns paths into those of a system or a server asks this first.
pub fn check_relative(path: &str) -> Result<()> {
    let leaves = |segment: &str| matches!(segment, "" | "." | "..");
    if path.split('/').any(leaves) || path.chars().any(|c| matches!(c, '\\' | ':') || c.is_control()) {
        return Err(Error::new(ErrorKind::Malformed, format!("the path {path:?} could lead out of its folder")));
    }
    Ok(())
}

/// The whole of a small file in a folder; `NotFound` where it is absent, else as [`read_all`].
pub async fn read_whole(folder: &dyn Folder, path: &str, limit: u64) -> Result<Vec<u8>> {
    let Some(source) = folder.open(path).await? else {
        return Err(Error::new(ErrorKind::NotFound, format!("{} has no file {path}", folder.name())));
    };
    read_all(source.as_ref(), limit).await
}

/// The whole of a small file; `Malformed` where it is longer than `limit` bytes.
pub async fn read_all(source: &dyn ByteSource, limit: u64) -> Result<Vec<u8>> {
    let length = source.length();
    if length > limit {
        return Err(Error::new(
            ErrorKind::Malformed,
            format!("{} is {length} bytes long, more than the {limit} that such a file may have", source.name()),
        ));
    }
    read_exactly(source, 0..length).await
}

/// The bytes of `range`, and never fewer or more, whatever the source does.
pub async fn read_exactly(source: &dyn ByteSource, range: Range<u64>) -> Result<Vec<u8>> {
    if range.start > range.end || range.end > source.length() {
        return Err(ends_before(source.name(), range.end));
    }
    let bytes = source.read(range.clone()).await?;
    if bytes.len() as u64 != range.end - range.start {
        return Err(ends_before(source.name(), range.end));
    }
    Ok(bytes)
}

fn ends_before(name: &str, end: u64) -> Error {
    Error::new(ErrorKind::Truncated, format!("{name} ends before byte {end}"))
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
            .ok_or_else(|| ends_before(&self.name, range.end));
        Box::pin(std::future::ready(bytes))
    }
}

/// Files that are already in memory.
#[derive(Default)]
pub struct MemoryFolder {
    name: String,
    files: BTreeMap<String, Rc<MemorySource>>,
}

impl MemoryFolder {
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), files: BTreeMap::new() }
    }

    /// Adds a file, or replaces the one at the same path.
    pub fn insert(&mut self, path: impl Into<String>, bytes: Vec<u8>) {
        let path = path.into();
        let source = MemorySource::new(format!("{}/{path}", self.name), bytes);
        self.files.insert(path, Rc::new(source));
    }
}

impl Folder for MemoryFolder {
    fn name(&self) -> &str {
        &self.name
    }

    fn open<'a>(&'a self, path: &'a str) -> LocalFuture<'a, Result<Option<Rc<dyn ByteSource>>>> {
        let file = self.files.get(path).cloned().map(|file| file as Rc<dyn ByteSource>);
        Box::pin(std::future::ready(Ok(file)))
    }
}

/// A file on disk, held open.
#[cfg(not(target_arch = "wasm32"))]
pub struct FileSource {
    name: String,
    file: File,
    length: u64,
}

#[cfg(not(target_arch = "wasm32"))]
impl FileSource {
    /// `NotFound` where there is no file at `path`, `Network` where it cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |error: std::io::Error| {
            let kind = if error.kind() == IoErrorKind::NotFound { ErrorKind::NotFound } else { ErrorKind::Network };
            Error::new(kind, format!("{} cannot be opened: {error}", path.display()))
        };
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(Error::new(ErrorKind::NotFound, format!("{} is not a file", path.display())));
        }
        Ok(Self { name: path.display().to_string(), file, length: metadata.len() })
    }

    fn read_now(&self, range: Range<u64>) -> Result<Vec<u8>> {
        // Checked before anything is allocated.
        let length = range.end.checked_sub(range.start).filter(|_| range.end <= self.length);
        let length = length.and_then(|length| usize::try_from(length).ok());
        let mut bytes = vec![0; length.ok_or_else(|| ends_before(&self.name, range.end))?];
        let mut file = &self.file;
        file.seek(SeekFrom::Start(range.start)).and_then(|_| file.read_exact(&mut bytes)).map_err(
            |error| match error.kind() {
                IoErrorKind::UnexpectedEof => ends_before(&self.name, range.end),
                _ => Error::new(ErrorKind::Network, format!("{} cannot be read: {error}", self.name)),
            },
        )?;
        Ok(bytes)
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl ByteSource for FileSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn length(&self) -> u64 {
        self.length
    }

    fn read(&self, range: Range<u64>) -> LocalFuture<'_, Result<Vec<u8>>> {
        Box::pin(std::future::ready(self.read_now(range)))
    }
}

/// A directory on disk. Symbolic links are followed, because a local hub cache is made of them.
#[cfg(not(target_arch = "wasm32"))]
pub struct DirectoryFolder {
    name: String,
    path: PathBuf,
}

#[cfg(not(target_arch = "wasm32"))]
impl DirectoryFolder {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self { name: path.display().to_string(), path }
    }

    fn open_now(&self, path: &str) -> Result<Option<Rc<dyn ByteSource>>> {
        check_relative(path).map_err(|error| error.within(&self.name))?;
        match FileSource::open(&self.path.join(path)) {
            Ok(file) => Ok(Some(Rc::new(file))),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl Folder for DirectoryFolder {
    fn name(&self) -> &str {
        &self.name
    }

    fn open<'a>(&'a self, path: &'a str) -> LocalFuture<'a, Result<Option<Rc<dyn ByteSource>>>> {
        Box::pin(std::future::ready(self.open_now(path)))
    }
}
