//! Linear layers.

use crate::error::{Error, ErrorKind, Result};
use crate::ops::Matrix;
use crate::ops::elementwise::Activation;
use crate::ops::gemm::{self, Choice, Input, Left};
use crate::record::catalogue::parameters::GemmParams;
use crate::record::{Recorder, Resident, Tensor};

/// What follows the sums of a linear layer or convolution, in this order: + bias + batch bias, activation or gate,
/// + residual, · scale.
#[derive(Clone, Copy, Debug)]
pub struct Epilogue<'a> {
    /// `[outputs]` f32.
    pub bias: Option<&'a Resident>,
    /// `[batch or 1, 1, 1, channels]` and the first of its channels to add, one per output.
    pub batch_bias: Option<(Tensor, usize)>,
    /// As the output.
    pub residual: Option<Tensor>,
    /// Of the outputs, or of the gate alone; a gate without one uses [`Activation::Gelu`], which is GEGLU.
    pub activation: Activation,
    /// The weights' rows come in blocks of 8, 4 of values then their 4 gates; output = value · activation(gate), half as
    /// many channels.
    pub gated: bool,
    pub scale: f32,
}

impl Default for Epilogue<'_> {
    fn default() -> Self {
        Self { bias: None, batch_bias: None, residual: None, activation: Activation::None, gated: false, scale: 1.0 }
    }
}

/// y = epilogue(input · weightsᵀ): `[.., K]` → `[.., weights.rows]`, or half of that when gated.
pub fn linear(recorder: &mut Recorder, input: Tensor, weights: &Matrix, epilogue: &Epilogue) -> Result<Tensor> {
    linear_with(recorder, input, weights, epilogue, None)
}

/// [`linear`] by a given variant, for tests and measurements; it must suit the device and the weights.
pub fn linear_with(
    recorder: &mut Recorder,
    input: Tensor,
    weights: &Matrix,
    epilogue: &Epilogue,
    choice: Option<Choice>,
) -> Result<Tensor> {
    let depth = input.shape.channels;
    if input.shape.elements() == 0 || input.dtype != recorder.activations() {
        return Err(Error::new(ErrorKind::Internal, format!("a linear layer on {} {}", input.dtype, input.shape)));
    }
    let left = Left { input: Input::Rows(input), depth, geometry: GemmParams::default(), shape: input.shape };
    gemm::record(recorder, &left, weights, epilogue, choice)
}
