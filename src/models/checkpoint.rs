//! The weights of one network, found where published repositories keep them and read a tensor at a time.
//!
//! Decision: opening reads headers alone; a tensor's data is fetched when it is asked for, and a large one in bands of
//! rows, so that memory holds one band. Rejected: a loader that returns all tensors, which a wasm heap cannot hold.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::rc::Rc;

use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::formats::index::{Index, MAX_INDEX_BYTES};
use crate::formats::ldm::{self, Part};
use crate::formats::{aliases, gguf, json, safetensors};
use crate::models::stored::{self, Storage, StoredTensor};
use crate::source::{ByteSource, Folder, read_all, read_exactly, read_whole};

/// Which of several copies to take, best first: names that stand between stem and extension; empty for none.
pub const VARIANTS: [&str; 4] = ["", "fp16", "bf16", "fp32"];
/// More than any configuration is long.
const MAX_CONFIG_BYTES: u64 = 16_000_000;

/// The tensors of one network, under the names that today's `diffusers` and `transformers` give them.
pub struct Checkpoint {
    name: String,
    files: Vec<Rc<dyn ByteSource>>,
    /// With the index of its file.
    tensors: BTreeMap<String, (usize, StoredTensor)>,
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

    /// Opens one file, safetensors or GGUF, that holds one network.
    pub async fn from_file(source: Rc<dyn ByteSource>) -> Result<Self> {
        let stored = read_tensors(source.as_ref()).await?;
        let stored = stored.into_iter().map(|(name, tensor)| (name, (0, tensor))).collect();
        Ok(Self::assemble(source.name().to_owned(), vec![Rc::clone(&source)], stored))
    }

    /// Opens a network within a single-file checkpoint, under the names of `diffusers`.
    pub async fn from_single_file(source: Rc<dyn ByteSource>, part: Part) -> Result<Self> {
        let tensors = read_tensors(source.as_ref()).await?;
        let names: BTreeSet<&str> = tensors.keys().map(String::as_str).collect();
        let origins = ldm::tensors(&names, part).map_err(|error| error.within(source.name()))?;
        let mut stored = BTreeMap::new();
        for (name, origin) in origins {
            let tensor = tensors.get(&origin.name).and_then(|tensor| tensor.piece(origin.piece)).ok_or_else(|| {
                let message = format!("{}: {} has no shape to take {name} from", source.name(), origin.name);
                Error::new(ErrorKind::TensorShape, message)
            })?;
            stored.insert(name, (0, tensor));
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
            let mut tensors = read_tensors(source.as_ref()).await?;
            // The index decides: a tensor that it gives to another part, or to none, is left alone.
            for (tensor, _) in index.files.iter().filter(|(_, file)| *file == part) {
                let found = tensors.remove(tensor).ok_or_else(|| {
                    Error::new(
                        ErrorKind::TensorMissing,
                        format!("{name}: the index promises {tensor} in {part}, which does not hold it"),
                    )
                })?;
                stored.insert(tensor.clone(), (files.len(), found));
            }
            files.push(source);
        }
        Ok(Self::assemble(name, files, stored))
    }

    fn assemble(name: String, files: Vec<Rc<dyn ByteSource>>, stored: BTreeMap<String, (usize, StoredTensor)>) -> Self {
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
        Ok(&self.find(tensor)?.1.shape)
    }

    /// How a tensor's values are encoded in its file.
    pub fn storage(&self, tensor: &str) -> Result<Storage> {
        Ok(self.find(tensor)?.1.storage)
    }

    /// Bytes that a tensor takes in its file, for progress.
    pub fn stored_bytes(&self, tensor: &str) -> Result<u64> {
        let range = &self.find(tensor)?.1.range;
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

    /// All values, in the order of the shape, widened to f32.
    pub async fn read(&self, tensor: &str) -> Result<Vec<f32>> {
        let (file, stored) = self.find(tensor)?;
        let bytes = self.read_bytes(*file, stored.range.clone()).await?;
        stored.decode_all(&bytes).map_err(|error| error.within(format_args!("{}: {tensor}", self.name)))
    }

    /// The values of consecutive rows, where a row is everything that one index of the first dimension holds.
    pub async fn read_rows(&self, tensor: &str, rows: Range<usize>) -> Result<Vec<f32>> {
        let (file, stored) = self.find(tensor)?;
        let row_shape = match stored.shape.split_first() {
            Some((count, row_shape)) if rows.start <= rows.end && rows.end <= *count => row_shape,
            _ => {
                let message = format!("{}: {tensor} of shape {:?} has no rows {rows:?}", self.name, stored.shape);
                return Err(Error::new(ErrorKind::TensorShape, message));
            }
        };
        if let Some(range) = stored.row_range(&rows) {
            let bytes = self.read_bytes(*file, range).await?;
            let decoded = stored.storage.decode(&bytes);
            return decoded.map_err(|error| error.within(format_args!("{}: {tensor}", self.name)));
        }
        // The rows do not lie together: columns of the file, or parts of blocks. Only few and small tensors are so.
        let row = row_shape.iter().product::<usize>().max(1);
        let values = self.read(tensor).await?;
        Ok(values.chunks(row).take(rows.end).skip(rows.start).flatten().copied().collect())
    }

    async fn read_bytes(&self, file: usize, range: Range<u64>) -> Result<Vec<u8>> {
        let source = self.files.get(file).ok_or_else(|| {
            Error::new(ErrorKind::Internal, format!("{}: a tensor lies in a file that is not open", self.name))
        })?;
        read_exactly(source.as_ref(), range).await
    }

    fn find(&self, tensor: &str) -> Result<&(usize, StoredTensor)> {
        self.tensors.get(tensor).ok_or_else(|| {
            Error::new(
                ErrorKind::TensorMissing,
                format!("{} has no tensor {tensor}; the weights do not belong to this configuration", self.name),
            )
        })
    }
}

/// Reads and checks the header of a file, safetensors or GGUF.
async fn read_tensors(source: &dyn ByteSource) -> Result<BTreeMap<String, StoredTensor>> {
    let mark = read_exactly(source, 0..source.length().min(4)).await?;
    if mark == b"GGUF" {
        Ok(stored::of_gguf(read_gguf_header(source).await?))
    } else {
        Ok(stored::of_safetensors(read_safetensors_header(source).await?))
    }
}

/// Reads and checks the header of a GGUF file.
pub async fn read_gguf_header(source: &dyn ByteSource) -> Result<gguf::Header> {
    let length = source.length();
    let mut given = length.min(gguf::FIRST_READ_BYTES);
    loop {
        let beginning = read_exactly(source, 0..given).await?;
        match gguf::parse(&beginning, length).map_err(|error| error.within(source.name()))? {
            gguf::Progress::Complete(header) => return Ok(header),
            // It is always more, and never more than a header may have.
            gguf::Progress::More(needed) => given = needed,
        }
    }
}

/// Reads and checks the header of a safetensors file.
pub async fn read_safetensors_header(source: &dyn ByteSource) -> Result<safetensors::Header> {
    let length = source.length();
    let prefix = read_exactly(source, 0..length.min(safetensors::PREFIX_BYTES)).await?;
    let within = |error: Error| error.within(source.name());
    let header_length = safetensors::header_length(&prefix, length).map_err(within)?;
    let range = safetensors::PREFIX_BYTES..safetensors::PREFIX_BYTES + header_length;
    safetensors::parse(&read_exactly(source, range).await?, length).map_err(within)
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
