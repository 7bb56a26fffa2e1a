//! Scaled dot-product attention, self and cross, without ever holding the matrix of scores.
//!
//! Decision: one online-softmax kernel in three shapes: a query row per invocation for heads up to 40, a row over 2, 4 or
//! 16 invocations beyond (its registers would spill), and one without workgroup memory for adapters that run on a CPU.
//! Rejected: scores by GEMM, softmax, GEMM in bands, three passes over 4096² scores for each head.

use crate::error::{Error, ErrorKind, Result};
use crate::record::catalogue::parameters::{AttentionDirectParams, AttentionParams, AttentionSplitParams};
use crate::record::{Binding, Capabilities, Recorder, Tensor};
use crate::tensor::Shape;

/// A range of channels of a tensor, e.g. the keys within a fused projection to queries, keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    pub tensor: Tensor,
    /// A multiple of 4.
    pub first_channel: usize,
}

impl From<Tensor> for Slice {
    fn from(tensor: Tensor) -> Self {
        Self { tensor, first_channel: 0 }
    }
}

/// A kernel, its features beside the activation type, the query rows of a workgroup, and of a dispatch at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    pub kernel: &'static str,
    pub head_feature: Option<&'static str>,
    pub rows: usize,
    pub band: usize,
}

/// Operations that one dispatch may take: below 0.1 s on integrated GPUs, as watchdogs and `cancel` want it.
const BAND_OPERATIONS: u64 = 20_000_000_000;

/// The widest head that any variant holds.
pub const MAX_HEAD_SIZE: usize = 512;

/// The kernel for a head size on a device. Fails where the head is no multiple of 4 or too wide.
pub fn choose(head_size: usize, capabilities: &Capabilities) -> Result<Choice> {
    if head_size == 0 || !head_size.is_multiple_of(4) || head_size > MAX_HEAD_SIZE {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("attention heads of {head_size} channels; they must be a multiple of 4 up to {MAX_HEAD_SIZE}"),
        ));
    }
    if capabilities.software {
        return Ok(Choice { kernel: "attention_direct", head_feature: None, rows: 32, band: usize::MAX });
    }
    let (kernel, feature, rows) = match head_size {
        0..=32 => ("attention", "head_32", 128),
        33..=40 => ("attention", "head_40", 128),
        41..=64 => ("attention_split", "head_64", 64),
        65..=80 => ("attention_split", "head_80", 64),
        81..=160 => ("attention_split", "head_160", 32),
        _ => ("attention_split", "head_512", 16),
    };
    Ok(Choice { kernel, head_feature: Some(feature), rows, band: usize::MAX })
}

/// softmax(scale · Q Kᵀ) V for each of `heads` heads of `head_size` channels (a multiple of 4, up to 512), which lie one
/// after the other from each slice's first channel. Queries `[B, .., .., C]` and keys and values `[B, .., .., C']` give
/// `[B, .., .., heads · head_size]` with the queries' positions. `causal`: a position sees those up to its own.
#[expect(clippy::too_many_arguments, reason = "the operation's own")]
pub fn attention(
    recorder: &mut Recorder,
    query: Slice,
    key: Slice,
    value: Slice,
    heads: usize,
    head_size: usize,
    scale: f32,
    causal: bool,
) -> Result<Tensor> {
    let mut choice = choose(head_size, recorder.capabilities())?;
    let row = 4 * query.tensor.shape.batch * heads * key.tensor.shape.positions() * head_size;
    choice.band = usize::try_from(BAND_OPERATIONS / (row as u64).max(1)).unwrap_or(usize::MAX);
    attention_with(recorder, choice, query, key, value, heads, head_size, scale, causal)
}

/// [`attention`] by a given kernel, which must hold the head; for tests and measurements.
#[expect(clippy::too_many_arguments, reason = "the operation's own, and the kernel")]
pub fn attention_with(
    recorder: &mut Recorder,
    choice: Choice,
    query: Slice,
    key: Slice,
    value: Slice,
    heads: usize,
    head_size: usize,
    scale: f32,
    causal: bool,
) -> Result<Tensor> {
    check(recorder, [query, key, value], heads, head_size, causal)?;
    let Shape { batch, .. } = query.tensor.shape;
    let (queries, keys) = (query.tensor.shape.positions(), key.tensor.shape.positions());
    let result = recorder.tensor("attention", query.tensor.shape.with_channels(heads * head_size))?;
    let features: Vec<&str> = std::iter::once(recorder.activations_feature()).chain(choice.head_feature).collect();
    let variant = recorder.variant(choice.kernel, &features)?;
    // Whole workgroups in every band.
    let band = (choice.band / choice.rows).max(1).saturating_mul(choice.rows);
    for first in (0..queries).step_by(band) {
        let end = first.saturating_add(band).min(queries);
        let parameters = AttentionParams {
            query_tokens: queries as u32,
            first_query: first as u32,
            end_query: end as u32,
            key_tokens: keys as u32,
            head_vectors: (head_size / 4) as u32,
            query_stride: (query.tensor.shape.channels / 4) as u32,
            query_first: (query.first_channel / 4) as u32,
            key_stride: (key.tensor.shape.channels / 4) as u32,
            key_first: (key.first_channel / 4) as u32,
            value_stride: (value.tensor.shape.channels / 4) as u32,
            value_first: (value.first_channel / 4) as u32,
            result_stride: (heads * head_size / 4) as u32,
            causal: causal.into(),
            scale: scale * std::f32::consts::LOG2_E,
        };
        let bindings = [query.tensor, key.tensor, value.tensor, result].map(|tensor| Binding::Buffer(tensor.buffer));
        let workgroups = [(end - first).div_ceil(choice.rows) as u32, heads as u32, batch as u32];
        let operations = 4 * (batch * heads * (end - first) * keys * head_size) as u64 / if causal { 2 } else { 1 };
        match choice.kernel {
            "attention" => recorder.dispatch(variant, &parameters, &bindings, workgroups, operations)?,
            // The same fields, in a struct per shader.
            "attention_split" => {
                let parameters: AttentionSplitParams = bytemuck::cast(parameters);
                recorder.dispatch(variant, &parameters, &bindings, workgroups, operations)?;
            }
            _ => {
                let parameters: AttentionDirectParams = bytemuck::cast(parameters);
                recorder.dispatch(variant, &parameters, &bindings, workgroups, operations)?;
            }
        }
    }
    Ok(result)
}

fn check(recorder: &Recorder, slices: [Slice; 3], heads: usize, head_size: usize, causal: bool) -> Result<()> {
    let [query, key, value] = slices;
    let fits = |slice: &Slice| {
        slice.tensor.dtype == recorder.activations()
            && slice.first_channel.is_multiple_of(4)
            && slice.tensor.shape.channels.is_multiple_of(4)
            && slice.first_channel + heads * head_size <= slice.tensor.shape.channels
            && slice.tensor.shape.batch == query.tensor.shape.batch
            && slice.tensor.shape.elements() > 0
    };
    let same_tokens = key.tensor.shape.positions() == value.tensor.shape.positions()
        && (!causal || key.tensor.shape.positions() == query.tensor.shape.positions());
    if heads > 0 && slices.iter().all(fits) && same_tokens {
        return Ok(());
    }
    let shapes = slices.map(|slice| format!("{} from channel {}", slice.tensor.shape, slice.first_channel)).join(", ");
    Err(Error::new(ErrorKind::Internal, format!("attention of {heads} heads of {head_size} channels on {shapes}")))
}
