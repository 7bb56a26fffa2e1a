//! The residual block of UNet and VAE (diffusers `models/resnet.py`, `ResnetBlock2D`).

use crate::error::Result;
use crate::models::loader::Loader;
use crate::models::precision::Role;
use crate::nn::{Conv2d, GroupNorm};
use crate::ops::elementwise::Activation;
use crate::ops::matmul::Epilogue;
use crate::record::{Executor, Recorder, Tensor};

/// Two convolutions around which the input goes by, through a 1×1 convolution where the channels change.
pub struct ResnetBlock {
    norm1: GroupNorm,
    conv1: Conv2d,
    norm2: GroupNorm,
    conv2: Conv2d,
    conv_shortcut: Option<Conv2d>,
    /// First row of this block in the stacked projection of the time embedding; the VAE has none.
    time_offset: Option<usize>,
}

/// Sizes of a block.
#[derive(Clone, Copy, Debug)]
pub struct ResnetSize {
    pub inputs: usize,
    pub outputs: usize,
    pub groups: usize,
    pub epsilon: f32,
}

impl ResnetBlock {
    pub async fn load<E: Executor>(
        loader: &Loader<'_, E>,
        path: &str,
        size: ResnetSize,
        time_offset: Option<usize>,
    ) -> Result<Self> {
        let ResnetSize { inputs, outputs, groups, epsilon } = size;
        let shortcut = format!("{path}.conv_shortcut");
        let conv_shortcut = if inputs == outputs {
            None
        } else {
            Some(loader.conv2d(&shortcut, inputs, outputs, 1, Role::Inner).await?)
        };
        Ok(Self {
            norm1: loader.group_norm(&format!("{path}.norm1"), inputs, groups, epsilon).await?,
            conv1: loader.conv2d(&format!("{path}.conv1"), inputs, outputs, 3, Role::Inner).await?,
            norm2: loader.group_norm(&format!("{path}.norm2"), outputs, groups, epsilon).await?,
            conv2: loader.conv2d(&format!("{path}.conv2"), outputs, outputs, 3, Role::Inner).await?,
            conv_shortcut,
            time_offset,
        })
    }

    /// On `x`, or on its channel concatenation with `skip`. `time` is the stacked projection, `[B, 1, 1, Σ Cout]`.
    pub fn forward(
        &self,
        recorder: &mut Recorder,
        x: Tensor,
        skip: Option<Tensor>,
        time: Option<Tensor>,
    ) -> Result<Tensor> {
        let batch_bias = time.zip(self.time_offset);
        // 1. Norm, SiLU, convolution, time
        let h = self.norm1.forward_concatenated(recorder, x, skip, Activation::Silu)?;
        let h = recorder.scoped("conv1", |recorder| {
            self.conv1.forward(recorder, h, Epilogue { batch_bias, ..Epilogue::default() })
        })?;
        // 2. Norm, SiLU, convolution, and what went by
        let h = self.norm2.forward(recorder, h, Activation::Silu)?;
        let by = match &self.conv_shortcut {
            Some(shortcut) => {
                recorder.scoped("conv_shortcut", |recorder| shortcut.forward_concatenated(recorder, x, skip))?
            }
            None => x,
        };
        recorder.scoped("conv2", |recorder| {
            self.conv2.forward(recorder, h, Epilogue { residual: Some(by), ..Epilogue::default() })
        })
    }
}
