//! Tokens and timesteps to vectors.

use crate::error::{Error, ErrorKind, Result};
use crate::ops::Matrix;
use crate::quant::MatrixLayout;
use crate::record::catalogue::parameters::{GatherRowsParams, TimestepEmbeddingParams, TokenEmbeddingParams};
use crate::record::{Binding, BufferId, Recorder, Tensor};
use crate::tensor::{DType, Shape, padded_channels};

/// Row `tokens[i]` of the table plus row `i mod width` of `positions`, for every token of `shape` (batch, 1, width,
/// channels). `tokens` holds u32s; `table` is one matrix or several that follow each other by rows,
/// as wide as the channels; `positions` has at least `width` rows. A token beyond the table gets its position alone.
pub fn token_embedding(
    recorder: &mut Recorder,
    tokens: BufferId,
    shape: Shape,
    table: &[Matrix],
    positions: &Matrix,
) -> Result<Tensor> {
    let fault = |what: String| Err(Error::new(ErrorKind::Internal, format!("token embedding: {what}")));
    if shape.elements() == 0 || !shape.channels.is_multiple_of(4) {
        return fault(format!("an output of {shape}"));
    }
    if table.is_empty() || table.iter().chain([positions]).any(|matrix| matrix.columns != shape.channels) {
        return fault(format!("tables {table:?} and {positions:?} for {} channels", shape.channels));
    }
    if positions.rows < shape.positions() {
        return fault(format!("{} positions for {} tokens", positions.rows, shape.positions()));
    }
    let y = recorder.tensor("token embedding", shape)?;
    let variant = recorder.variant("token_embedding", &[recorder.activations_feature()])?;
    let (position_format, position_scales) = format(positions)?;
    let positions_buffer = recorder.resident("position table", &positions.resident);
    let table_rows = table.iter().map(|chunk| chunk.rows).sum::<usize>() as u32;
    let vectors = shape.elements() / 4;
    let mut first_row = 0;
    for chunk in table {
        let (table_format, table_scales) = format(chunk)?;
        let parameters = TokenEmbeddingParams {
            rows: shape.rows() as u32,
            sequence: shape.positions() as u32,
            columns: (shape.channels / 4) as u32,
            first_row,
            chunk_rows: chunk.rows as u32,
            table_rows,
            table_format,
            table_scales,
            position_format,
            position_scales,
        };
        first_row += chunk.rows as u32;
        let chunk = recorder.resident("token table", &chunk.resident);
        let bindings = [tokens, chunk, positions_buffer, y.buffer].map(Binding::Buffer);
        let workgroups = recorder.spread(vectors.div_ceil(variant.workgroup_size as usize));
        recorder.dispatch(variant, &parameters, &bindings, workgroups, 8 * vectors as u64)?;
    }
    Ok(y)
}

/// The number of a matrix's format in `shaders/token_embedding.wgsl`, and the word at which its scales start.
fn format(matrix: &Matrix) -> Result<(u32, u32)> {
    let layout = MatrixLayout::new(matrix.dtype, matrix.rows, matrix.columns)?;
    let number = match matrix.dtype {
        DType::F32 => 0,
        DType::F16 => 1,
        DType::Q8_0 => 2,
        DType::Q4_0 => 3,
        other => return Err(Error::new(ErrorKind::Internal, format!("an embedding table of {other}"))),
    };
    Ok((number, (layout.scales_offset / 4) as u32))
}

/// diffusers' `get_timestep_embedding`: `channels / 2` sines and as many cosines of timestep · 10000^(-j / (half -
/// `frequency_shift`)), cosines first with `flip_sin_to_cos`, zeros up to the padded channels. `timesteps` holds one f32
/// (up to 4000) per batch entry; the result is `[batch, 1, 1, channels]`.
pub fn timestep_embedding(
    recorder: &mut Recorder,
    timesteps: BufferId,
    batch: usize,
    channels: usize,
    flip_sin_to_cos: bool,
    frequency_shift: f32,
) -> Result<Tensor> {
    let half = channels / 2;
    if batch == 0 || half as f32 <= frequency_shift {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("a timestep embedding of {channels} channels with a frequency shift of {frequency_shift}"),
        ));
    }
    let y = recorder.tensor("timestep embedding", Shape::tokens(batch, 1, padded_channels(channels)))?;
    let variant = recorder.variant("timestep_embedding", &[recorder.activations_feature()])?;
    let parameters = TimestepEmbeddingParams {
        batch: batch as u32,
        columns: (y.shape.channels / 4) as u32,
        half: half as u32,
        cosine_first: flip_sin_to_cos.into(),
        frequency_shift,
    };
    let vectors = y.shape.elements() / 4;
    let workgroups = [vectors.div_ceil(variant.workgroup_size as usize) as u32, 1, 1];
    let bindings = [timesteps, y.buffer].map(Binding::Buffer);
    recorder.dispatch(variant, &parameters, &bindings, workgroups, 200 * vectors as u64)?;
    Ok(y)
}

/// Of each batch entry the position whose number `numbers` gives (u32, one per entry; past the end means the last):
/// `[B, .., .., C]` → `[B, 1, 1, C]`.
pub fn gather_rows(recorder: &mut Recorder, input: Tensor, numbers: BufferId) -> Result<Tensor> {
    let Shape { batch, channels, .. } = input.shape;
    if input.shape.elements() == 0 || !channels.is_multiple_of(4) || input.dtype != recorder.activations() {
        return Err(Error::new(ErrorKind::Internal, format!("rows of {input:?}")));
    }
    let y = recorder.tensor("rows", Shape::tokens(batch, 1, channels))?;
    let variant = recorder.variant("gather_rows", &[recorder.activations_feature()])?;
    let parameters =
        GatherRowsParams { batch: batch as u32, rows: input.shape.positions() as u32, columns: (channels / 4) as u32 };
    let vectors = y.shape.elements() / 4;
    let workgroups = [vectors.div_ceil(variant.workgroup_size as usize) as u32, 1, 1];
    let bindings = [input.buffer, numbers, y.buffer].map(Binding::Buffer);
    recorder.dispatch(variant, &parameters, &bindings, workgroups, vectors as u64)?;
    Ok(y)
}
