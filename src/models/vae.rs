//! `AutoencoderKL` (Kingma & Welling 2014; Rombach et al. 2022; diffusers `models/autoencoders/autoencoder_kl.py`).
//!
//! Decision: decoder and encoder load apart, as text to image needs the first alone. Rejected: one object with both,
//! which keeps 34 million parameters on the device that most visits never use.

use crate::error::{Error, ErrorKind, Result};
use crate::models::config::VaeConfig;
use crate::models::loader::Loader;
use crate::models::precision::Role;
use crate::models::resnet::{ResnetBlock, ResnetSize};
use crate::nn::{Conv2d, GroupNorm, Heads, Linear, SelfAttention};
use crate::ops::elementwise::Activation;
use crate::ops::matmul::Epilogue;
use crate::record::{Executor, Recorder, Tensor};

const EPSILON: f32 = 1e-6;

struct MidAttention {
    group_norm: GroupNorm,
    attention: SelfAttention,
}

struct MidBlock {
    resnet_1: ResnetBlock,
    attention: Option<MidAttention>,
    resnet_2: ResnetBlock,
}

struct Level {
    resnets: Vec<ResnetBlock>,
    sampler: Option<Conv2d>,
}

/// Latent to picture.
pub struct VaeDecoder {
    pub config: VaeConfig,
    post_quant_conv: Option<Linear>,
    conv_in: Conv2d,
    mid_block: MidBlock,
    up_blocks: Vec<Level>,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
}

/// Picture to the moments of its latent.
pub struct VaeEncoder {
    pub config: VaeConfig,
    conv_in: Conv2d,
    down_blocks: Vec<Level>,
    mid_block: MidBlock,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
    quant_conv: Option<Linear>,
}

fn resnet_size(config: &VaeConfig, inputs: usize, outputs: usize) -> ResnetSize {
    ResnetSize { inputs, outputs, groups: config.norm_num_groups, epsilon: EPSILON }
}

impl VaeDecoder {
    pub async fn load<E: Executor>(config: VaeConfig, loader: &Loader<'_, E>) -> Result<Self> {
        config.check()?;
        let channels = config.block_out_channels.clone();
        let (first, last) = (channels[0], channels[channels.len() - 1]);
        let latent = config.latent_channels;
        let post_quant_conv = if config.use_post_quant_conv {
            Some(loader.linear("post_quant_conv", latent, latent, Role::Boundary).await?)
        } else {
            None
        };
        let mut up_blocks = Vec::new();
        let mut inputs = last;
        for (index, &outputs) in channels.iter().rev().enumerate() {
            let path = format!("decoder.up_blocks.{index}");
            let mut resnets = Vec::new();
            for layer in 0..=config.layers_per_block {
                let size = resnet_size(&config, inputs, outputs);
                resnets.push(ResnetBlock::load(loader, &format!("{path}.resnets.{layer}"), size, None).await?);
                inputs = outputs;
            }
            let sampler = if index + 1 < channels.len() {
                let name = format!("{path}.upsamplers.0.conv");
                Some(loader.conv2d(&name, outputs, outputs, 3, Role::Inner).await?)
            } else {
                None
            };
            up_blocks.push(Level { resnets, sampler });
        }
        Ok(Self {
            post_quant_conv,
            conv_in: loader.conv2d("decoder.conv_in", latent, last, 3, Role::Boundary).await?,
            mid_block: MidBlock::load(&config, loader, "decoder.mid_block", last).await?,
            up_blocks,
            conv_norm_out: loader.group_norm("decoder.conv_norm_out", first, config.norm_num_groups, EPSILON).await?,
            conv_out: loader.conv2d("decoder.conv_out", first, config.out_channels, 3, Role::Boundary).await?,
            config,
        })
    }

    /// Picture `[B, H, W, 3]` around -1…1 of `latents` `[B, h, w, latent_channels]`, already divided by the scaling
    /// factor.
    pub fn forward(&self, recorder: &mut Recorder, latents: Tensor) -> Result<Tensor> {
        recorder.scoped("vae.decoder", |recorder| {
            // 1. Into the decoder's channels
            let z = match &self.post_quant_conv {
                Some(conv) => conv.forward(recorder, latents)?,
                None => latents,
            };
            let x = self.conv_in.forward(recorder, z, Epilogue::default())?;
            // 2. Middle
            let mut x = recorder.scoped("mid_block", |recorder| self.mid_block.forward(recorder, x))?;
            // 3. Up
            for (index, level) in self.up_blocks.iter().enumerate() {
                x = recorder.scoped(format!("up_blocks.{index}"), |recorder| {
                    let x = level.forward(recorder, x)?;
                    match &level.sampler {
                        Some(sampler) => sampler.upsample(recorder, x, (x.shape.height * 2, x.shape.width * 2)),
                        None => Ok(x),
                    }
                })?;
            }
            // 4. To colours
            let x = self.conv_norm_out.forward(recorder, x, Activation::Silu)?;
            self.conv_out.forward(recorder, x, Epilogue::default())
        })
    }
}

impl VaeEncoder {
    pub async fn load<E: Executor>(config: VaeConfig, loader: &Loader<'_, E>) -> Result<Self> {
        config.check()?;
        let channels = config.block_out_channels.clone();
        let (first, last) = (channels[0], channels[channels.len() - 1]);
        let moments = 2 * config.latent_channels;
        let mut down_blocks = Vec::new();
        let mut inputs = first;
        for (index, &outputs) in channels.iter().enumerate() {
            let path = format!("encoder.down_blocks.{index}");
            let mut resnets = Vec::new();
            for layer in 0..config.layers_per_block {
                let size = resnet_size(&config, inputs, outputs);
                resnets.push(ResnetBlock::load(loader, &format!("{path}.resnets.{layer}"), size, None).await?);
                inputs = outputs;
            }
            let sampler = if index + 1 < channels.len() {
                let name = format!("{path}.downsamplers.0.conv");
                Some(loader.conv2d(&name, outputs, outputs, 3, Role::Inner).await?)
            } else {
                None
            };
            down_blocks.push(Level { resnets, sampler });
        }
        let quant_conv = if config.use_quant_conv {
            Some(loader.linear("quant_conv", moments, moments, Role::Boundary).await?)
        } else {
            None
        };
        Ok(Self {
            conv_in: loader.conv2d("encoder.conv_in", config.in_channels, first, 3, Role::Boundary).await?,
            down_blocks,
            mid_block: MidBlock::load(&config, loader, "encoder.mid_block", last).await?,
            conv_norm_out: loader.group_norm("encoder.conv_norm_out", last, config.norm_num_groups, EPSILON).await?,
            conv_out: loader.conv2d("encoder.conv_out", last, moments, 3, Role::Boundary).await?,
            quant_conv,
            config,
        })
    }

    /// Mean and log-variance `[B, h, w, 2 · latent_channels]` of a picture `[B, H, W, 3]` in -1…1.
    pub fn forward(&self, recorder: &mut Recorder, picture: Tensor) -> Result<Tensor> {
        recorder.scoped("vae.encoder", |recorder| {
            let mut x = self.conv_in.forward(recorder, picture, Epilogue::default())?;
            for (index, level) in self.down_blocks.iter().enumerate() {
                x = recorder.scoped(format!("down_blocks.{index}"), |recorder| {
                    let x = level.forward(recorder, x)?;
                    match &level.sampler {
                        Some(sampler) => sampler.downsample(recorder, x, 0),
                        None => Ok(x),
                    }
                })?;
            }
            let x = recorder.scoped("mid_block", |recorder| self.mid_block.forward(recorder, x))?;
            let x = self.conv_norm_out.forward(recorder, x, Activation::Silu)?;
            let x = self.conv_out.forward(recorder, x, Epilogue::default())?;
            match &self.quant_conv {
                Some(conv) => conv.forward(recorder, x),
                None => Ok(x),
            }
        })
    }
}

impl Level {
    /// The residual blocks; the sampler is the caller's.
    fn forward(&self, recorder: &mut Recorder, mut x: Tensor) -> Result<Tensor> {
        for (index, resnet) in self.resnets.iter().enumerate() {
            x = recorder.scoped(format!("resnets.{index}"), |recorder| resnet.forward(recorder, x, None, None))?;
        }
        Ok(x)
    }
}

impl MidBlock {
    async fn load<E: Executor>(
        config: &VaeConfig,
        loader: &Loader<'_, E>,
        path: &str,
        channels: usize,
    ) -> Result<Self> {
        let size = resnet_size(config, channels, channels);
        let attention = if config.mid_block_add_attention {
            let path = format!("{path}.attentions.0");
            let heads = Heads::new(1, channels);
            let names = ["to_q", "to_k", "to_v"].map(|name| format!("{path}.{name}"));
            Some(MidAttention {
                group_norm: loader
                    .group_norm(&format!("{path}.group_norm"), channels, config.norm_num_groups, EPSILON)
                    .await?,
                attention: SelfAttention {
                    to_qkv: loader.stacked_heads(&names, channels, heads).await?,
                    to_out: loader.from_heads(&format!("{path}.to_out.0"), heads, channels).await?,
                    heads,
                    causal: false,
                },
            })
        } else {
            None
        };
        Ok(Self {
            resnet_1: ResnetBlock::load(loader, &format!("{path}.resnets.0"), size, None).await?,
            attention,
            resnet_2: ResnetBlock::load(loader, &format!("{path}.resnets.1"), size, None).await?,
        })
    }

    fn forward(&self, recorder: &mut Recorder, x: Tensor) -> Result<Tensor> {
        let mut x = recorder.scoped("resnets.0", |recorder| self.resnet_1.forward(recorder, x, None, None))?;
        if let Some(block) = &self.attention {
            x = recorder.scoped("attentions.0", |recorder| {
                let normed = block.group_norm.forward(recorder, x, Activation::None)?;
                block.attention.forward(recorder, normed, x)
            })?;
        }
        recorder.scoped("resnets.1", |recorder| self.resnet_2.forward(recorder, x, None, None))
    }
}

/// The latents are scaled so that their spread is one; this undoes it.
pub fn unscaled_factor(config: &VaeConfig) -> Result<f32> {
    if config.shift_factor.is_some_and(|shift| shift != 0.0) {
        return Err(Error::new(ErrorKind::Unsupported, "AutoencoderKL with a shift_factor is not supported here"));
    }
    Ok(1.0 / config.scaling_factor)
}
