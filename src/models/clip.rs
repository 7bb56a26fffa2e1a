//! `CLIPTextModel` (Radford et al. 2021; transformers `models/clip/modeling_clip.py`): prompt tokens to hidden states.
//!
//! Decision: the projections of queries, keys and values are stacked when loading; the causal mask is the kernel's.
//! Rejected: padding masks, which Stable Diffusion never had: it reads all 77 positions, padding included.

use std::ops::Range;

use crate::error::{Error, ErrorKind, Result};
use crate::models::config::ClipTextConfig;
use crate::models::loader::Loader;
use crate::models::precision::Role;
use crate::nn::{Heads, LayerNorm, Linear, SelfAttention};
use crate::ops::elementwise::{Activation, copy_entries};
use crate::ops::matmul::Epilogue;
use crate::ops::{Matrix, embed};
use crate::record::{Executor, Recorder, Resident, Tensor};
use crate::tensor::{Shape, padded_channels};

struct Mlp {
    fc1: Linear,
    fc2: Linear,
}

struct EncoderLayer {
    layer_norm1: LayerNorm,
    self_attn: SelfAttention,
    layer_norm2: LayerNorm,
    mlp: Mlp,
}

/// The network with its weights.
pub struct ClipTextModel {
    pub config: ClipTextConfig,
    activation: Activation,
    token_embedding: Vec<Matrix>,
    position_embedding: Vec<Matrix>,
    layers: Vec<EncoderLayer>,
    final_layer_norm: LayerNorm,
}

impl ClipTextModel {
    pub async fn load<E: Executor>(config: ClipTextConfig, loader: &Loader<'_, E>) -> Result<Self> {
        config.check()?;
        let activation = match config.hidden_act.as_str() {
            "quick_gelu" => Activation::QuickGelu,
            "gelu" => Activation::Gelu,
            other => {
                return Err(Error::new(ErrorKind::Unsupported, format!("CLIPTextModel with hidden_act {other}")));
            }
        };
        let hidden = config.hidden_size;
        let embeddings = "text_model.embeddings";
        let token_embedding = loader
            .table(&format!("{embeddings}.token_embedding.weight"), config.vocab_size, hidden, Role::TokenTable)
            .await?;
        let positions = config.max_position_embeddings;
        let position_embedding = loader
            .table(&format!("{embeddings}.position_embedding.weight"), positions, hidden, Role::PositionTable)
            .await?;
        let mut layers = Vec::new();
        for index in 0..config.num_hidden_layers {
            layers.push(EncoderLayer::load(&config, loader, &format!("text_model.encoder.layers.{index}")).await?);
        }
        let final_layer_norm = loader.layer_norm("text_model.final_layer_norm", hidden, config.layer_norm_eps).await?;
        Ok(Self { config, activation, token_embedding, position_embedding, layers, final_layer_norm })
    }

    /// Hidden states after the final norm, `[B, tokens, hidden]`, of `tokens` (u32, `[B · length]`).
    pub fn forward(&self, recorder: &mut Recorder, tokens: &Resident, batch: usize, length: usize) -> Result<Tensor> {
        let x = self.embed(recorder, tokens, batch, length)?;
        let x = self.layers(recorder, x, 0..self.layers.len())?;
        self.final_layer_norm.forward(recorder, x)
    }

    /// As [`Self::forward`], but the batch entries from `first` on leave out the last `skip` layers: "CLIP skip", which
    /// the reference applies to the prompt and not to the negative one.
    pub fn forward_skipping(
        &self,
        recorder: &mut Recorder,
        tokens: &Resident,
        batch: usize,
        length: usize,
        (skip, first): (usize, usize),
    ) -> Result<Tensor> {
        if skip == 0 {
            return self.forward(recorder, tokens, batch, length);
        }
        let early = self.layers.len().saturating_sub(skip);
        let x = self.embed(recorder, tokens, batch, length)?;
        let x = self.layers(recorder, x, 0..early)?;
        let skipped = self.final_layer_norm.forward(recorder, x)?;
        if first == 0 {
            return Ok(skipped);
        }
        let x = self.layers(recorder, x, early..self.layers.len())?;
        let full = self.final_layer_norm.forward(recorder, x)?;
        let mixed = recorder.tensor("hidden states", full.shape)?;
        copy_entries(recorder, full, 0..first, mixed, 0)?;
        copy_entries(recorder, skipped, first..batch, mixed, first)?;
        Ok(mixed)
    }

    fn embed(&self, recorder: &mut Recorder, tokens: &Resident, batch: usize, length: usize) -> Result<Tensor> {
        let [positions] = &self.position_embedding[..] else {
            return Err(Error::new(ErrorKind::DeviceLimit, "the position table does not fit one buffer"));
        };
        let shape = Shape::tokens(batch, length, padded_channels(self.config.hidden_size));
        let tokens = recorder.resident("tokens", tokens);
        embed::token_embedding(recorder, tokens, shape, &self.token_embedding, positions)
    }

    fn layers(&self, recorder: &mut Recorder, mut x: Tensor, range: Range<usize>) -> Result<Tensor> {
        for (index, layer) in self.layers.iter().enumerate().take(range.end).skip(range.start) {
            x = recorder.scoped(format!("layers.{index}"), |recorder| layer.forward(recorder, x, self.activation))?;
        }
        Ok(x)
    }
}

impl EncoderLayer {
    async fn load<E: Executor>(config: &ClipTextConfig, loader: &Loader<'_, E>, path: &str) -> Result<Self> {
        let hidden = config.hidden_size;
        let heads = Heads::new(config.num_attention_heads, hidden / config.num_attention_heads);
        let attention = format!("{path}.self_attn");
        let projections = ["q_proj", "k_proj", "v_proj"].map(|name| format!("{attention}.{name}"));
        Ok(Self {
            layer_norm1: loader.layer_norm(&format!("{path}.layer_norm1"), hidden, config.layer_norm_eps).await?,
            self_attn: SelfAttention {
                to_qkv: loader.stacked_heads(&projections, hidden, heads).await?,
                to_out: loader.from_heads(&format!("{attention}.out_proj"), heads, hidden).await?,
                heads,
                causal: true,
            },
            layer_norm2: loader.layer_norm(&format!("{path}.layer_norm2"), hidden, config.layer_norm_eps).await?,
            mlp: Mlp {
                fc1: loader.linear(&format!("{path}.mlp.fc1"), hidden, config.intermediate_size, Role::Inner).await?,
                fc2: loader.linear(&format!("{path}.mlp.fc2"), config.intermediate_size, hidden, Role::Inner).await?,
            },
        })
    }

    fn forward(&self, recorder: &mut Recorder, x: Tensor, activation: Activation) -> Result<Tensor> {
        let normed = self.layer_norm1.forward(recorder, x)?;
        let x = recorder.scoped("self_attn", |recorder| self.self_attn.forward(recorder, normed, x))?;
        let normed = self.layer_norm2.forward(recorder, x)?;
        recorder.scoped("mlp", |recorder| {
            let hidden = self.mlp.fc1.forward_with(recorder, normed, Epilogue { activation, ..Epilogue::default() })?;
            self.mlp.fc2.forward_with(recorder, hidden, Epilogue { residual: Some(x), ..Epilogue::default() })
        })
    }
}
