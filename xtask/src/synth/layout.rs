//! Names and shapes of all tensors of a network, from its configuration, as `save_pretrained` writes them.

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// What a tensor is for, which decides the size of its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Of a linear layer or a convolution.
    Weight,
    /// Of a norm.
    Scale,
    /// Any bias.
    Shift,
    Embedding,
}

pub struct Tensor {
    pub name: String,
    pub shape: Vec<usize>,
    pub kind: Kind,
}

impl Tensor {
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Inputs that one output of a weight sums up.
    pub fn fan_in(&self) -> usize {
        self.shape.iter().skip(1).product()
    }
}

/// The list under construction; names are given relative to a path.
#[derive(Default)]
struct List(Vec<Tensor>);

impl List {
    fn add(&mut self, name: String, shape: &[usize], kind: Kind) {
        self.0.push(Tensor { name, shape: shape.into(), kind });
    }

    fn layer(&mut self, path: &str, shape: &[usize]) {
        self.add(format!("{path}.weight"), shape, Kind::Weight);
        self.add(format!("{path}.bias"), shape.get(..1).unwrap_or_default(), Kind::Shift);
    }

    fn linear(&mut self, path: &str, outputs: usize, inputs: usize) {
        self.layer(path, &[outputs, inputs]);
    }

    fn convolution(&mut self, path: &str, outputs: usize, inputs: usize, size: usize) {
        self.layer(path, &[outputs, inputs, size, size]);
    }

    fn norm(&mut self, path: &str, channels: usize) {
        self.add(format!("{path}.weight"), &[channels], Kind::Scale);
        self.add(format!("{path}.bias"), &[channels], Kind::Shift);
    }

    /// `time`: channels of the time embedding; a VAE's blocks have none.
    fn resnet(&mut self, path: &str, inputs: usize, outputs: usize, time: Option<usize>) {
        self.norm(&format!("{path}.norm1"), inputs);
        self.convolution(&format!("{path}.conv1"), outputs, inputs, 3);
        if let Some(time) = time {
            self.linear(&format!("{path}.time_emb_proj"), outputs, time);
        }
        self.norm(&format!("{path}.norm2"), outputs);
        self.convolution(&format!("{path}.conv2"), outputs, outputs, 3);
        if inputs != outputs {
            self.convolution(&format!("{path}.conv_shortcut"), outputs, inputs, 1);
        }
    }

    /// A transformer's attention: queries, keys and values without bias.
    fn attention(&mut self, path: &str, channels: usize, context: usize) {
        for (name, inputs) in [("to_q", channels), ("to_k", context), ("to_v", context)] {
            self.add(format!("{path}.{name}.weight"), &[channels, inputs], Kind::Weight);
        }
        self.linear(&format!("{path}.to_out.0"), channels, channels);
    }

    fn spatial_transformer(&mut self, path: &str, channels: usize, unet: &Unet) {
        self.norm(&format!("{path}.norm"), channels);
        let project = |list: &mut Self, name: &str| match unet.linear_projection {
            true => list.linear(&format!("{path}.{name}"), channels, channels),
            false => list.convolution(&format!("{path}.{name}"), channels, channels, 1),
        };
        project(self, "proj_in");
        let block = format!("{path}.transformer_blocks.0");
        self.norm(&format!("{block}.norm1"), channels);
        self.attention(&format!("{block}.attn1"), channels, channels);
        self.norm(&format!("{block}.norm2"), channels);
        self.attention(&format!("{block}.attn2"), channels, unet.context);
        self.norm(&format!("{block}.norm3"), channels);
        // GEGLU: values and gates in one, four times as wide.
        self.linear(&format!("{block}.ff.net.0.proj"), 8 * channels, channels);
        self.linear(&format!("{block}.ff.net.2"), channels, 4 * channels);
        project(self, "proj_out");
    }
}

fn number(config: &Value, key: &str) -> Result<usize> {
    let number = config.get(key).and_then(Value::as_u64).with_context(|| format!("the configuration has no {key}"))?;
    Ok(usize::try_from(number)?)
}

fn numbers(config: &Value, key: &str) -> Result<Vec<usize>> {
    let list = config.get(key).cloned().with_context(|| format!("the configuration has no {key}"))?;
    serde_json::from_value(list).with_context(|| format!("{key} is no list of numbers"))
}

/// `CLIPTextModel`.
pub fn clip_text(config: &Value) -> Result<Vec<Tensor>> {
    let width = number(config, "hidden_size")?;
    let inner = number(config, "intermediate_size")?;
    let mut list = List::default();
    let embeddings = "text_model.embeddings";
    let table = [number(config, "vocab_size")?, width];
    list.add(format!("{embeddings}.token_embedding.weight"), &table, Kind::Embedding);
    let positions = [number(config, "max_position_embeddings")?, width];
    list.add(format!("{embeddings}.position_embedding.weight"), &positions, Kind::Embedding);
    for layer in 0..number(config, "num_hidden_layers")? {
        let path = format!("text_model.encoder.layers.{layer}");
        list.norm(&format!("{path}.layer_norm1"), width);
        for projection in ["q_proj", "k_proj", "v_proj", "out_proj"] {
            list.linear(&format!("{path}.self_attn.{projection}"), width, width);
        }
        list.norm(&format!("{path}.layer_norm2"), width);
        list.linear(&format!("{path}.mlp.fc1"), inner, width);
        list.linear(&format!("{path}.mlp.fc2"), width, inner);
    }
    list.norm("text_model.final_layer_norm", width);
    Ok(list.0)
}

struct Unet {
    channels: Vec<usize>,
    layers: usize,
    context: usize,
    linear_projection: bool,
    /// Channels of the time embedding.
    time: usize,
    down_attention: Vec<bool>,
    up_attention: Vec<bool>,
}

impl Unet {
    fn new(config: &Value) -> Result<Self> {
        let channels = numbers(config, "block_out_channels")?;
        let first = *channels.first().context("block_out_channels is empty")?;
        let unet = Self {
            layers: number(config, "layers_per_block")?,
            context: number(config, "cross_attention_dim")?,
            linear_projection: config.get("use_linear_projection").and_then(Value::as_bool).unwrap_or(false),
            time: 4 * first,
            down_attention: has_attention(config, "down_block_types", ["CrossAttnDownBlock2D", "DownBlock2D"])?,
            up_attention: has_attention(config, "up_block_types", ["CrossAttnUpBlock2D", "UpBlock2D"])?,
            channels,
        };
        if unet.down_attention.len() != unet.channels.len() || unet.up_attention.len() != unet.channels.len() {
            bail!("the configuration lists other numbers of blocks and of channels");
        }
        Ok(unet)
    }
}

fn has_attention(config: &Value, key: &str, [with, without]: [&str; 2]) -> Result<Vec<bool>> {
    let names = config.get(key).and_then(Value::as_array).with_context(|| format!("the configuration has no {key}"))?;
    let known = |name: &Value| match name.as_str() {
        Some(name) if name == with => Ok(true),
        Some(name) if name == without => Ok(false),
        _ => bail!("{key} holds {name}, whose layout is not known here"),
    };
    names.iter().map(known).collect()
}

/// `UNet2DConditionModel`.
pub fn unet(config: &Value) -> Result<Vec<Tensor>> {
    let unet = Unet::new(config)?;
    let mut list = List::default();
    let first = unet.time / 4;
    list.convolution("conv_in", first, number(config, "in_channels")?, 3);
    list.linear("time_embedding.linear_1", unet.time, first);
    list.linear("time_embedding.linear_2", unet.time, unet.time);

    // Channels of what the way down leaves for the way up.
    let mut skips = vec![first];
    let mut channels = first;
    for (index, (&outputs, &attention)) in unet.channels.iter().zip(&unet.down_attention).enumerate() {
        let path = format!("down_blocks.{index}");
        for layer in 0..unet.layers {
            list.resnet(&format!("{path}.resnets.{layer}"), channels, outputs, Some(unet.time));
            channels = outputs;
            if attention {
                list.spatial_transformer(&format!("{path}.attentions.{layer}"), channels, &unet);
            }
            skips.push(channels);
        }
        if index + 1 < unet.channels.len() {
            list.convolution(&format!("{path}.downsamplers.0.conv"), channels, channels, 3);
            skips.push(channels);
        }
    }

    list.resnet("mid_block.resnets.0", channels, channels, Some(unet.time));
    list.spatial_transformer("mid_block.attentions.0", channels, &unet);
    list.resnet("mid_block.resnets.1", channels, channels, Some(unet.time));

    for (index, (&outputs, &attention)) in unet.channels.iter().rev().zip(&unet.up_attention).enumerate() {
        let path = format!("up_blocks.{index}");
        for layer in 0..=unet.layers {
            let skip = skips.pop().context("the way up has more layers than the way down")?;
            list.resnet(&format!("{path}.resnets.{layer}"), channels + skip, outputs, Some(unet.time));
            channels = outputs;
            if attention {
                list.spatial_transformer(&format!("{path}.attentions.{layer}"), channels, &unet);
            }
        }
        if index + 1 < unet.channels.len() {
            list.convolution(&format!("{path}.upsamplers.0.conv"), channels, channels, 3);
        }
    }
    list.norm("conv_norm_out", channels);
    list.convolution("conv_out", number(config, "out_channels")?, channels, 3);
    Ok(list.0)
}

/// `AutoencoderKL`.
pub fn vae(config: &Value) -> Result<Vec<Tensor>> {
    let widths = numbers(config, "block_out_channels")?;
    let layers = number(config, "layers_per_block")?;
    let latent = number(config, "latent_channels")?;
    let first = *widths.first().context("block_out_channels is empty")?;
    let last = *widths.last().context("block_out_channels is empty")?;
    let mut list = List::default();

    list.convolution("encoder.conv_in", first, number(config, "in_channels")?, 3);
    let mut channels = first;
    for (index, &outputs) in widths.iter().enumerate() {
        let path = format!("encoder.down_blocks.{index}");
        for layer in 0..layers {
            list.resnet(&format!("{path}.resnets.{layer}"), channels, outputs, None);
            channels = outputs;
        }
        if index + 1 < widths.len() {
            list.convolution(&format!("{path}.downsamplers.0.conv"), channels, channels, 3);
        }
    }
    vae_middle(&mut list, "encoder", last);
    list.norm("encoder.conv_norm_out", last);
    list.convolution("encoder.conv_out", 2 * latent, last, 3);
    list.convolution("quant_conv", 2 * latent, 2 * latent, 1);

    list.convolution("post_quant_conv", latent, latent, 1);
    list.convolution("decoder.conv_in", last, latent, 3);
    vae_middle(&mut list, "decoder", last);
    channels = last;
    for (index, &outputs) in widths.iter().rev().enumerate() {
        let path = format!("decoder.up_blocks.{index}");
        for layer in 0..=layers {
            list.resnet(&format!("{path}.resnets.{layer}"), channels, outputs, None);
            channels = outputs;
        }
        if index + 1 < widths.len() {
            list.convolution(&format!("{path}.upsamplers.0.conv"), channels, channels, 3);
        }
    }
    list.norm("decoder.conv_norm_out", first);
    list.convolution("decoder.conv_out", number(config, "out_channels")?, first, 3);
    Ok(list.0)
}

fn vae_middle(list: &mut List, part: &str, channels: usize) {
    list.resnet(&format!("{part}.mid_block.resnets.0"), channels, channels, None);
    let path = format!("{part}.mid_block.attentions.0");
    list.norm(&format!("{path}.group_norm"), channels);
    for projection in ["to_q", "to_k", "to_v", "to_out.0"] {
        list.linear(&format!("{path}.{projection}"), channels, channels);
    }
    list.resnet(&format!("{part}.mid_block.resnets.1"), channels, channels, None);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::{Path, PathBuf};

    use serde_json::Value;

    use super::{Result, Tensor, clip_text, unet, vae};
    use crate::process::root;
    use crate::synth::stock::Stock;

    type Shapes = BTreeMap<String, Vec<usize>>;

    fn constructed(tensors: Vec<Tensor>) -> Shapes {
        tensors.into_iter().map(|tensor| (tensor.name, tensor.shape)).collect()
    }

    /// Names and shapes in the only safetensors file of a folder.
    fn stored(folder: &Path) -> Shapes {
        let file = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.extension().is_some_and(|extension| extension == "safetensors"))
            .unwrap();
        let bytes = fs::read(file).unwrap();
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header: BTreeMap<String, Value> = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
        header
            .into_iter()
            .filter(|(name, _)| name != "__metadata__")
            .map(|(name, entry)| (name, serde_json::from_value(entry["shape"].clone()).unwrap()))
            .collect()
    }

    /// The reference's own small models have the same layout under their own configurations.
    #[test]
    fn layouts_equal_what_diffusers_wrote() {
        let golden = std::env::var_os("DARKROOM_GOLDEN").map_or_else(|| root().join("../shared/golden"), PathBuf::from);
        type Layout = fn(&Value) -> Result<Vec<Tensor>>;
        let parts: [(&str, Layout); 3] = [("unet", unet), ("vae", vae), ("text_encoder", clip_text)];
        for family in ["sd15", "sd21", "sd_turbo"] {
            for (part, layout) in parts {
                let folder = golden.join(family).join("model").join(part);
                let config = serde_json::from_slice(&fs::read(folder.join("config.json")).unwrap()).unwrap();
                let constructed = constructed(layout(&config).unwrap());
                assert!(constructed == stored(&folder), "{family} {part}");
            }
        }
    }

    /// Weights in all, as published for the three networks.
    #[test]
    fn full_sizes_are_the_published_ones() {
        let count = |tensors: Vec<Tensor>| tensors.iter().map(Tensor::elements).sum::<usize>();
        for (model, unet_weights, text_weights) in [
            ("sd15", 859_520_964, 123_060_480),
            ("sd21", 865_910_724, 340_387_840),
            ("sd-turbo", 865_910_724, 340_387_840),
        ] {
            let stock = Stock::named(model).unwrap();
            assert_eq!(count(unet(&stock.unet).unwrap()), unet_weights, "{model}");
            assert_eq!(count(vae(&stock.vae).unwrap()), 83_653_863, "{model}");
            assert_eq!(count(clip_text(&stock.text_encoder).unwrap()), text_weights, "{model}");
        }
    }
}
