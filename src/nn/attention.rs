//! Attention layers: projections stacked into one matrix, so that one GEMM makes queries, keys and values.

use crate::error::Result;
use crate::nn::Linear;
use crate::ops::attention::{Slice, attention};
use crate::ops::matmul::Epilogue;
use crate::record::{Recorder, Tensor};

/// Heads of an attention layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    pub count: usize,
    /// Channels of one head in the checkpoint; the softmax's scale is its inverse square root.
    pub size: usize,
    /// Channels of one head as stored: padded with zeros to a multiple of 4.
    pub padded_size: usize,
}

impl Heads {
    pub fn new(count: usize, size: usize) -> Self {
        Self { count, size, padded_size: size.next_multiple_of(4) }
    }

    /// Channels of all heads as stored.
    pub fn channels(&self) -> usize {
        self.count * self.padded_size
    }

    fn scale(&self) -> f32 {
        (1.0 / (self.size as f64).sqrt()) as f32
    }
}

/// Every token looks at every token, or at the earlier ones.
#[derive(Clone, Debug)]
pub struct SelfAttention {
    /// Queries, keys and values stacked: 3 · [`Heads::channels`] rows.
    pub to_qkv: Linear,
    pub to_out: Linear,
    pub heads: Heads,
    pub causal: bool,
}

impl SelfAttention {
    /// `residual` + attention(`x`)
    pub fn forward(&self, recorder: &mut Recorder, x: Tensor, residual: Tensor) -> Result<Tensor> {
        let qkv = self.to_qkv.forward(recorder, x)?;
        let part = |index: usize| Slice { tensor: qkv, first_channel: index * self.heads.channels() };
        let heads = self.heads;
        let mixed =
            attention(recorder, part(0), part(1), part(2), heads.count, heads.padded_size, heads.scale(), self.causal)?;
        self.to_out.forward_with(recorder, mixed, Epilogue { residual: Some(residual), ..Epilogue::default() })
    }
}

/// Keys and values of a prompt for one layer, `[B, tokens, 2 · channels]`: the same in every step, so made once.
pub type KeyValue = Tensor;

/// Every token looks at the prompt.
#[derive(Clone, Debug)]
pub struct CrossAttention {
    pub to_q: Linear,
    /// Keys and values stacked: 2 · [`Heads::channels`] rows.
    pub to_kv: Linear,
    pub to_out: Linear,
    pub heads: Heads,
}

impl CrossAttention {
    pub fn key_value(&self, recorder: &mut Recorder, context: Tensor) -> Result<KeyValue> {
        self.to_kv.forward(recorder, context)
    }

    /// `residual` + attention(`x`, prompt)
    pub fn forward(&self, recorder: &mut Recorder, x: Tensor, key_value: KeyValue, residual: Tensor) -> Result<Tensor> {
        let query = self.to_q.forward(recorder, x)?;
        let heads = self.heads;
        let mixed = attention(
            recorder,
            Slice { tensor: query, first_channel: 0 },
            Slice { tensor: key_value, first_channel: 0 },
            Slice { tensor: key_value, first_channel: heads.channels() },
            heads.count,
            heads.padded_size,
            heads.scale(),
            false,
        )?;
        self.to_out.forward_with(recorder, mixed, Epilogue { residual: Some(residual), ..Epilogue::default() })
    }
}
