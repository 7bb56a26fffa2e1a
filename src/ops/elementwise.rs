//! Sums, scaling and activations that no other kernel could take along.

use std::ops::Range;

use crate::error::{Error, ErrorKind, Result};
use crate::record::catalogue::parameters::ElementwiseParams;
use crate::record::{Binding, Recorder, Resident, Tensor};
use crate::tensor::Shape;

/// Activation functions, numbered as in `shaders/shared/activation.wgsl`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Activation {
    #[default]
    None = 0,
    /// x · σ(x)
    Silu = 1,
    /// x · Φ(x), with the error function
    Gelu = 2,
    /// x · σ(1.702 x), as in CLIP
    QuickGelu = 3,
    /// The hyperbolic-tangent approximation of GELU
    GeluTanh = 4,
}

/// activation(x)
pub fn activate(recorder: &mut Recorder, x: Tensor, activation: Activation) -> Result<Tensor> {
    let y = recorder.tensor("activated", x.shape)?;
    elementwise(recorder, x, None, activation, 1.0, y)
}

/// a + b, of equal shapes
pub fn add(recorder: &mut Recorder, a: Tensor, b: Tensor) -> Result<Tensor> {
    let y = recorder.tensor("sum", a.shape)?;
    elementwise(recorder, a, Some(b), Activation::None, 1.0, y)
}

/// scale · x
pub fn scale(recorder: &mut Recorder, x: Tensor, scale: f32) -> Result<Tensor> {
    let y = recorder.tensor("scaled", x.shape)?;
    elementwise(recorder, x, None, Activation::None, scale, y)
}

/// Copies an activation to a resident buffer of at least its size, so that it outlives the run.
pub fn copy_into(recorder: &mut Recorder, x: Tensor, target: &Resident) -> Result<()> {
    let y = recorder.resident_tensor("copy", target, x.shape, x.dtype)?;
    elementwise(recorder, x, None, Activation::None, 1.0, y).map(|_| ())
}

/// Copies the batch entries `entries` of an activation to `target`, from its entry `first` on. Both have the same size
/// of an entry.
pub fn copy_entries(
    recorder: &mut Recorder,
    x: Tensor,
    entries: Range<usize>,
    target: Tensor,
    first: usize,
) -> Result<()> {
    let per_entry = x.shape.positions() * x.shape.channels / 4;
    let alike = Shape { batch: x.shape.batch, ..target.shape } == x.shape
        && x.dtype == target.dtype
        && x.dtype == recorder.activations()
        && x.shape.channels.is_multiple_of(4);
    let fits = entries.end <= x.shape.batch && first + entries.len() <= target.shape.batch && !entries.is_empty();
    if !alike || !fits {
        return Err(Error::new(ErrorKind::Internal, format!("copying entries {entries:?} of {x:?} to {target:?}")));
    }
    let parameters = ElementwiseParams {
        vectors: (entries.len() * per_entry) as u32,
        scale: 1.0,
        x_first: (entries.start * per_entry) as u32,
        y_first: (first * per_entry) as u32,
        ..ElementwiseParams::default()
    };
    dispatch(recorder, &parameters, x, None, target)
}

fn elementwise(
    recorder: &mut Recorder,
    x: Tensor,
    other: Option<Tensor>,
    activation: Activation,
    scale: f32,
    y: Tensor,
) -> Result<Tensor> {
    let operands = [Some(x), other, Some(y)];
    let alike =
        |tensor: &Tensor| tensor.shape.elements() == x.shape.elements() && tensor.dtype == recorder.activations();
    if !operands.iter().flatten().all(alike) || !x.shape.elements().is_multiple_of(4) {
        return Err(Error::new(ErrorKind::Internal, format!("elementwise on {operands:?}")));
    }
    let parameters = ElementwiseParams {
        vectors: (x.shape.elements() / 4) as u32,
        activation: activation as u32,
        has_other: other.is_some().into(),
        scale,
        ..ElementwiseParams::default()
    };
    dispatch(recorder, &parameters, x, other, y)?;
    Ok(y)
}

fn dispatch(
    recorder: &mut Recorder,
    parameters: &ElementwiseParams,
    x: Tensor,
    other: Option<Tensor>,
    y: Tensor,
) -> Result<()> {
    let variant = recorder.variant("elementwise", &[recorder.activations_feature()])?;
    let bindings = [
        Binding::Buffer(x.buffer),
        other.map_or(Binding::Absent, |other| Binding::Buffer(other.buffer)),
        Binding::Buffer(y.buffer),
    ];
    let vectors = parameters.vectors as usize;
    let workgroups = recorder.spread(vectors.div_ceil(variant.workgroup_size as usize));
    recorder.dispatch(variant, parameters, &bindings, workgroups, (vectors * 16) as u64)
}
