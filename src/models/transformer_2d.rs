//! The spatial transformer of the UNet (diffusers `models/transformers/transformer_2d.py`, continuous input).

use crate::error::{Error, ErrorKind, Result};
use crate::models::loader::Loader;
use crate::models::precision::Role;
use crate::nn::{CrossAttention, FeedForward, GroupNorm, Heads, KeyValue, Linear, SelfAttention, TransformerBlock};
use crate::ops::elementwise::Activation;
use crate::ops::matmul::Epilogue;
use crate::record::{Executor, Recorder, Tensor};

/// Sizes of a transformer.
pub struct TransformerSize {
    pub channels: usize,
    pub heads: usize,
    /// Blocks.
    pub depth: usize,
    /// Channels of the prompt's hidden states.
    pub context: usize,
    pub groups: usize,
}

/// Norm, projection, blocks, projection, and the input added. Channels-last pixels are tokens already, so the
/// convolutional and the linear projection of the checkpoints are the same matrix.
pub struct Transformer2D {
    norm: GroupNorm,
    proj_in: Linear,
    transformer_blocks: Vec<TransformerBlock>,
    proj_out: Linear,
}

/// Epsilons that the class fixes: `Transformer2DModel` and `BasicTransformerBlock`.
const GROUP_NORM_EPSILON: f32 = 1e-6;
const LAYER_NORM_EPSILON: f32 = 1e-5;

impl Transformer2D {
    pub async fn load<E: Executor>(loader: &Loader<'_, E>, path: &str, size: &TransformerSize) -> Result<Self> {
        let channels = size.channels;
        if size.heads == 0 || !channels.is_multiple_of(size.heads) {
            return Err(Error::new(
                ErrorKind::Malformed,
                format!("{path}: {channels} channels do not divide into {} heads", size.heads),
            ));
        }
        let mut transformer_blocks = Vec::new();
        for index in 0..size.depth {
            transformer_blocks.push(block(loader, &format!("{path}.transformer_blocks.{index}"), size).await?);
        }
        Ok(Self {
            norm: loader.group_norm(&format!("{path}.norm"), channels, size.groups, GROUP_NORM_EPSILON).await?,
            proj_in: loader.linear(&format!("{path}.proj_in"), channels, channels, Role::Inner).await?,
            transformer_blocks,
            proj_out: loader.linear(&format!("{path}.proj_out"), channels, channels, Role::Inner).await?,
        })
    }

    /// Channels of the keys and values of every block.
    pub fn key_value_channels(&self) -> impl Iterator<Item = usize> {
        self.transformer_blocks.iter().map(|block| 2 * block.attn2.heads.channels())
    }

    /// Keys and values of every block.
    pub fn key_values(&self, recorder: &mut Recorder, context: Tensor) -> Result<Vec<KeyValue>> {
        self.transformer_blocks.iter().map(|block| block.attn2.key_value(recorder, context)).collect()
    }

    pub fn forward(
        &self,
        recorder: &mut Recorder,
        x: Tensor,
        key_values: &mut impl Iterator<Item = KeyValue>,
    ) -> Result<Tensor> {
        let normed = self.norm.forward(recorder, x, Activation::None)?;
        let mut h = recorder.scoped("proj_in", |recorder| self.proj_in.forward(recorder, normed))?;
        for (index, block) in self.transformer_blocks.iter().enumerate() {
            let key_value = key_values
                .next()
                .ok_or_else(|| Error::new(ErrorKind::Internal, "fewer keys and values than cross attentions"))?;
            h = recorder
                .scoped(format!("transformer_blocks.{index}"), |recorder| block.forward(recorder, h, key_value))?;
        }
        recorder.scoped("proj_out", |recorder| {
            self.proj_out.forward_with(recorder, h, Epilogue { residual: Some(x), ..Epilogue::default() })
        })
    }
}

async fn block<E: Executor>(loader: &Loader<'_, E>, path: &str, size: &TransformerSize) -> Result<TransformerBlock> {
    let channels = size.channels;
    let heads = Heads::new(size.heads, channels / size.heads);
    let names = |layer: &str, parts: &[&str]| -> Vec<String> {
        parts.iter().map(|part| format!("{path}.{layer}.{part}")).collect()
    };
    let hidden = channels * 4;
    Ok(TransformerBlock {
        norm1: loader.layer_norm(&format!("{path}.norm1"), channels, LAYER_NORM_EPSILON).await?,
        attn1: SelfAttention {
            to_qkv: loader.stacked_heads(&names("attn1", &["to_q", "to_k", "to_v"]), channels, heads).await?,
            to_out: loader.from_heads(&format!("{path}.attn1.to_out.0"), heads, channels).await?,
            heads,
            causal: false,
        },
        norm2: loader.layer_norm(&format!("{path}.norm2"), channels, LAYER_NORM_EPSILON).await?,
        attn2: CrossAttention {
            to_q: loader.stacked_heads(&names("attn2", &["to_q"]), channels, heads).await?,
            to_kv: loader.stacked_heads(&names("attn2", &["to_k", "to_v"]), size.context, heads).await?,
            to_out: loader.from_heads(&format!("{path}.attn2.to_out.0"), heads, channels).await?,
            heads,
        },
        norm3: loader.layer_norm(&format!("{path}.norm3"), channels, LAYER_NORM_EPSILON).await?,
        ff: FeedForward {
            proj: loader.gated(&format!("{path}.ff.net.0.proj"), channels, hidden).await?,
            out: loader.linear(&format!("{path}.ff.net.2"), hidden, channels, Role::Inner).await?,
        },
    })
}
