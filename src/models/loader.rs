//! From checkpoint tensors to weights on the executor: names, shapes, row order, quantisation, streaming.
//!
//! Decision: a matrix is read, converted and written in pieces of a few megabytes, so that a 3.4 GB checkpoint passes
//! through a small heap. Layers that stack or reorder rows (QKV, GEGLU) say so as a [`Rows`] map and read their sources
//! whole. Rejected: converting on the GPU for now, which needs the raw file on the device beside the result.

use std::cell::Cell;

use crate::error::{Error, ErrorKind, Result};
use crate::models::checkpoint::Checkpoint;
use crate::models::precision::{Precision, Role};
use crate::nn::{Conv2d, GroupNorm, Heads, LayerNorm, Linear};
use crate::ops::Matrix;
use crate::quant::MatrixLayout;
use crate::record::{Executor, Resident};
use crate::tensor::{DType, padded_channels};

/// Told after every piece; answers whether to go on.
pub trait LoadProgress {
    fn cancelled(&self) -> bool;
    /// Bytes of the checkpoint read since it was told last.
    fn loaded(&self, bytes: u64);
}

/// Values converted at a time.
const PIECE: usize = 1 << 20;
/// Bytes written before we wait for the device, so that staging memory stays small.
const BACKLOG: u64 = 64 << 20;

/// Loads the weights of one network.
pub struct Loader<'a, E: Executor> {
    executor: &'a E,
    checkpoint: &'a Checkpoint,
    precision: Precision,
    progress: &'a dyn LoadProgress,
    backlog: Cell<u64>,
}

/// Where the rows of a stacked matrix come from.
struct Rows {
    /// Source tensors, each `[rows, columns]`.
    sources: Vec<String>,
    /// For every row of the matrix: source and row in it; none for a row of zeros.
    order: Vec<Option<(usize, usize)>>,
}

impl<'a, E: Executor> Loader<'a, E> {
    pub fn new(
        executor: &'a E,
        checkpoint: &'a Checkpoint,
        precision: Precision,
        progress: &'a dyn LoadProgress,
    ) -> Self {
        Self { executor, checkpoint, precision, progress, backlog: Cell::new(0) }
    }

    pub fn has(&self, name: &str) -> bool {
        self.checkpoint.contains(name)
    }

    /// A vector of `length`, as f32, padded with zeros to a multiple of 4.
    pub async fn vector(&self, name: &str, length: usize) -> Result<Resident> {
        let values = self.values(name, &[length]).await?;
        self.upload_vector(name, values).await
    }

    /// `{name}.weight [outputs, inputs]` and `{name}.bias`, where there is one. A 1×1 convolution is a linear layer too.
    pub async fn linear(&self, name: &str, inputs: usize, outputs: usize, role: Role) -> Result<Linear> {
        let weight = format!("{name}.weight");
        self.expect_matrix(&weight, outputs, inputs)?;
        let dtype = self.precision.of(role, inputs);
        let weight = self
            .streamed(&weight, dtype, padded_channels(outputs), padded_channels(inputs), outputs, inputs, |row| row)
            .await?;
        Ok(Linear { weight, bias: self.bias(name, outputs).await? })
    }

    /// `{name}.weight [outputs, inputs, kernel, kernel]` and `{name}.bias`.
    pub async fn conv2d(&self, name: &str, inputs: usize, outputs: usize, kernel: usize, role: Role) -> Result<Conv2d> {
        let weight = format!("{name}.weight");
        self.expect(&weight, &[outputs, inputs, kernel, kernel])?;
        let padded = padded_channels(inputs);
        let taps = kernel * kernel;
        let dtype = self.precision.of(role, taps * padded);
        // Cin, kh, kw → kh, kw, Cin
        let reorder = move |row: Vec<f32>| {
            let mut reordered = vec![0.0; taps * padded];
            for (channel, values) in row.chunks_exact(taps).enumerate() {
                for (tap, &value) in values.iter().enumerate() {
                    reordered[tap * padded + channel] = value;
                }
            }
            reordered
        };
        let columns = taps * inputs;
        let weight =
            self.streamed(&weight, dtype, padded_channels(outputs), taps * padded, outputs, columns, reorder).await?;
        Ok(Conv2d { weight, bias: self.bias(name, outputs).await?, kernel })
    }

    pub async fn group_norm(&self, name: &str, channels: usize, groups: usize, epsilon: f32) -> Result<GroupNorm> {
        let weight = self.vector(&format!("{name}.weight"), channels).await?;
        let bias = self.vector(&format!("{name}.bias"), channels).await?;
        Ok(GroupNorm { weight, bias, groups, epsilon })
    }

    pub async fn layer_norm(&self, name: &str, channels: usize, epsilon: f32) -> Result<LayerNorm> {
        let weight = self.vector(&format!("{name}.weight"), channels).await?;
        let bias = self.vector(&format!("{name}.bias"), channels).await?;
        Ok(LayerNorm { weight, bias, epsilon })
    }

    /// The projections `names` of an attention layer stacked, every head padded with zero rows to a multiple of 4.
    pub async fn stacked_heads(&self, names: &[String], inputs: usize, heads: Heads) -> Result<Linear> {
        let order = (0..names.len()).flat_map(|source| head_rows(heads).map(move |row| row.map(|row| (source, row))));
        self.stacked(names, inputs, heads.count * heads.size, order.collect()).await
    }

    /// The projection after attention: its input channels are the heads, padded as in [`Self::stacked_heads`].
    pub async fn from_heads(&self, name: &str, heads: Heads, outputs: usize) -> Result<Linear> {
        let weight = format!("{name}.weight");
        let inputs = heads.count * heads.size;
        self.expect_matrix(&weight, outputs, inputs)?;
        let columns: Vec<Option<usize>> = head_rows(heads).collect();
        let spread = move |row: Vec<f32>| {
            columns.iter().map(|column| column.and_then(|column| row.get(column).copied()).unwrap_or(0.0)).collect()
        };
        let dtype = self.precision.of(Role::Inner, heads.channels());
        let weight =
            self.streamed(&weight, dtype, padded_channels(outputs), heads.channels(), outputs, inputs, spread).await?;
        Ok(Linear { weight, bias: self.bias(name, outputs).await? })
    }

    /// A GEGLU projection `[2 · hidden, inputs]`, value rows first in the file, interleaved by four for the kernel.
    pub async fn gated(&self, name: &str, inputs: usize, hidden: usize) -> Result<Linear> {
        if !hidden.is_multiple_of(4) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("{name}: {hidden} hidden channels are no multiple of 4"),
            ));
        }
        let order = (0..2 * hidden).map(|row| {
            let (block, within) = (row / 8, row % 8);
            Some((0, if within < 4 { block * 4 + within } else { hidden + block * 4 + within - 4 }))
        });
        self.stacked(&[name.to_string()], inputs, 2 * hidden, order.collect()).await
    }

    /// Linear layers of equal inputs stacked: `outputs[i]` rows of `names[i]`.
    pub async fn stacked_linear(
        &self,
        names: &[String],
        inputs: usize,
        outputs: &[usize],
        role: Role,
    ) -> Result<Linear> {
        let order =
            outputs.iter().enumerate().flat_map(|(source, &rows)| (0..rows).map(move |row| Some((source, row))));
        let order: Vec<_> = order.collect();
        for (name, &rows) in names.iter().zip(outputs) {
            self.expect_matrix(&format!("{name}.weight"), rows, inputs)?;
        }
        self.stacked_rows(names, inputs, order, role).await
    }

    /// A table of `rows` vectors in as many pieces as the device's bindings ask for.
    pub async fn table(&self, name: &str, rows: usize, columns: usize, role: Role) -> Result<Vec<Matrix>> {
        self.expect(name, &[rows, columns])?;
        let dtype = self.precision.of(role, columns);
        let padded = padded_channels(columns);
        let limit = self.executor.capabilities().max_binding_bytes.min(self.executor.capabilities().max_buffer_bytes);
        let row_bytes = MatrixLayout::new(dtype, 4, padded)?.bytes.div_ceil(4).max(1);
        let rows_per_piece = (((limit - limit / 8) / row_bytes) as usize / 64 * 64).max(64);
        let mut pieces = Vec::new();
        for first in (0..rows).step_by(rows_per_piece) {
            let count = rows_per_piece.min(rows - first);
            let stored = padded_channels(count);
            let piece = self.streamed_from(name, dtype, stored, padded, first..first + count, columns, |row| row);
            pieces.push(piece.await?);
        }
        Ok(pieces)
    }

    async fn stacked(
        &self,
        names: &[String],
        inputs: usize,
        rows: usize,
        order: Vec<Option<(usize, usize)>>,
    ) -> Result<Linear> {
        for name in names {
            self.expect_matrix(&format!("{name}.weight"), rows, inputs)?;
        }
        self.stacked_rows(names, inputs, order, Role::Inner).await
    }

    async fn stacked_rows(
        &self,
        names: &[String],
        inputs: usize,
        order: Vec<Option<(usize, usize)>>,
        role: Role,
    ) -> Result<Linear> {
        let biased = names.iter().filter(|name| self.has(&format!("{name}.bias"))).count();
        let mut bias = None;
        if biased > 0 {
            let mut sources = Vec::new();
            for name in names {
                let name = format!("{name}.bias");
                // Attention of SD 1.x has biases on some projections of a stack and none on others.
                sources.push(if self.has(&name) { self.whole(&name).await? } else { Vec::new() });
            }
            let values = order
                .iter()
                .map(|place| place.and_then(|(source, row)| sources.get(source)?.get(row).copied()).unwrap_or(0.0))
                .collect();
            bias = Some(self.upload_vector(&names.join("+"), values).await?);
        }
        let rows = Rows { sources: names.iter().map(|name| format!("{name}.weight")).collect(), order };
        let weight = self.gathered(&rows, self.precision.of(role, inputs), inputs).await?;
        Ok(Linear { weight, bias })
    }

    async fn bias(&self, name: &str, length: usize) -> Result<Option<Resident>> {
        let name = format!("{name}.bias");
        if self.has(&name) { Ok(Some(self.vector(&name, length).await?)) } else { Ok(None) }
    }

    /// Whole sources, rows picked by `rows.order`.
    async fn gathered(&self, rows: &Rows, dtype: DType, columns: usize) -> Result<Matrix> {
        let padded = padded_channels(columns);
        let count = padded_channels(rows.order.len());
        let label = rows.sources.join("+");
        let (matrix, layout) = self.matrix(&label, dtype, count, padded)?;
        let mut sources = Vec::new();
        for name in &rows.sources {
            sources.push(self.whole(name).await?);
        }
        let per_piece = rows_per_piece(padded);
        for first in (0..count).step_by(per_piece) {
            let last = (first + per_piece).min(count);
            let mut values = vec![0.0; (last - first) * padded];
            for (row, target) in (first..last).zip(values.chunks_exact_mut(padded)) {
                let Some((source, row)) = rows.order.get(row).copied().flatten() else { continue };
                let from = sources.get(source).and_then(|values| values.get(row * columns..(row + 1) * columns));
                if let (Some(from), Some(target)) = (from, target.get_mut(..columns)) {
                    target.copy_from_slice(from);
                }
            }
            self.write(&matrix, &layout, first, &values).await?;
        }
        Ok(matrix)
    }

    #[expect(clippy::too_many_arguments, reason = "stored and source sizes differ by their padding")]
    async fn streamed(
        &self,
        name: &str,
        dtype: DType,
        rows: usize,
        columns: usize,
        source_rows: usize,
        source_columns: usize,
        reorder: impl Fn(Vec<f32>) -> Vec<f32>,
    ) -> Result<Matrix> {
        self.streamed_from(name, dtype, rows, columns, 0..source_rows, source_columns, reorder).await
    }

    /// Rows of one tensor in file order, each through `reorder`, padded with zeros to `rows` × `columns`.
    #[expect(clippy::too_many_arguments, reason = "stored and source sizes differ by their padding")]
    async fn streamed_from(
        &self,
        name: &str,
        dtype: DType,
        rows: usize,
        columns: usize,
        source: std::ops::Range<usize>,
        source_columns: usize,
        reorder: impl Fn(Vec<f32>) -> Vec<f32>,
    ) -> Result<Matrix> {
        let (matrix, layout) = self.matrix(name, dtype, rows, columns)?;
        let per_piece = rows_per_piece(columns);
        for first in (0..rows).step_by(per_piece) {
            let last = (first + per_piece).min(rows);
            let mut values = vec![0.0; (last - first) * columns];
            let end = (source.start + last).min(source.end);
            let start = (source.start + first).min(end);
            if start < end {
                let read = self.checkpoint.read_rows(name, start..end).await?;
                self.count(name, end - start)?;
                for (row, target) in read.chunks_exact(source_columns).zip(values.chunks_exact_mut(columns)) {
                    let row = reorder(row.to_vec());
                    if let Some(target) = target.get_mut(..row.len()) {
                        target.copy_from_slice(&row);
                    }
                }
            }
            self.write(&matrix, &layout, first, &values).await?;
        }
        Ok(matrix)
    }

    fn matrix(&self, label: &str, dtype: DType, rows: usize, columns: usize) -> Result<(Matrix, MatrixLayout)> {
        let layout = MatrixLayout::new(dtype, rows, columns)?;
        let resident = self.executor.create(label, layout.bytes).map_err(|error| error.within(label))?;
        Ok((Matrix { resident, dtype, rows, columns }, layout))
    }

    async fn write(&self, matrix: &Matrix, layout: &MatrixLayout, first_row: usize, values: &[f32]) -> Result<()> {
        for (offset, bytes) in layout.pack_rows(first_row, values)? {
            self.executor.write(&matrix.resident, offset, &bytes)?;
            self.advance(bytes.len() as u64).await?;
        }
        Ok(())
    }

    async fn upload_vector(&self, label: &str, mut values: Vec<f32>) -> Result<Resident> {
        values.resize(padded_channels(values.len()), 0.0);
        let bytes: &[u8] = bytemuck::cast_slice(&values);
        let resident = self.executor.create(label, bytes.len() as u64)?;
        self.executor.write(&resident, 0, bytes)?;
        self.advance(bytes.len() as u64).await?;
        Ok(resident)
    }

    async fn advance(&self, bytes: u64) -> Result<()> {
        if self.progress.cancelled() {
            return Err(Error::new(ErrorKind::Cancelled, "cancelled while loading"));
        }
        self.backlog.set(self.backlog.get() + bytes);
        if self.backlog.get() > BACKLOG {
            self.backlog.set(0);
            self.executor.settle().await?;
        }
        Ok(())
    }

    async fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        self.expect(name, shape)?;
        self.whole(name).await
    }

    async fn whole(&self, name: &str) -> Result<Vec<f32>> {
        let values = self.checkpoint.read(name).await?;
        self.count(name, self.checkpoint.shape(name)?.first().copied().unwrap_or(1))?;
        Ok(values)
    }

    /// Tells the progress that `rows` of a tensor have been read.
    fn count(&self, name: &str, rows: usize) -> Result<()> {
        let all = self.checkpoint.shape(name)?.first().copied().unwrap_or(1).max(1) as u64;
        let bytes = self.checkpoint.stored_bytes(name)? * rows as u64 / all;
        self.progress.loaded(bytes);
        Ok(())
    }

    /// A `[rows, columns]` tensor, or the 1×1 convolution of the same numbers.
    fn expect_matrix(&self, name: &str, rows: usize, columns: usize) -> Result<()> {
        match self.checkpoint.shape(name)? {
            [r, c, 1, 1] if (*r, *c) == (rows, columns) => Ok(()),
            _ => self.expect(name, &[rows, columns]),
        }
    }

    fn expect(&self, name: &str, shape: &[usize]) -> Result<()> {
        let found = self.checkpoint.shape(name)?;
        if found == shape {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::TensorShape,
            format!("{}: {name} has shape {found:?}, the configuration demands {shape:?}", self.checkpoint.name()),
        ))
    }
}

fn rows_per_piece(columns: usize) -> usize {
    (PIECE / columns.max(1) / 4 * 4).max(4)
}

/// Rows of a stack of heads in the file, in the order of the padded stack.
fn head_rows(heads: Heads) -> impl Iterator<Item = Option<usize>> {
    (0..heads.count).flat_map(move |head| {
        (0..heads.padded_size).map(move |channel| (channel < heads.size).then_some(head * heads.size + channel))
    })
}
