//! Two-dimensional convolutions as products with the taps of the input.
//!
//! Decision: padding, stride, resizing and concatenation are address computations of the GEMM's input, so that no
//! padded, enlarged or concatenated image ever exists in memory. Rejected: an im2col buffer, nine times the input.

use crate::error::{Error, ErrorKind, Result};
use crate::ops::Matrix;
use crate::ops::gemm::{self, Choice, Input, Left};
use crate::ops::matmul::{Epilogue, linear_with};
use crate::record::catalogue::parameters::GemmParams;
use crate::record::{Recorder, Tensor};
use crate::tensor::Shape;

/// Geometry of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// 1 or 3.
    pub kernel: usize,
    /// 1 or 2.
    pub stride: usize,
    /// Zeros above the (resized) input; those below follow from the output's height.
    pub pad_top: usize,
    /// Zeros to its left; those to the right follow from the output's width.
    pub pad_left: usize,
    /// Height and width.
    pub output: (usize, usize),
    /// Height and width to which the input is enlarged before the taps: nearest neighbour, floor(i · stored / resized)
    /// as PyTorch's `nearest`.
    pub upsample: Option<(usize, usize)>,
}

impl Convolution {
    /// Stride 1 with an output of the input's size.
    pub fn same(kernel: usize, height: usize, width: usize) -> Self {
        Self { kernel, stride: 1, pad_top: kernel / 2, pad_left: kernel / 2, output: (height, width), upsample: None }
    }
}

/// y = epilogue(convolution of `input`, with `second`'s channels after its own): `[B, H, W, C (+ C₂)]` →
/// `[B, output height, output width, weights.rows]`. Weights: columns in the order (kernel row, kernel column, channel).
pub fn conv2d(
    recorder: &mut Recorder,
    input: Tensor,
    second: Option<Tensor>,
    weights: &Matrix,
    convolution: &Convolution,
    epilogue: &Epilogue,
) -> Result<Tensor> {
    conv2d_with(recorder, input, second, weights, convolution, epilogue, None)
}

/// [`conv2d`] by a given variant, for tests and measurements; it must suit the device and the weights.
pub fn conv2d_with(
    recorder: &mut Recorder,
    input: Tensor,
    second: Option<Tensor>,
    weights: &Matrix,
    convolution: &Convolution,
    epilogue: &Epilogue,
    choice: Option<Choice>,
) -> Result<Tensor> {
    let Convolution { kernel, stride, pad_top, pad_left, output, upsample } = *convolution;
    let Shape { batch, height, width, channels } = input.shape;
    if kernel == 1 && second.is_none() && *convolution == Convolution::same(1, height, width) {
        return linear_with(recorder, input, weights, epilogue, choice);
    }
    let resized = upsample.unwrap_or((height, width));
    let sound = matches!(kernel, 1 | 3)
        && matches!(stride, 1 | 2)
        && pad_top < kernel
        && pad_left < kernel
        && output.0 > 0
        && output.1 > 0
        && (output.0 - 1) * stride < resized.0 + pad_top
        && (output.1 - 1) * stride < resized.1 + pad_left
        && resized.0 >= height
        && resized.1 >= width
        && input.shape.elements() > 0
        && channels.is_multiple_of(4)
        && input.dtype == recorder.activations();
    if !sound {
        return Err(Error::new(
            ErrorKind::Internal,
            format!("a convolution {convolution:?} on {} {}", input.dtype, input.shape),
        ));
    }
    let second_channels = second.map_or(0, |second| second.shape.channels);
    if let Some(second) = second
        && (second.shape.with_channels(channels) != input.shape
            || !second_channels.is_multiple_of(4)
            || second.dtype != input.dtype)
    {
        return Err(Error::new(
            ErrorKind::TensorShape,
            format!("an image of {} cannot be concatenated to one of {}", second.shape, input.shape),
        ));
    }
    let geometry = GemmParams {
        height: height as u32,
        width: width as u32,
        resized_height: resized.0 as u32,
        resized_width: resized.1 as u32,
        channels: (channels / 4) as u32,
        second_channels: (second_channels / 4) as u32,
        output_height: output.0 as u32,
        output_width: output.1 as u32,
        kernel: kernel as u32,
        stride: stride as u32,
        pad_top: pad_top as u32,
        pad_left: pad_left as u32,
        ..GemmParams::default()
    };
    let depth = kernel * kernel * (channels + second_channels);
    let shape = Shape::image(batch, output.0, output.1, 0);
    let left = Left { input: Input::Taps(input, second), depth, geometry, shape };
    gemm::record(recorder, &left, weights, epilogue, choice)
}
