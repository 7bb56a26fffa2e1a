//! The transformer block of Stable Diffusion's UNet (diffusers `BasicTransformerBlock`).

use crate::error::Result;
use crate::nn::{CrossAttention, KeyValue, LayerNorm, Linear, SelfAttention};
use crate::ops::matmul::Epilogue;
use crate::record::{Recorder, Tensor};

/// GEGLU and the way back: `W₂ (value · gelu(gate))`.
#[derive(Clone, Debug)]
pub struct FeedForward {
    /// Rows of value and gate interleaved by four.
    pub proj: Linear,
    pub out: Linear,
}

impl FeedForward {
    pub fn forward(&self, recorder: &mut Recorder, x: Tensor, residual: Tensor) -> Result<Tensor> {
        let gated = self.proj.forward_with(recorder, x, Epilogue { gated: true, ..Epilogue::default() })?;
        self.out.forward_with(recorder, gated, Epilogue { residual: Some(residual), ..Epilogue::default() })
    }
}

#[derive(Clone, Debug)]
pub struct TransformerBlock {
    pub norm1: LayerNorm,
    pub attn1: SelfAttention,
    pub norm2: LayerNorm,
    pub attn2: CrossAttention,
    pub norm3: LayerNorm,
    pub ff: FeedForward,
}

impl TransformerBlock {
    pub fn forward(&self, recorder: &mut Recorder, x: Tensor, key_value: KeyValue) -> Result<Tensor> {
        let normed = self.norm1.forward(recorder, x)?;
        let x = recorder.scoped("attn1", |recorder| self.attn1.forward(recorder, normed, x))?;
        let normed = self.norm2.forward(recorder, x)?;
        let x = recorder.scoped("attn2", |recorder| self.attn2.forward(recorder, normed, key_value, x))?;
        let normed = self.norm3.forward(recorder, x)?;
        recorder.scoped("ff", |recorder| self.ff.forward(recorder, normed, x))
    }
}
