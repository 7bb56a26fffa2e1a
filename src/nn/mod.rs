//! Layers: an op and its weights, with names as in the checkpoint.
//!
//! Decision: plain structs with ready weights and a `forward` that records; loading them is the models' business.
//! Rejected: layers that load themselves, which would tie every layer to the file formats.

mod attention;
mod transformer;

pub use attention::{CrossAttention, Heads, KeyValue, SelfAttention};
pub use transformer::{FeedForward, TransformerBlock};

use crate::error::Result;
use crate::ops::conv2d::{self, Convolution};
use crate::ops::elementwise::Activation;
use crate::ops::matmul::{self, Epilogue};
use crate::ops::{Matrix, norm};
use crate::record::{Recorder, Resident, Tensor};

/// y = W x + b
#[derive(Clone, Debug)]
pub struct Linear {
    pub weight: Matrix,
    pub bias: Option<Resident>,
}

impl Linear {
    pub fn forward(&self, recorder: &mut Recorder, x: Tensor) -> Result<Tensor> {
        self.forward_with(recorder, x, Epilogue::default())
    }

    /// With what follows it fused in; the bias is added here.
    pub fn forward_with(&self, recorder: &mut Recorder, x: Tensor, epilogue: Epilogue) -> Result<Tensor> {
        matmul::linear(recorder, x, &self.weight, &Epilogue { bias: self.bias.as_ref(), ..epilogue })
    }
}

/// A convolution with weights `[Cout][kh][kw][Cin]`.
#[derive(Clone, Debug)]
pub struct Conv2d {
    pub weight: Matrix,
    pub bias: Option<Resident>,
    pub kernel: usize,
}

impl Conv2d {
    /// Stride 1, same size.
    pub fn forward(&self, recorder: &mut Recorder, x: Tensor, epilogue: Epilogue) -> Result<Tensor> {
        let size = (x.shape.height, x.shape.width);
        let pad = self.kernel / 2;
        self.forward_as(recorder, x, None, self.geometry(1, pad, size, None), epilogue)
    }

    /// On the channel concatenation of two tensors, stride 1, same size.
    pub fn forward_concatenated(&self, recorder: &mut Recorder, x: Tensor, second: Option<Tensor>) -> Result<Tensor> {
        let size = (x.shape.height, x.shape.width);
        let geometry = self.geometry(1, self.kernel / 2, size, None);
        self.forward_as(recorder, x, second, geometry, Epilogue::default())
    }

    /// Stride 2. `padding` before the first row and column; after the last one the taps see zeros as far as they reach:
    /// 1 as in the UNet, 0 as in the VAE encoder, which pads only at the end.
    pub fn downsample(&self, recorder: &mut Recorder, x: Tensor, padding: usize) -> Result<Tensor> {
        let size = |length: usize| if padding == 0 { length / 2 } else { length.div_ceil(2) };
        let output = (size(x.shape.height), size(x.shape.width));
        self.forward_as(recorder, x, None, self.geometry(2, padding, output, None), Epilogue::default())
    }

    /// Nearest-neighbour resize to `size`, then the taps.
    pub fn upsample(&self, recorder: &mut Recorder, x: Tensor, size: (usize, usize)) -> Result<Tensor> {
        self.forward_as(recorder, x, None, self.geometry(1, self.kernel / 2, size, Some(size)), Epilogue::default())
    }

    fn geometry(
        &self,
        stride: usize,
        pad: usize,
        output: (usize, usize),
        upsample: Option<(usize, usize)>,
    ) -> Convolution {
        Convolution { kernel: self.kernel, stride, pad_top: pad, pad_left: pad, output, upsample }
    }

    fn forward_as(
        &self,
        recorder: &mut Recorder,
        x: Tensor,
        second: Option<Tensor>,
        convolution: Convolution,
        epilogue: Epilogue,
    ) -> Result<Tensor> {
        let epilogue = Epilogue { bias: self.bias.as_ref(), ..epilogue };
        conv2d::conv2d(recorder, x, second, &self.weight, &convolution, &epilogue)
    }
}

#[derive(Clone, Debug)]
pub struct GroupNorm {
    pub weight: Resident,
    pub bias: Resident,
    pub groups: usize,
    pub epsilon: f32,
}

impl GroupNorm {
    pub fn forward(&self, recorder: &mut Recorder, x: Tensor, activation: Activation) -> Result<Tensor> {
        self.forward_concatenated(recorder, x, None, activation)
    }

    /// Normalises the channel concatenation of two tensors and writes it out as one.
    pub fn forward_concatenated(
        &self,
        recorder: &mut Recorder,
        x: Tensor,
        second: Option<Tensor>,
        activation: Activation,
    ) -> Result<Tensor> {
        norm::group_norm(recorder, x, second, &self.weight, &self.bias, self.groups, self.epsilon, activation)
    }
}

#[derive(Clone, Debug)]
pub struct LayerNorm {
    pub weight: Resident,
    pub bias: Resident,
    pub epsilon: f32,
}

impl LayerNorm {
    pub fn forward(&self, recorder: &mut Recorder, x: Tensor) -> Result<Tensor> {
        norm::layer_norm(recorder, x, &self.weight, &self.bias, self.epsilon)
    }
}
