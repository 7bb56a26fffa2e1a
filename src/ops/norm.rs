//! Group and layer normalisation.
//!
//! Decision: group normalisation works on slabs, the fewest vec4 columns that hold whole groups, so that a group may have
//! any number of channels; statistics are sums of differences from a value of the same channel, merged by Chan's
//! formula. Rejected: mean of squares less square of mean, which cancels where the mean is large.

use crate::error::{Error, ErrorKind, Result};
use crate::ops::elementwise::Activation;
use crate::record::catalogue::parameters::{GroupNormParams, LayerNormParams};
use crate::record::{Binding, Recorder, Resident, Tensor};
use crate::tensor::Shape;

/// How a group normalisation is cut into workgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupNormPlan {
    /// vec4 columns of a slab; a whole number of groups.
    pub slab_columns: usize,
    /// Chunks of positions whose moments are taken apart; none: one dispatch does it all.
    pub chunks: Option<Chunks>,
}

/// Positions per workgroup of the two dispatches, and how many chunks of the first kind there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunks {
    pub count: usize,
    pub positions: usize,
    pub apply_positions: usize,
}

/// Invocations of a workgroup, and so the widest slab.
const WORKGROUP: usize = 256;
/// vec4s that one workgroup may take alone.
const WHOLE: usize = 8192;

/// Cuts the work; `columns` is channels / 4. Fails with `Unsupported` where a slab does not fit a workgroup.
pub fn choose(positions: usize, columns: usize, group_channels: usize) -> Result<GroupNormPlan> {
    // The fewest columns that hold whole groups.
    let unit = match group_channels {
        0 => 0,
        size if size.is_multiple_of(4) => size / 4,
        size if size.is_multiple_of(2) => size / 2,
        size => size,
    };
    if unit == 0 || unit > WORKGROUP {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "group normalisation over groups of {group_channels} channels; at most 1024 in fours, 256 otherwise"
            ),
        ));
    }
    if positions * unit <= WHOLE {
        return Ok(GroupNormPlan { slab_columns: unit, chunks: None });
    }
    // Wide enough that a row of the slab fills memory transactions.
    let slab_columns = (unit * 16usize.div_ceil(unit)).min(columns.next_multiple_of(unit));
    let slabs = columns.div_ceil(slab_columns);
    // A few hundred workgroups in all, each with at least 8 vec4s for an invocation; few moments to merge.
    let lanes = WORKGROUP / slab_columns;
    let most = (positions / (lanes * 8)).clamp(1, 64);
    let wanted = 512usize.div_ceil(slabs).clamp(1, most);
    let chunk = positions.div_ceil(wanted);
    let apply_positions = positions.div_ceil(positions.div_ceil(lanes * 16).min(65535));
    Ok(GroupNormPlan {
        slab_columns,
        chunks: Some(Chunks { count: positions.div_ceil(chunk), positions: chunk, apply_positions }),
    })
}

/// Normalises each group of channels of each image to mean 0 and variance 1, times `scale` plus `shift` (f32, one per
/// channel), through `activation`. `second`'s channels follow those of `input` `[B, H, W, C]`; the result
/// `[B, H, W, C + C₂]` holds both. A group may straddle both. Channels must come unpadded: the sum of both must be a
/// multiple of `groups`, and each a multiple of 4.
#[expect(clippy::too_many_arguments, reason = "the operation's own")]
pub fn group_norm(
    recorder: &mut Recorder,
    input: Tensor,
    second: Option<Tensor>,
    scale: &Resident,
    shift: &Resident,
    groups: usize,
    epsilon: f32,
    activation: Activation,
) -> Result<Tensor> {
    let channels = input.shape.channels + second.map_or(0, |second| second.shape.channels);
    if groups == 0 || !channels.is_multiple_of(groups) {
        return Err(Error::new(ErrorKind::Unsupported, format!("{groups} groups of {channels} channels")));
    }
    let plan = choose(input.shape.positions(), channels / 4, channels / groups)?;
    group_norm_with(recorder, plan, input, second, scale, shift, groups, epsilon, activation)
}

/// [`group_norm`] by a given plan; for tests and measurements.
#[expect(clippy::too_many_arguments, reason = "the operation's own, and the plan")]
pub fn group_norm_with(
    recorder: &mut Recorder,
    plan: GroupNormPlan,
    input: Tensor,
    second: Option<Tensor>,
    scale: &Resident,
    shift: &Resident,
    groups: usize,
    epsilon: f32,
    activation: Activation,
) -> Result<Tensor> {
    let second_channels = second.map_or(0, |second| second.shape.channels);
    let channels = input.shape.channels + second_channels;
    let operands = [Some(input), second];
    let fits = |tensor: &Tensor| {
        tensor.dtype == recorder.activations()
            && tensor.shape.channels.is_multiple_of(4)
            && tensor.shape.with_channels(1) == input.shape.with_channels(1)
    };
    let vectors = [scale, shift];
    if !operands.iter().flatten().all(fits)
        || input.shape.elements() == 0
        || vectors.iter().any(|vector| vector.bytes() < 4 * channels as u64)
    {
        return Err(Error::new(ErrorKind::Internal, format!("group normalisation of {operands:?} by {vectors:?}")));
    }
    let Shape { batch, .. } = input.shape;
    let positions = input.shape.positions();
    let y = recorder.tensor("normalised", input.shape.with_channels(channels))?;
    let slabs = (channels / 4).div_ceil(plan.slab_columns);
    let parameters = GroupNormParams {
        positions: positions as u32,
        columns: (input.shape.channels / 4) as u32,
        second_columns: (second_channels / 4) as u32,
        groups: groups as u32,
        group_channels: (channels / groups) as u32,
        slab_columns: plan.slab_columns as u32,
        chunk_positions: positions as u32,
        moment_chunks: 1,
        moment_positions: positions as u32,
        activation: activation as u32,
        epsilon,
    };
    let x = Binding::Buffer(input.buffer);
    let second = second.map_or(Binding::Absent, |second| Binding::Buffer(second.buffer));
    let scale = Binding::Buffer(recorder.resident("scale", scale));
    let shift = Binding::Buffer(recorder.resident("shift", shift));
    let feature = recorder.activations_feature();
    let operations = 12 * y.shape.elements() as u64;
    let Some(chunks) = plan.chunks else {
        let variant = recorder.variant("group_norm", &[feature, "whole"])?;
        let bindings = [x, second, scale, shift, Binding::Buffer(y.buffer)];
        let workgroups = [slabs as u32, 1, batch as u32];
        recorder.dispatch(variant, &parameters, &bindings, workgroups, operations)?;
        return Ok(y);
    };
    let parameters = GroupNormParams {
        chunk_positions: chunks.positions as u32,
        moment_chunks: chunks.count as u32,
        moment_positions: chunks.positions as u32,
        ..parameters
    };
    let moments = recorder.scratch("moments", (batch * chunks.count * groups * 8) as u64)?;
    let moments = Binding::Buffer(moments);
    let variant = recorder.variant("group_norm", &[feature, "statistics"])?;
    let workgroups = [slabs as u32, chunks.count as u32, batch as u32];
    recorder.dispatch(variant, &parameters, &[x, second, moments], workgroups, operations / 2)?;

    let parameters = GroupNormParams { chunk_positions: chunks.apply_positions as u32, ..parameters };
    let variant = recorder.variant("group_norm", &[feature, "apply"])?;
    let bindings = [x, second, scale, shift, moments, Binding::Buffer(y.buffer)];
    let workgroups = [slabs as u32, positions.div_ceil(chunks.apply_positions) as u32, batch as u32];
    recorder.dispatch(variant, &parameters, &bindings, workgroups, operations / 2)?;
    Ok(y)
}

/// Normalises each position's channels to mean 0 and variance 1, times `scale` plus `shift` (f32, one per channel).
/// Channels must come unpadded, a multiple of 4.
pub fn layer_norm(
    recorder: &mut Recorder,
    input: Tensor,
    scale: &Resident,
    shift: &Resident,
    epsilon: f32,
) -> Result<Tensor> {
    let channels = input.shape.channels;
    let short = |vector: &Resident| vector.bytes() < 4 * channels as u64;
    if input.shape.elements() == 0
        || !channels.is_multiple_of(4)
        || input.dtype != recorder.activations()
        || short(scale)
        || short(shift)
    {
        return Err(Error::new(
            ErrorKind::Internal,
            format!("layer normalisation of {input:?} by {scale:?}, {shift:?}"),
        ));
    }
    let y = recorder.tensor("normalised", input.shape)?;
    let variant = recorder.variant("layer_norm", &[recorder.activations_feature()])?;
    let parameters = LayerNormParams { rows: input.shape.rows() as u32, columns: (channels / 4) as u32, epsilon };
    let bindings = [
        Binding::Buffer(input.buffer),
        Binding::Buffer(recorder.resident("scale", scale)),
        Binding::Buffer(recorder.resident("shift", shift)),
        Binding::Buffer(y.buffer),
    ];
    let workgroups = recorder.spread(input.shape.rows());
    recorder.dispatch(variant, &parameters, &bindings, workgroups, 10 * input.shape.elements() as u64)?;
    Ok(y)
}
