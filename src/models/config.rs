//! The parts of `config.json` files that decide a network's shape, with the defaults of the classes that read them.
//!
//! Decision: unknown keys are ignored, but every key that would change the computation and that we do not implement is
//! read and refused by name. Rejected: reading only what we know, which draws wrong pictures from newer models.

use serde::Deserialize;
use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};

/// One number for all levels, or one for each.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(untagged)]
pub enum PerLevel {
    Same(usize),
    Each(Vec<usize>),
}

impl PerLevel {
    /// The value of level `index`, counted from the highest resolution.
    pub fn level(&self, index: usize) -> Option<usize> {
        match self {
            Self::Same(value) => Some(*value),
            Self::Each(values) => values.get(index).copied(),
        }
    }
}

/// `UNet2DConditionModel` (diffusers `models/unets/unet_2d_condition.py`).
#[derive(Clone, Debug, Deserialize)]
pub struct UnetConfig {
    #[serde(default)]
    pub sample_size: Option<Value>,
    #[serde(default = "four")]
    pub in_channels: usize,
    #[serde(default = "four")]
    pub out_channels: usize,
    #[serde(default = "unet_down_blocks")]
    pub down_block_types: Vec<String>,
    #[serde(default = "unet_mid_block")]
    pub mid_block_type: Option<String>,
    #[serde(default = "unet_up_blocks")]
    pub up_block_types: Vec<String>,
    #[serde(default = "unet_channels")]
    pub block_out_channels: Vec<usize>,
    #[serde(default = "two_per_level")]
    pub layers_per_block: PerLevel,
    #[serde(default = "one_per_level")]
    pub transformer_layers_per_block: PerLevel,
    #[serde(default = "thirty_two")]
    pub norm_num_groups: usize,
    #[serde(default = "unet_norm_epsilon")]
    pub norm_eps: f32,
    #[serde(default = "cross_attention_1280")]
    pub cross_attention_dim: PerLevel,
    /// The number of heads, by an old mistake of naming that every published file keeps.
    #[serde(default = "eight_per_level")]
    pub attention_head_dim: PerLevel,
    #[serde(default)]
    pub num_attention_heads: Option<PerLevel>,
    #[serde(default)]
    pub use_linear_projection: bool,
    #[serde(default = "yes")]
    pub flip_sin_to_cos: bool,
    #[serde(default)]
    pub freq_shift: f32,
    #[serde(default = "one")]
    pub downsample_padding: usize,
    #[serde(flatten)]
    pub others: serde_json::Map<String, Value>,
}

/// Values of keys for which the plain network is what we implement; anything else is refused.
const UNET_PLAIN: &[(&str, &[&str])] = &[
    ("act_fn", &["\"silu\"", "\"swish\""]),
    ("addition_embed_type", &["null"]),
    ("attention_type", &["\"default\""]),
    ("center_input_sample", &["false"]),
    ("class_embed_type", &["null"]),
    ("class_embeddings_concat", &["false"]),
    ("conv_in_kernel", &["3"]),
    ("conv_out_kernel", &["3"]),
    ("cross_attention_norm", &["null"]),
    ("dual_cross_attention", &["false"]),
    ("encoder_hid_dim", &["null"]),
    ("encoder_hid_dim_type", &["null"]),
    ("mid_block_only_cross_attention", &["null", "false"]),
    ("mid_block_scale_factor", &["1", "1.0"]),
    ("num_class_embeds", &["null"]),
    ("only_cross_attention", &["false"]),
    ("resnet_out_scale_factor", &["1", "1.0"]),
    ("resnet_skip_time_act", &["false"]),
    ("resnet_time_scale_shift", &["\"default\""]),
    ("reverse_transformer_layers_per_block", &["null"]),
    ("time_cond_proj_dim", &["null"]),
    ("time_embedding_act_fn", &["null"]),
    ("time_embedding_dim", &["null"]),
    ("time_embedding_type", &["\"positional\""]),
    ("timestep_post_act", &["null"]),
];

impl UnetConfig {
    pub fn check(&self) -> Result<()> {
        plain("UNet2DConditionModel", &self.others, UNET_PLAIN)?;
        let levels = self.block_out_channels.len();
        let complete = |values: &PerLevel| values.level(levels.wrapping_sub(1)).is_some();
        let lists =
            [&self.layers_per_block, &self.transformer_layers_per_block, &self.cross_attention_dim, self.heads()];
        let consistent = levels > 0
            && self.down_block_types.len() == levels
            && self.up_block_types.len() == levels
            && lists.into_iter().all(complete)
            && self.norm_num_groups > 0
            && self.block_out_channels.iter().all(|&channels| channels > 0 && channels % self.norm_num_groups == 0);
        if consistent {
            Ok(())
        } else {
            Err(Error::new(ErrorKind::Malformed, "unet/config.json: its lists do not fit each other"))
        }
    }

    /// Attention heads by level.
    pub fn heads(&self) -> &PerLevel {
        self.num_attention_heads.as_ref().unwrap_or(&self.attention_head_dim)
    }

    /// Height and width of the latent that the model was trained for.
    pub fn latent_size(&self) -> (usize, usize) {
        let number = |value: &Value| value.as_u64().map(|value| value as usize);
        match &self.sample_size {
            Some(Value::Array(values)) => {
                let mut sizes = values.iter().filter_map(number);
                let height = sizes.next().unwrap_or(64);
                (height, sizes.next().unwrap_or(height))
            }
            Some(value) => number(value).map_or((64, 64), |size| (size, size)),
            None => (64, 64),
        }
    }
}

/// `AutoencoderKL` (diffusers `models/autoencoders/autoencoder_kl.py`).
#[derive(Clone, Debug, Deserialize)]
pub struct VaeConfig {
    #[serde(default = "three")]
    pub in_channels: usize,
    #[serde(default = "three")]
    pub out_channels: usize,
    #[serde(default = "vae_down_blocks")]
    pub down_block_types: Vec<String>,
    #[serde(default = "vae_up_blocks")]
    pub up_block_types: Vec<String>,
    #[serde(default = "vae_channels")]
    pub block_out_channels: Vec<usize>,
    #[serde(default = "one")]
    pub layers_per_block: usize,
    #[serde(default = "four")]
    pub latent_channels: usize,
    #[serde(default = "thirty_two")]
    pub norm_num_groups: usize,
    #[serde(default = "vae_scaling_factor")]
    pub scaling_factor: f32,
    #[serde(default)]
    pub shift_factor: Option<f32>,
    #[serde(default)]
    pub force_upcast: Option<bool>,
    #[serde(default = "yes")]
    pub use_quant_conv: bool,
    #[serde(default = "yes")]
    pub use_post_quant_conv: bool,
    #[serde(default = "yes")]
    pub mid_block_add_attention: bool,
    #[serde(flatten)]
    pub others: serde_json::Map<String, Value>,
}

const VAE_PLAIN: &[(&str, &[&str])] =
    &[("act_fn", &["\"silu\"", "\"swish\""]), ("latents_mean", &["null"]), ("latents_std", &["null"])];

impl VaeConfig {
    pub fn check(&self) -> Result<()> {
        plain("AutoencoderKL", &self.others, VAE_PLAIN)?;
        let levels = self.block_out_channels.len();
        known_blocks("vae/config.json", &self.down_block_types, &["DownEncoderBlock2D"])?;
        known_blocks("vae/config.json", &self.up_block_types, &["UpDecoderBlock2D"])?;
        let consistent = levels > 0
            && self.down_block_types.len() == levels
            && self.up_block_types.len() == levels
            && self.norm_num_groups > 0
            && self.scaling_factor != 0.0
            && self.block_out_channels.iter().all(|&channels| channels > 0 && channels % self.norm_num_groups == 0);
        if consistent {
            Ok(())
        } else {
            Err(Error::new(ErrorKind::Malformed, "vae/config.json: its lists do not fit each other"))
        }
    }

    /// Pixels per latent, along a side.
    pub fn pixels_per_latent(&self) -> usize {
        1 << (self.block_out_channels.len().clamp(1, 8) - 1)
    }
}

/// `CLIPTextModel` (transformers `models/clip/configuration_clip.py`).
#[derive(Clone, Debug, Deserialize)]
pub struct ClipTextConfig {
    #[serde(default = "clip_vocabulary")]
    pub vocab_size: usize,
    #[serde(default = "clip_hidden")]
    pub hidden_size: usize,
    #[serde(default = "clip_intermediate")]
    pub intermediate_size: usize,
    #[serde(default = "twelve")]
    pub num_hidden_layers: usize,
    #[serde(default = "eight")]
    pub num_attention_heads: usize,
    #[serde(default = "clip_positions")]
    pub max_position_embeddings: usize,
    #[serde(default = "quick_gelu")]
    pub hidden_act: String,
    #[serde(default = "clip_epsilon")]
    pub layer_norm_eps: f32,
    #[serde(default)]
    pub eos_token_id: Option<u32>,
}

impl ClipTextConfig {
    pub fn check(&self) -> Result<()> {
        let consistent = self.num_attention_heads > 0
            && self.hidden_size > 0
            && self.hidden_size.is_multiple_of(self.num_attention_heads)
            && self.max_position_embeddings > 0
            && self.vocab_size > 0;
        if consistent {
            Ok(())
        } else {
            Err(Error::new(ErrorKind::Malformed, "text_encoder/config.json: its sizes do not fit each other"))
        }
    }
}

/// Refuses block types that are not in `known`.
pub fn known_blocks(file: &str, types: &[String], known: &[&str]) -> Result<()> {
    match types.iter().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(Error::new(
            ErrorKind::Unsupported,
            format!("{file}: block type {name} is not supported (known: {})", known.join(", ")),
        )),
    }
}

fn plain(class: &str, others: &serde_json::Map<String, Value>, accepted: &[(&str, &[&str])]) -> Result<()> {
    for (key, values) in accepted {
        let Some(value) = others.get(*key) else { continue };
        let text = value.to_string();
        if !values.contains(&text.as_str()) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("{class} with {key} = {text} is not supported (only {})", values.join(" or ")),
            ));
        }
    }
    Ok(())
}

fn one() -> usize {
    1
}
fn three() -> usize {
    3
}
fn four() -> usize {
    4
}
fn eight() -> usize {
    8
}
fn twelve() -> usize {
    12
}
fn thirty_two() -> usize {
    32
}
fn yes() -> bool {
    true
}
fn one_per_level() -> PerLevel {
    PerLevel::Same(1)
}
fn two_per_level() -> PerLevel {
    PerLevel::Same(2)
}
fn eight_per_level() -> PerLevel {
    PerLevel::Same(8)
}
fn cross_attention_1280() -> PerLevel {
    PerLevel::Same(1280)
}
fn unet_norm_epsilon() -> f32 {
    1e-5
}
fn unet_channels() -> Vec<usize> {
    vec![320, 640, 1280, 1280]
}
fn unet_down_blocks() -> Vec<String> {
    ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"].map(String::from).to_vec()
}
fn unet_mid_block() -> Option<String> {
    Some("UNetMidBlock2DCrossAttn".into())
}
fn unet_up_blocks() -> Vec<String> {
    ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"].map(String::from).to_vec()
}
fn vae_channels() -> Vec<usize> {
    vec![64]
}
fn vae_down_blocks() -> Vec<String> {
    vec!["DownEncoderBlock2D".into()]
}
fn vae_up_blocks() -> Vec<String> {
    vec!["UpDecoderBlock2D".into()]
}
fn vae_scaling_factor() -> f32 {
    0.18215
}
fn clip_vocabulary() -> usize {
    49408
}
fn clip_hidden() -> usize {
    512
}
fn clip_intermediate() -> usize {
    2048
}
fn clip_positions() -> usize {
    77
}
fn clip_epsilon() -> f32 {
    1e-5
}
fn quick_gelu() -> String {
    "quick_gelu".into()
}
