//! The matrix product behind linear layers and convolutions: choice of the variant, cutting into dispatches, recording.
//!
//! Decision: one kernel with exchangeable input, weights and epilogue; linear layers and convolutions only describe
//! themselves to it. Rejected: a kernel per layer type, which would tune, test and mend the same inner loop many times.

use crate::error::{Error, ErrorKind, Result};
use crate::ops::Matrix;
use crate::ops::elementwise::Activation;
use crate::ops::matmul::Epilogue;
use crate::quant::MatrixLayout;
use crate::record::catalogue::parameters::GemmParams;
use crate::record::{Binding, BufferId, Capabilities, Recorder, Resident, Tensor};
use crate::tensor::{DType, Shape};

/// How the outputs are shared out among invocations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tile {
    /// 128 rows × 64 columns by 256 invocations through workgroup memory.
    Rows128,
    /// 32 rows × 64 columns by 64 invocations through workgroup memory.
    Rows32,
    /// 8 rows × 8 columns by one invocation without workgroup memory, for adapters that are programs on a CPU.
    Registers,
}

impl Tile {
    fn feature(self) -> &'static str {
        match self {
            Self::Rows128 => "tile_128",
            Self::Rows32 => "tile_32",
            Self::Registers => "tile_registers",
        }
    }

    /// Workgroups for `rows` × `columns` outputs.
    fn workgroups(self, rows: usize, columns: usize) -> usize {
        match self {
            Self::Rows128 => rows.div_ceil(128) * columns.div_ceil(64),
            Self::Rows32 => rows.div_ceil(32) * columns.div_ceil(64),
            Self::Registers => (rows.div_ceil(8) * columns.div_ceil(8)).div_ceil(16),
        }
    }
}

/// A variant, and into how many parts K is split (1: not at all).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    pub tile: Tile,
    pub splits: usize,
}

/// Invocations that keep a middling GPU busy (64 workgroups of 256); K is split where the tiles give fewer. More would
/// serve the largest GPUs at the small levels, but every split costs all of them a dispatch.
const BUSY_INVOCATIONS: usize = 1 << 14;
/// The least K of a split: below, writing and adding the parts costs more than the added parallelism gains.
const LEAST_SPLIT: usize = 256;
/// The unit of a split's K: the largest slab of any tile.
const SPLIT_UNIT: usize = 32;
/// More parts than that only move the work to the reduction.
const MOST_SPLITS: usize = 16;

/// Chooses the variant for `rows` × `columns` outputs with `depth` products each.
pub fn choose(rows: usize, columns: usize, depth: usize, weights: DType, capabilities: &Capabilities) -> Choice {
    if capabilities.software {
        return Choice { tile: Tile::Registers, splits: 1 };
    }
    // A tall tile reads each weight less often, worth about 30 % more padding.
    let padded = |height: usize| rows.div_ceil(height) * height;
    let tall = padded(128) * 10 <= padded(32) * 13 && weights != DType::F32;
    let tile = if tall { Tile::Rows128 } else { Tile::Rows32 };
    let workgroup = if tall { 256 } else { 64 };
    let invocations = tile.workgroups(rows, columns) * workgroup;
    let partial_bytes = (rows as u64) * (columns as u64) * 4;
    let fitting = capabilities.max_binding_bytes.min(capabilities.max_buffer_bytes) / partial_bytes.max(1);
    let splits = BUSY_INVOCATIONS.div_ceil(invocations).min(depth / LEAST_SPLIT).min(MOST_SPLITS).min(fitting as usize);
    Choice { tile, splits: splits.max(1) }
}

/// Operations of one dispatch at most, so that submissions can be cut in time for watchdogs and cancelling.
fn dispatch_limit(capabilities: &Capabilities) -> u64 {
    if capabilities.software { 1 << 30 } else { 1 << 34 }
}

/// Where the rows of the left operand come from.
pub(super) enum Input {
    /// A matrix of `depth` channels.
    Rows(Tensor),
    /// Convolution taps over one or two images.
    Taps(Tensor, Option<Tensor>),
}

/// The left operand of a product, `[shape.rows(), depth]`.
pub(super) struct Left {
    pub input: Input,
    pub depth: usize,
    /// The input's fields of the parameters; the others are filled in here.
    pub geometry: GemmParams,
    /// Of the output, but for its channels.
    pub shape: Shape,
}

/// Records y = epilogue(left · weightsᵀ); y's channels are the weights' rows, or half of them when gated.
pub(super) fn record(
    recorder: &mut Recorder,
    left: &Left,
    weights: &Matrix,
    epilogue: &Epilogue,
    choice: Option<Choice>,
) -> Result<Tensor> {
    let &Left { ref input, depth, geometry, shape } = left;
    let layout = check_weights(recorder, weights, depth)?;
    let shape = shape.with_channels(if epilogue.gated { weights.rows / 2 } else { weights.rows });
    check_epilogue(recorder, weights, epilogue, shape)?;
    let y = recorder.tensor("product", shape)?;
    let rows = shape.rows();
    let choice = choice.unwrap_or_else(|| choose(rows, weights.rows, depth, weights.dtype, recorder.capabilities()));
    let split_depth = depth.div_ceil(choice.splits).next_multiple_of(SPLIT_UNIT);
    let splits = depth.div_ceil(split_depth);
    let mut parameters = GemmParams {
        end_row: rows as u32,
        columns: (weights.rows / 4) as u32,
        depth: (depth / 4) as u32,
        weights_stride: (weights.columns / 4) as u32,
        scales_offset: (layout.scales_offset / 4) as u32,
        split_depth: (split_depth / 4) as u32,
        splits: splits as u32,
        batch_rows: shape.positions() as u32,
        ..with_epilogue(geometry, epilogue)
    };
    let (x, second) = match *input {
        Input::Rows(x) => (x, None),
        Input::Taps(x, second) => (x, Some(second.map_or(Binding::Absent, buffer))),
    };
    let operands = [buffer(x), Binding::Buffer(recorder.resident("weights", &weights.resident))];
    let mut features = vec![
        recorder.activations_feature(),
        if second.is_some() { "input_taps" } else { "input_rows" },
        weights_feature(weights.dtype)?,
        choice.tile.feature(),
    ];
    let operations = |rows: usize| 2 * (rows * weights.rows * depth) as u64;

    if splits > 1 {
        features.push("partials");
        let variant = recorder.variant("gemm", &features)?;
        let partial_sums = recorder.scratch("partial sums", (splits * rows * weights.rows * 4) as u64)?;
        let [across, down, _] = recorder.spread(choice.tile.workgroups(rows, weights.rows));
        let bindings: Vec<_> = operands.into_iter().chain([Binding::Buffer(partial_sums)]).chain(second).collect();
        recorder.dispatch(variant, &parameters, &bindings, [across, down, splits as u32], operations(rows))?;
        return reduce(recorder, parameters, partial_sums, epilogue, y);
    }

    let variant = recorder.variant("gemm", &features)?;
    let bindings: Vec<_> = epilogue_bindings(recorder, epilogue, y).into_iter().chain(operands).chain(second).collect();
    // Bands of whole tiles of the tallest kind.
    let affordable = dispatch_limit(recorder.capabilities()) / operations(1).max(1);
    let band = (affordable as usize / 128 * 128).max(128);
    for first_row in (0..rows).step_by(band) {
        let count = band.min(rows - first_row);
        parameters.first_row = first_row as u32;
        parameters.end_row = (first_row + count) as u32;
        let workgroups = recorder.spread(choice.tile.workgroups(count, weights.rows));
        recorder.dispatch(variant, &parameters, &bindings, workgroups, operations(count))?;
    }
    Ok(y)
}

fn reduce(
    recorder: &mut Recorder,
    parameters: GemmParams,
    partial_sums: BufferId,
    epilogue: &Epilogue,
    y: Tensor,
) -> Result<Tensor> {
    let variant = recorder.variant("gemm_reduce", &[recorder.activations_feature()])?;
    let mut bindings = epilogue_bindings(recorder, epilogue, y).to_vec();
    bindings.push(Binding::Buffer(partial_sums));
    let pairs = y.shape.rows() * (parameters.columns as usize).div_ceil(2);
    let workgroups = recorder.spread(pairs.div_ceil(variant.workgroup_size as usize));
    recorder.dispatch(
        variant,
        &parameters,
        &bindings,
        workgroups,
        (pairs * 8) as u64 * u64::from(parameters.splits),
    )?;
    Ok(y)
}

fn with_epilogue(geometry: GemmParams, epilogue: &Epilogue) -> GemmParams {
    let (stride, first) = epilogue.batch_bias.map_or((0, 0), |(tensor, first_channel)| {
        let stride = if tensor.shape.batch == 1 { 0 } else { tensor.shape.channels / 4 };
        (stride as u32, (first_channel / 4) as u32)
    });
    let activation = match epilogue.activation {
        Activation::None if epilogue.gated => Activation::Gelu,
        other => other,
    };
    GemmParams {
        batch_bias_stride: stride,
        batch_bias_first: first,
        activation: activation as u32,
        gated: epilogue.gated.into(),
        has_bias: epilogue.bias.is_some().into(),
        has_batch_bias: epilogue.batch_bias.is_some().into(),
        has_residual: epilogue.residual.is_some().into(),
        scale: epilogue.scale,
        ..geometry
    }
}

/// `shared/epilogue.wgsl`'s bindings, 1 to 4.
fn epilogue_bindings(recorder: &mut Recorder, epilogue: &Epilogue, y: Tensor) -> [Binding; 4] {
    let bias = epilogue.bias.map(|bias| Binding::Buffer(recorder.resident("bias", bias)));
    [
        bias.unwrap_or(Binding::Absent),
        epilogue.batch_bias.map_or(Binding::Absent, |(tensor, _)| buffer(tensor)),
        epilogue.residual.map_or(Binding::Absent, buffer),
        buffer(y),
    ]
}

fn buffer(tensor: Tensor) -> Binding {
    Binding::Buffer(tensor.buffer)
}

fn weights_feature(dtype: DType) -> Result<&'static str> {
    match dtype {
        DType::F32 => Ok("weights_f32"),
        DType::F16 => Ok("weights_f16"),
        DType::Q8_0 => Ok("weights_q8_0"),
        DType::Q4_0 => Ok("weights_q4_0"),
        DType::BF16 => Err(Error::new(ErrorKind::Internal, "bf16 weights must be converted to f16 or f32")),
    }
}

fn check_weights(recorder: &Recorder, weights: &Matrix, depth: usize) -> Result<MatrixLayout> {
    let layout = MatrixLayout::new(weights.dtype, weights.rows, weights.columns)?;
    let unit = if matches!(weights.dtype, DType::Q8_0 | DType::Q4_0) { 32 } else { 4 };
    if !depth.is_multiple_of(4) || weights.columns != depth.next_multiple_of(unit) {
        return Err(Error::new(
            ErrorKind::TensorShape,
            format!("{} weights of {}×{} for {depth} inputs", weights.dtype, weights.rows, weights.columns),
        ));
    }
    if weights.resident.bytes() < layout.bytes {
        return Err(Error::new(
            ErrorKind::Internal,
            format!("{} bytes of weights where {} are needed", weights.resident.bytes(), layout.bytes),
        ));
    }
    let limit = recorder.capabilities().max_binding_bytes;
    if weights.resident.bytes() > limit {
        return Err(Error::new(
            ErrorKind::DeviceLimit,
            format!("a weight matrix of {} bytes, the device binds {limit}; choose a smaller format", layout.bytes),
        ));
    }
    Ok(layout)
}

fn check_epilogue(recorder: &Recorder, weights: &Matrix, epilogue: &Epilogue, shape: Shape) -> Result<()> {
    let fault = |what: String| Err(Error::new(ErrorKind::TensorShape, what));
    let short = |vector: &&Resident| vector.bytes() < (weights.rows * 4) as u64;
    if let Some(bias) = epilogue.bias.filter(short) {
        return fault(format!("a bias of {} bytes for {} outputs", bias.bytes(), weights.rows));
    }
    if epilogue.gated && !weights.rows.is_multiple_of(8) {
        return fault(format!("{} gated outputs are not pairs of vec4", weights.rows));
    }
    if let Some((tensor, first)) = epilogue.batch_bias {
        let Shape { batch, channels, .. } = tensor.shape;
        let fits = first.is_multiple_of(4) && first.checked_add(weights.rows).is_some_and(|end| end <= channels);
        let whole = tensor.shape.positions() == 1 && (batch == 1 || batch == shape.batch);
        if !fits || !whole || !channels.is_multiple_of(4) || tensor.dtype != recorder.activations() {
            return fault(format!(
                "a {} batch bias of {} from channel {first} on for an output of {shape}",
                tensor.dtype, tensor.shape
            ));
        }
    }
    match epilogue.residual {
        Some(residual) if residual.shape.elements() != shape.elements() || residual.dtype != recorder.activations() => {
            fault(format!("a {} residual of {} for an output of {shape}", residual.dtype, residual.shape))
        }
        _ => Ok(()),
    }
}
