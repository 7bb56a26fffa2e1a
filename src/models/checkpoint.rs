//! The weights of one network, found where published repositories keep them and read a tensor at a time.
//!
//! Decision: opening reads headers alone; a tensor's data is fetched when it is asked for, and a large one in bands of
//! rows, so that memory holds one band. Rejected: a loader that returns all tensors, which a wasm heap cannot hold.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::rc::Rc;

use half::{bf16, f16};
use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::formats::index::{Index, MAX_INDEX_BYTES};
use crate::formats::ldm::{self, Part, Piece};
use crate::formats::safetensors::{self, ElementType, Entry, Header};
use crate::formats::{aliases, json};
use crate::source::{ByteSource, Folder, read_all, read_exactly, read_whole};

/// Which of several copies to take, best first: names that stand between stem and extension; empty for none.
pub const VARIANTS: [&str; 4] = ["", "fp16", "bf16", "fp32"];
/// More than any configuration is long.
const MAX_CONFIG_BYTES: u64 = 16_000_000;

/// The tensors of one network, under the names that today's `diffusers` and `transformers` give them.
pub struct Checkpoint {
    name: String,
    files: Vec<Rc<dyn ByteSource>>,
    tensors: BTreeMap<String, StoredTensor>,
}

struct StoredTensor {
    /// Index into `files`.
    file: usize,
    entry: Entry,
    /// The file has the matrix with rows and columns exchanged; `entry.shape` is as it is read.
    transposed: bool,
}

/// Reads a JSON file of a folder, e.g. `unet/config.json`.
pub async fn read_config(folder: &dyn Folder, path: &str) -> Result<Value> {
    let bytes = read_whole(folder, path, MAX_CONFIG_BYTES).await?;
    json::parse(&format!("{}/{path}", folder.name()), &bytes)
}

impl Checkpoint {
    /// Opens the weights of a part such as `unet`; empty for weights that lie in the folder itself.
    pub async fn open(folder: &dyn Folder, component: &str) -> Result<Self> {
        Self::open_preferring(folder, component, &VARIANTS).await
    }

    /// As [`Checkpoint::open`], with the copies to try in an order of the caller's.
    pub async fn open_preferring(folder: &dyn Folder, component: &str, variants: &[&str]) -> Result<Self> {
        let name =
            if component.is_empty() { folder.name().to_owned() } else { format!("{}/{component}", folder.name()) };
        let directory = if component.is_empty() { String::new() } else { format!("{component}/") };
        for variant in variants {
            for stem in stems(component) {
                let single = format!("{directory}{}", file_name(stem, variant, "safetensors"));
                if let Some(source) = folder.open(&single).await? {
                    return Self::from_file(source).await;
                }
                for file in index_names(stem, variant) {
                    let path = format!("{directory}{file}");
                    if let Some(index) = folder.open(&path).await? {
                        return Self::open_parts(folder, &directory, index.as_ref(), name).await;
                    }
                }
            }
        }
        Err(refuse_pickle_or_nothing(folder, component, &directory, variants).await)
    }

    /// Opens a single safetensors file.
    pub async fn from_file(source: Rc<dyn ByteSource>) -> Result<Self> {
        let header = read_header(source.as_ref()).await?;
        let stored = header
            .tensors
            .into_iter()
            .map(|(name, entry)| (name, StoredTensor { file: 0, entry, transposed: false }))
            .collect();
        Ok(Self::assemble(source.name().to_owned(), vec![Rc::clone(&source)], stored))
    }

    /// Opens a network within a single-file checkpoint, under the names of `diffusers`.
    pub async fn from_single_file(source: Rc<dyn ByteSource>, part: Part) -> Result<Self> {
        let header = read_header(source.as_ref()).await?;
        let names: BTreeSet<&str> = header.tensors.keys().map(String::as_str).collect();
        let origins = ldm::tensors(&names, part).map_err(|error| error.within(source.name()))?;
        let mut stored = BTreeMap::new();
        for (name, origin) in origins {
            let entry = header.tensors.get(&origin.name).and_then(|entry| piece_of(entry, origin.piece));
            let entry = entry.ok_or_else(|| {
                let message = format!("{}: {} has no shape to take {name} from", source.name(), origin.name);
                Error::new(ErrorKind::TensorShape, message)
            })?;
            stored.insert(name, StoredTensor { file: 0, entry, transposed: origin.piece == Piece::Transposed });
        }
        Ok(Self::assemble(format!("{} ({})", source.name(), part.name()), vec![Rc::clone(&source)], stored))
    }

    async fn open_parts(folder: &dyn Folder, directory: &str, index: &dyn ByteSource, name: String) -> Result<Self> {
        let index = Index::parse(index.name(), &read_all(index, MAX_INDEX_BYTES).await?)?;
        let mut files = Vec::new();
        let mut stored = BTreeMap::new();
        for part in index.parts() {
            let source = folder.open(&format!("{directory}{part}")).await?.ok_or_else(|| {
                Error::new(ErrorKind::NotFound, format!("{name}: the index names the part {part}, which is absent"))
            })?;
            let mut header = read_header(source.as_ref()).await?;
            // The index decides: a tensor that it gives to another part, or to none, is left alone.
            for (tensor, _) in index.files.iter().filter(|(_, file)| *file == part) {
                let entry = header.tensors.remove(tensor).ok_or_else(|| {
                    Error::new(
                        ErrorKind::TensorMissing,
                        format!("{name}: the index promises {tensor} in {part}, which does not hold it"),
                    )
                })?;
                stored.insert(tensor.clone(), StoredTensor { file: files.len(), entry, transposed: false });
            }
            files.push(source);
        }
        Ok(Self::assemble(name, files, stored))
    }

    fn assemble(name: String, files: Vec<Rc<dyn ByteSource>>, stored: BTreeMap<String, StoredTensor>) -> Self {
        let names: BTreeSet<&str> = stored.keys().map(String::as_str).collect();
        let canonical: Vec<String> = names.iter().map(|name| aliases::canonical(name, &names)).collect();
        let tensors = canonical.into_iter().zip(stored.into_values()).collect();
        Self { name, files, tensors }
    }

    /// Path or address, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All tensors, in the order of their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    pub fn contains(&self, tensor: &str) -> bool {
        self.tensors.contains_key(tensor)
    }

    /// The shape as stored, outermost dimension first.
    pub fn shape(&self, tensor: &str) -> Result<&[usize]> {
        Ok(&self.find(tensor)?.entry.shape)
    }

    pub fn element(&self, tensor: &str) -> Result<ElementType> {
        Ok(self.find(tensor)?.entry.element)
    }

    /// Bytes that a tensor takes in its file, for progress.
    pub fn stored_bytes(&self, tensor: &str) -> Result<u64> {
        let range = &self.find(tensor)?.entry.range;
        Ok(range.end - range.start)
    }

    /// Fails with `TensorShape` unless the tensor has this shape. Trailing ones do not count: a linear layer may be
    /// stored as a 1×1 convolution.
    pub fn expect_shape(&self, tensor: &str, shape: &[usize]) -> Result<()> {
        let stored = self.shape(tensor)?;
        if without_trailing_ones(stored) == without_trailing_ones(shape) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::TensorShape,
            format!("{}: {tensor} has the shape {stored:?}, the configuration demands {shape:?}", self.name),
        ))
    }

    /// All values, in the order of the file, widened to f32.
    pub async fn read(&self, tensor: &str) -> Result<Vec<f32>> {
        let stored = self.find(tensor)?;
        let values = self.read_bytes(tensor, stored, stored.entry.range.clone()).await?;
        Ok(if stored.transposed { transpose(&values, &stored.entry.shape) } else { values })
    }

    /// The values of consecutive rows, where a row is everything that one index of the first dimension holds.
    pub async fn read_rows(&self, tensor: &str, rows: Range<usize>) -> Result<Vec<f32>> {
        let stored = self.find(tensor)?;
        let range = row_bytes(&stored.entry, &rows).ok_or_else(|| {
            Error::new(
                ErrorKind::TensorShape,
                format!("{}: {tensor} of shape {:?} has no rows {rows:?}", self.name, stored.entry.shape),
            )
        })?;
        if stored.transposed {
            // Its rows are columns of the file; only small projections are stored so.
            let values = self.read(tensor).await?;
            let width = stored.entry.shape.last().copied().unwrap_or(1);
            return Ok(values.chunks(width.max(1)).take(rows.end).skip(rows.start).flatten().copied().collect());
        }
        self.read_bytes(tensor, stored, range).await
    }

    async fn read_bytes(&self, tensor: &str, stored: &StoredTensor, range: Range<u64>) -> Result<Vec<f32>> {
        let source = self.files.get(stored.file).ok_or_else(|| {
            Error::new(ErrorKind::Internal, format!("{}: {tensor} lies in a file that is not open", self.name))
        })?;
        let bytes = read_exactly(source.as_ref(), range).await?;
        widen(stored.entry.element, &bytes).map_err(|error| error.within(format_args!("{}: {tensor}", self.name)))
    }

    fn find(&self, tensor: &str) -> Result<&StoredTensor> {
        self.tensors.get(tensor).ok_or_else(|| {
            Error::new(
                ErrorKind::TensorMissing,
                format!("{} has no tensor {tensor}; the weights do not belong to this configuration", self.name),
            )
        })
    }
}

/// Reads and checks the header of a safetensors file.
pub async fn read_header(source: &dyn ByteSource) -> Result<Header> {
    let length = source.length();
    let prefix = read_exactly(source, 0..length.min(safetensors::PREFIX_BYTES)).await?;
    let within = |error: Error| error.within(source.name());
    let header_length = safetensors::header_length(&prefix, length).map_err(within)?;
    let range = safetensors::PREFIX_BYTES..safetensors::PREFIX_BYTES + header_length;
    safetensors::parse(&read_exactly(source, range).await?, length).map_err(within)
}

/// Widens floating elements to f32; f64 is rounded.
pub fn widen(element: ElementType, bytes: &[u8]) -> Result<Vec<f32>> {
    Ok(match element {
        ElementType::F32 => bytes.as_chunks().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect(),
        ElementType::F16 => bytes.as_chunks().0.iter().map(|chunk| f16::from_le_bytes(*chunk).to_f32()).collect(),
        ElementType::BF16 => bytes.as_chunks().0.iter().map(|chunk| bf16::from_le_bytes(*chunk).to_f32()).collect(),
        ElementType::F64 => bytes.as_chunks().0.iter().map(|chunk| f64::from_le_bytes(*chunk) as f32).collect(),
        _ => {
            return Err(Error::new(ErrorKind::Unsupported, format!("weights of the type {element} cannot be used")));
        }
    })
}

fn row_bytes(entry: &Entry, rows: &Range<usize>) -> Option<Range<u64>> {
    let (count, row_shape) = entry.shape.split_first()?;
    if rows.start > rows.end || rows.end > *count {
        return None;
    }
    let row =
        row_shape.iter().try_fold(entry.element.bytes(), |size, dimension| size.checked_mul(*dimension as u64))?;
    let start = entry.range.start.checked_add(row.checked_mul(rows.start as u64)?)?;
    let end = entry.range.start.checked_add(row.checked_mul(rows.end as u64)?)?;
    Some(start..end)
}

/// The entry that a piece of a tensor has: a third of its rows is a third of its bytes.
fn piece_of(entry: &Entry, piece: Piece) -> Option<Entry> {
    let mut part = entry.clone();
    match piece {
        Piece::Whole => {}
        Piece::Third(third) => {
            let rows = part.shape.first_mut().filter(|rows| rows.is_multiple_of(3))?;
            *rows /= 3;
            let range = row_bytes(entry, &(third * *rows..(third + 1) * *rows))?;
            part.range = range;
        }
        Piece::Transposed => {
            part.shape.reverse();
            if part.shape.len() != 2 {
                return None;
            }
        }
    }
    Some(part)
}

/// Exchanges rows and columns; `shape` is that of the result.
fn transpose(values: &[f32], shape: &[usize]) -> Vec<f32> {
    let [rows, columns] = shape else { return values.to_vec() };
    let at = |row: usize, column: usize| values.get(column * rows + row).copied();
    (0..*rows).flat_map(|row| (0..*columns).filter_map(move |column| at(row, column))).collect()
}

fn without_trailing_ones(shape: &[usize]) -> &[usize] {
    let kept = shape.iter().rposition(|dimension| *dimension != 1).map_or(0, |last| last + 1);
    shape.get(..kept).unwrap_or(shape)
}

/// File names before the extension: those of `diffusers` and those of `transformers`, the likelier first, because each
/// wrong guess is a request to a server.
fn stems(component: &str) -> &'static [&'static str] {
    let from_transformers = ["text_encoder", "image_encoder", "safety_checker"];
    if from_transformers.iter().any(|prefix| component.starts_with(prefix)) {
        &["model", "pytorch_model"]
    } else {
        &["diffusion_pytorch_model", "model"]
    }
}

fn file_name(stem: &str, variant: &str, extension: &str) -> String {
    if variant.is_empty() { format!("{stem}.{extension}") } else { format!("{stem}.{variant}.{extension}") }
}

/// The index has been named in two ways.
fn index_names(stem: &str, variant: &str) -> Vec<String> {
    let mut names = vec![format!("{}.index.json", file_name(stem, variant, "safetensors"))];
    if !variant.is_empty() {
        names.push(format!("{stem}.safetensors.index.{variant}.json"));
    }
    names
}

/// The reason why nothing could be opened: pickles alone, or nothing at all.
async fn refuse_pickle_or_nothing(folder: &dyn Folder, component: &str, directory: &str, variants: &[&str]) -> Error {
    let pickled = stems(component).iter().chain(&["pytorch_model"]);
    for (stem, variant) in pickled.flat_map(|stem| variants.iter().map(move |variant| (stem, variant))) {
        for extension in ["bin", "ckpt"] {
            let path = format!("{directory}{}", file_name(stem, variant, extension));
            match folder.open(&path).await {
                Ok(Some(source)) => {
                    return safetensors::pickle(&format!("{} holds only PyTorch checkpoints", source.name()));
                }
                Ok(None) => {}
                Err(error) => return error,
            }
        }
    }
    let stem = stems(component).join(" or ");
    Error::new(
        ErrorKind::NotFound,
        format!("{} has no weights: no {directory}*.safetensors named {stem}", folder.name()),
    )
}
