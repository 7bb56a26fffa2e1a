//! `UNet2DConditionModel` (Rombach et al. 2022; diffusers `models/unets/unet_2d_condition.py`).
//!
//! Decision: everything that depends on the prompt alone (keys and values of the cross attentions) is recorded apart and
//! runs once per picture, and the projections of the time embedding of all residual blocks are one matrix. Rejected:
//! one module per block type; a level with and without attention differs by an empty list.

use crate::error::{Error, ErrorKind, Result};
use crate::models::config::{UnetConfig, known_blocks};
use crate::models::loader::Loader;
use crate::models::precision::Role;
use crate::models::resnet::{ResnetBlock, ResnetSize};
use crate::models::transformer_2d::{Transformer2D, TransformerSize};
use crate::nn::{Conv2d, GroupNorm, KeyValue, Linear};
use crate::ops::elementwise::Activation;
use crate::ops::embed;
use crate::ops::matmul::Epilogue;
use crate::record::{Executor, Recorder, Resident, Tensor};

/// A residual block and, on levels with attention, the transformer after it.
struct Layer {
    resnet: ResnetBlock,
    attention: Option<Transformer2D>,
}

struct Level {
    layers: Vec<Layer>,
    /// Down- or upsampling convolution.
    sampler: Option<Conv2d>,
}

/// The network with its weights.
pub struct Unet {
    pub config: UnetConfig,
    conv_in: Conv2d,
    time_linear_1: Linear,
    time_linear_2: Linear,
    /// `time_emb_proj` of all residual blocks, stacked.
    time_projections: Linear,
    down_blocks: Vec<Level>,
    mid_resnet_1: ResnetBlock,
    mid_attention: Option<Transformer2D>,
    mid_resnet_2: Option<ResnetBlock>,
    up_blocks: Vec<Level>,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
}

/// Collects the blocks' time projections while they are loaded.
#[derive(Default)]
struct TimeStack {
    names: Vec<String>,
    outputs: Vec<usize>,
}

impl TimeStack {
    fn push(&mut self, path: &str, outputs: usize) -> usize {
        let offset = self.outputs.iter().sum();
        self.names.push(format!("{path}.time_emb_proj"));
        self.outputs.push(outputs);
        offset
    }
}

impl Unet {
    pub async fn load<E: Executor>(config: UnetConfig, loader: &Loader<'_, E>) -> Result<Self> {
        config.check()?;
        known_blocks("unet/config.json", &config.down_block_types, &["DownBlock2D", "CrossAttnDownBlock2D"])?;
        known_blocks("unet/config.json", &config.up_block_types, &["UpBlock2D", "CrossAttnUpBlock2D"])?;
        let channels = config.block_out_channels.clone();
        let first = channels[0];
        let time = first * 4;
        let mut stack = TimeStack::default();
        let conv_in = loader.conv2d("conv_in", config.in_channels, first, 3, Role::Boundary).await?;
        let time_linear_1 = loader.linear("time_embedding.linear_1", first, time, Role::TimeEmbedding).await?;
        let time_linear_2 = loader.linear("time_embedding.linear_2", time, time, Role::TimeEmbedding).await?;

        let mut down_blocks = Vec::new();
        for index in 0..channels.len() {
            down_blocks.push(Self::load_down(&config, loader, &mut stack, index).await?);
        }
        let (mid_resnet_1, mid_attention, mid_resnet_2) = Self::load_mid(&config, loader, &mut stack).await?;
        let mut up_blocks = Vec::new();
        for index in 0..channels.len() {
            up_blocks.push(Self::load_up(&config, loader, &mut stack, index).await?);
        }
        let time_projections = loader.stacked_linear(&stack.names, time, &stack.outputs, Role::TimeEmbedding).await?;
        let conv_norm_out = loader.group_norm("conv_norm_out", first, config.norm_num_groups, config.norm_eps).await?;
        let conv_out = loader.conv2d("conv_out", first, config.out_channels, 3, Role::Boundary).await?;
        Ok(Self {
            config,
            conv_in,
            time_linear_1,
            time_linear_2,
            time_projections,
            down_blocks,
            mid_resnet_1,
            mid_attention,
            mid_resnet_2,
            up_blocks,
            conv_norm_out,
            conv_out,
        })
    }

    async fn load_down<E: Executor>(
        config: &UnetConfig,
        loader: &Loader<'_, E>,
        stack: &mut TimeStack,
        index: usize,
    ) -> Result<Level> {
        let path = format!("down_blocks.{index}");
        let outputs = config.block_out_channels[index];
        let inputs = config.block_out_channels[index.saturating_sub(1)];
        let attends = config.down_block_types[index].starts_with("CrossAttn");
        let mut layers = Vec::new();
        for layer in 0..config.layers_per_block.level(index).unwrap_or(0) {
            let inputs = if layer == 0 { inputs } else { outputs };
            layers.push(Self::load_layer(config, loader, stack, &path, layer, index, attends, inputs).await?);
        }
        let sampler = if index + 1 < config.block_out_channels.len() {
            let name = format!("{path}.downsamplers.0.conv");
            Some(loader.conv2d(&name, outputs, outputs, 3, Role::Inner).await?)
        } else {
            None
        };
        Ok(Level { layers, sampler })
    }

    async fn load_mid<E: Executor>(
        config: &UnetConfig,
        loader: &Loader<'_, E>,
        stack: &mut TimeStack,
    ) -> Result<(ResnetBlock, Option<Transformer2D>, Option<ResnetBlock>)> {
        let level = config.block_out_channels.len() - 1;
        let channels = config.block_out_channels[level];
        let attends = match config.mid_block_type.as_deref() {
            Some("UNetMidBlock2DCrossAttn") => true,
            Some("UNetMidBlock2D") => false,
            other => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!("unet/config.json: mid block {} is not supported", other.unwrap_or("null")),
                ));
            }
        };
        let size = ResnetSize {
            inputs: channels,
            outputs: channels,
            groups: config.norm_num_groups,
            epsilon: config.norm_eps,
        };
        let path = "mid_block.resnets.0";
        let offset = stack.push(path, channels);
        let first = ResnetBlock::load(loader, path, size, Some(offset)).await?;
        if !attends {
            return Ok((first, None, None));
        }
        let transformer =
            Transformer2D::load(loader, "mid_block.attentions.0", &Self::transformer_size(config, level)?).await?;
        let path = "mid_block.resnets.1";
        let offset = stack.push(path, channels);
        let second = ResnetBlock::load(loader, path, size, Some(offset)).await?;
        Ok((first, Some(transformer), Some(second)))
    }

    async fn load_up<E: Executor>(
        config: &UnetConfig,
        loader: &Loader<'_, E>,
        stack: &mut TimeStack,
        index: usize,
    ) -> Result<Level> {
        let path = format!("up_blocks.{index}");
        let channels = &config.block_out_channels;
        let last = channels.len() - 1;
        let level = last - index;
        let outputs = channels[level];
        let previous = channels[(level + 1).min(last)];
        // Skips come back in reverse order; the last one of a level was made by the level above it.
        let below = channels[level.saturating_sub(1)];
        let attends = config.up_block_types[index].starts_with("CrossAttn");
        let count = config.layers_per_block.level(level).unwrap_or(0) + 1;
        let mut layers = Vec::new();
        for layer in 0..count {
            let skip = if layer + 1 == count { below } else { outputs };
            let inputs = skip + if layer == 0 { previous } else { outputs };
            layers.push(Self::load_layer(config, loader, stack, &path, layer, level, attends, inputs).await?);
        }
        let sampler = if index < last {
            let name = format!("{path}.upsamplers.0.conv");
            Some(loader.conv2d(&name, outputs, outputs, 3, Role::Inner).await?)
        } else {
            None
        };
        Ok(Level { layers, sampler })
    }

    #[expect(clippy::too_many_arguments, reason = "one layer's place and sizes")]
    async fn load_layer<E: Executor>(
        config: &UnetConfig,
        loader: &Loader<'_, E>,
        stack: &mut TimeStack,
        path: &str,
        layer: usize,
        level: usize,
        attends: bool,
        inputs: usize,
    ) -> Result<Layer> {
        let outputs = config.block_out_channels[level];
        let resnet_path = format!("{path}.resnets.{layer}");
        let offset = stack.push(&resnet_path, outputs);
        let size = ResnetSize { inputs, outputs, groups: config.norm_num_groups, epsilon: config.norm_eps };
        let resnet = ResnetBlock::load(loader, &resnet_path, size, Some(offset)).await?;
        let attention = if attends {
            let size = Self::transformer_size(config, level)?;
            Some(Transformer2D::load(loader, &format!("{path}.attentions.{layer}"), &size).await?)
        } else {
            None
        };
        Ok(Layer { resnet, attention })
    }

    fn transformer_size(config: &UnetConfig, level: usize) -> Result<TransformerSize> {
        let incomplete = || Error::new(ErrorKind::Malformed, "unet/config.json: a list is shorter than the levels");
        Ok(TransformerSize {
            channels: config.block_out_channels[level],
            heads: config.heads().level(level).ok_or_else(incomplete)?,
            depth: config.transformer_layers_per_block.level(level).ok_or_else(incomplete)?,
            context: config.cross_attention_dim.level(level).ok_or_else(incomplete)?,
            groups: config.norm_num_groups,
        })
    }

    /// All transformers, in the order in which `forward` meets them.
    fn transformers(&self) -> impl Iterator<Item = &Transformer2D> {
        let down = self.down_blocks.iter().flat_map(|level| &level.layers);
        let up = self.up_blocks.iter().flat_map(|level| &level.layers);
        down.filter_map(|layer| layer.attention.as_ref())
            .chain(&self.mid_attention)
            .chain(up.filter_map(|layer| layer.attention.as_ref()))
    }

    /// Channels of the keys and values of every cross attention, in the order of [`Self::key_values`].
    pub fn key_value_channels(&self) -> impl Iterator<Item = usize> {
        self.transformers().flat_map(Transformer2D::key_value_channels)
    }

    /// Keys and values of every cross attention for a prompt's hidden states `[B, tokens, context]`.
    pub fn key_values(&self, recorder: &mut Recorder, context: Tensor) -> Result<Vec<KeyValue>> {
        let mut key_values = Vec::new();
        for transformer in self.transformers() {
            key_values.extend(transformer.key_values(recorder, context)?);
        }
        Ok(key_values)
    }

    /// The model's output `[B, h, w, out_channels]` for `sample` `[B, h, w, in_channels]`, `timesteps` (f32, `[B]`) and
    /// the prompt's `key_values`.
    pub fn forward(
        &self,
        recorder: &mut Recorder,
        sample: Tensor,
        timesteps: &Resident,
        key_values: &[KeyValue],
    ) -> Result<Tensor> {
        let mut key_values = key_values.iter().copied();
        // 1. Time
        let time = recorder.scoped("time_embedding", |recorder| self.time(recorder, sample.shape.batch, timesteps))?;
        // 2. Pre-process
        let mut x =
            recorder.scoped("conv_in", |recorder| self.conv_in.forward(recorder, sample, Epilogue::default()))?;
        let mut skips = vec![x];
        // 3. Down
        for (index, level) in self.down_blocks.iter().enumerate() {
            x = recorder.scoped(format!("down_blocks.{index}"), |recorder| {
                for (layer_index, layer) in level.layers.iter().enumerate() {
                    x = layer.forward(recorder, layer_index, x, None, time, &mut key_values)?;
                    skips.push(x);
                }
                if let Some(sampler) = &level.sampler {
                    x = recorder.scoped("downsamplers.0", |recorder| {
                        sampler.downsample(recorder, x, self.config.downsample_padding)
                    })?;
                    skips.push(x);
                }
                Ok(x)
            })?;
        }
        // 4. Middle
        x = recorder.scoped("mid_block", |recorder| {
            x = recorder.scoped("resnets.0", |recorder| self.mid_resnet_1.forward(recorder, x, None, Some(time)))?;
            if let Some(attention) = &self.mid_attention {
                x = recorder.scoped("attentions.0", |recorder| attention.forward(recorder, x, &mut key_values))?;
            }
            match &self.mid_resnet_2 {
                Some(resnet) => recorder.scoped("resnets.1", |recorder| resnet.forward(recorder, x, None, Some(time))),
                None => Ok(x),
            }
        })?;
        // 5. Up
        for (index, level) in self.up_blocks.iter().enumerate() {
            x = recorder.scoped(format!("up_blocks.{index}"), |recorder| {
                for (layer_index, layer) in level.layers.iter().enumerate() {
                    x = layer.forward(recorder, layer_index, x, skips.pop(), time, &mut key_values)?;
                }
                match (&level.sampler, skips.last()) {
                    // Odd sizes: the next skip knows the size, twice ours does not.
                    (Some(sampler), Some(skip)) => recorder.scoped("upsamplers.0", |recorder| {
                        sampler.upsample(recorder, x, (skip.shape.height, skip.shape.width))
                    }),
                    _ => Ok(x),
                }
            })?;
        }
        // 6. Post-process
        let x = self.conv_norm_out.forward(recorder, x, Activation::Silu)?;
        recorder.scoped("conv_out", |recorder| self.conv_out.forward(recorder, x, Epilogue::default()))
    }

    /// SiLU of the time embedding through the projections of all residual blocks, `[B, 1, 1, Σ Cout]`.
    fn time(&self, recorder: &mut Recorder, batch: usize, timesteps: &Resident) -> Result<Tensor> {
        let timesteps = recorder.resident("timesteps", timesteps);
        let channels = self.config.block_out_channels[0];
        let silu = || Epilogue { activation: Activation::Silu, ..Epilogue::default() };
        let (flip, shift) = (self.config.flip_sin_to_cos, self.config.freq_shift);
        let t = embed::timestep_embedding(recorder, timesteps, batch, channels, flip, shift)?;
        let t = self.time_linear_1.forward_with(recorder, t, silu())?;
        let t = self.time_linear_2.forward_with(recorder, t, silu())?;
        self.time_projections.forward(recorder, t)
    }
}

impl Layer {
    fn forward(
        &self,
        recorder: &mut Recorder,
        index: usize,
        x: Tensor,
        skip: Option<Tensor>,
        time: Tensor,
        key_values: &mut impl Iterator<Item = KeyValue>,
    ) -> Result<Tensor> {
        let x = recorder
            .scoped(format!("resnets.{index}"), |recorder| self.resnet.forward(recorder, x, skip, Some(time)))?;
        match &self.attention {
            Some(attention) => {
                recorder.scoped(format!("attentions.{index}"), |recorder| attention.forward(recorder, x, key_values))
            }
            None => Ok(x),
        }
    }
}
