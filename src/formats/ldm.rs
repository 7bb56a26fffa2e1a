//! Names of single-file checkpoints (the layout of Stable Diffusion's original code, "LDM") as those of `diffusers`.
//!
//! Decision: the places of the blocks are read off the names themselves (which block has a down- or upsampler), so that
//! one map serves Stable Diffusion 1, 2 and XL of any depth, in safetensors and GGUF. Rejected: a table per model.
//!
//! Source: the modules `openaimodel.py` and `model.py` of <https://github.com/CompVis/latent-diffusion>, and the text
//! transformer of <https://github.com/mlfoundations/open_clip>.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, ErrorKind, Result};

/// A network within a single file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Unet,
    Vae,
    /// CLIP of Stable Diffusion 1 and 2, and the first of XL.
    TextEncoder,
    /// OpenCLIP of Stable Diffusion XL.
    TextEncoder2,
}

impl Part {
    /// The folder name that `diffusers` uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unet => "unet",
            Self::Vae => "vae",
            Self::TextEncoder => "text_encoder",
            Self::TextEncoder2 => "text_encoder_2",
        }
    }
}

/// Where a tensor comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The name in the file.
    pub name: String,
    pub piece: Piece,
}

/// How much of a stored tensor is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    Whole,
    /// The first, second or last third of the rows (0, 1, 2): query, key and value are stored as one.
    Third(usize),
    /// Rows and columns are exchanged.
    Transposed,
}

/// Whether the names are those of a single-file checkpoint, or of its UNet alone.
pub fn is_ldm(names: &BTreeSet<&str>) -> bool {
    unet_prefix(names).is_some() || has(names, "first_stage_model.")
}

/// The tensors of a part under the names that `diffusers` gives them. Names that belong to no known layer (averages,
/// schedules) are left out. `NotFound` where the file lacks the part.
pub fn tensors(names: &BTreeSet<&str>, part: Part) -> Result<BTreeMap<String, Origin>> {
    let found = match part {
        Part::Unet => unet_prefix(names).map(|prefix| unet(names, prefix)),
        Part::Vae => Some(vae(names, "first_stage_model.")),
        Part::TextEncoder => Some(text_encoder(
            names,
            &["cond_stage_model.transformer.", "conditioner.embedders.0.transformer."],
            &["cond_stage_model.model."],
        )),
        // The refiner of XL has this one alone, and so in the first place.
        Part::TextEncoder2 => {
            Some(text_encoder(names, &[], &["conditioner.embedders.1.model.", "conditioner.embedders.0.model."]))
        }
    };
    found
        .filter(|tensors| !tensors.is_empty())
        .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("the single-file checkpoint holds no {}", part.name())))
}

/// A UNet published alone may come without the outer name.
fn unet_prefix(names: &BTreeSet<&str>) -> Option<&'static str> {
    ["model.diffusion_model.", ""].into_iter().find(|prefix| has(names, &format!("{prefix}input_blocks.0.0.")))
}

fn has(names: &BTreeSet<&str>, prefix: &str) -> bool {
    names.range(prefix..).next().is_some_and(|name| name.starts_with(prefix))
}

/// The names that begin with a prefix, with and without it.
fn under<'a>(names: &'a BTreeSet<&'a str>, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    names.range(prefix..).map_while(move |name| Some((*name, name.strip_prefix(prefix)?)))
}

fn whole(name: &str) -> Origin {
    Origin { name: name.to_owned(), piece: Piece::Whole }
}

fn unet(names: &BTreeSet<&str>, prefix: &str) -> BTreeMap<String, Origin> {
    let down = places(names, &format!("{prefix}input_blocks"), 1, &["0.op."]);
    let up = places(names, &format!("{prefix}output_blocks"), 0, &["1.conv.", "2.conv."]);
    let renamed = under(names, prefix).filter_map(|(name, inner)| Some((unet_name(inner, &down, &up)?, whole(name))));
    renamed.collect()
}

/// Block and layer of every numbered module; the one with a sampler is the last of its block.
fn places(names: &BTreeSet<&str>, list: &str, first: usize, samplers: &[&str]) -> BTreeMap<usize, (usize, usize)> {
    let mut places = BTreeMap::new();
    let (mut block, mut layer) = (0, 0);
    for number in first.. {
        if !has(names, &format!("{list}.{number}.")) {
            break;
        }
        places.insert(number, (block, layer));
        if samplers.iter().any(|sampler| has(names, &format!("{list}.{number}.{sampler}"))) {
            (block, layer) = (block + 1, 0);
        } else {
            layer += 1;
        }
    }
    places
}

type Places = BTreeMap<usize, (usize, usize)>;

fn unet_name(inner: &str, down: &Places, up: &Places) -> Option<String> {
    let segments: Vec<&str> = inner.split('.').collect();
    Some(match segments.as_slice() {
        ["time_embed", "0", kind] => format!("time_embedding.linear_1.{kind}"),
        ["time_embed", "2", kind] => format!("time_embedding.linear_2.{kind}"),
        ["label_emb", "0", "0", kind] => format!("add_embedding.linear_1.{kind}"),
        ["label_emb", "0", "2", kind] => format!("add_embedding.linear_2.{kind}"),
        ["input_blocks", "0", "0", kind] => format!("conv_in.{kind}"),
        ["out", "0", kind] => format!("conv_norm_out.{kind}"),
        ["out", "2", kind] => format!("conv_out.{kind}"),
        ["middle_block", "0", layer @ ..] => format!("mid_block.resnets.0.{}", resnet_name(layer)?),
        ["middle_block", "1", layer @ ..] => format!("mid_block.attentions.0.{}", layer.join(".")),
        ["middle_block", "2", layer @ ..] => format!("mid_block.resnets.1.{}", resnet_name(layer)?),
        ["input_blocks", number, rest @ ..] => {
            let (block, layer) = down.get(&number.parse().ok()?)?;
            block_name(&format!("down_blocks.{block}"), *layer, "downsamplers", rest)?
        }
        ["output_blocks", number, rest @ ..] => {
            let (block, layer) = up.get(&number.parse().ok()?)?;
            block_name(&format!("up_blocks.{block}"), *layer, "upsamplers", rest)?
        }
        _ => return None,
    })
}

fn block_name(block: &str, layer: usize, sampler: &str, rest: &[&str]) -> Option<String> {
    Some(match rest {
        ["0", "op", kind] | ["1" | "2", "conv", kind] => format!("{block}.{sampler}.0.conv.{kind}"),
        ["0", inner @ ..] => format!("{block}.resnets.{layer}.{}", resnet_name(inner)?),
        ["1", inner @ ..] => format!("{block}.attentions.{layer}.{}", inner.join(".")),
        _ => return None,
    })
}

fn resnet_name(inner: &[&str]) -> Option<String> {
    let (layer, kind) = match inner {
        ["in_layers", "0", kind] => ("norm1", kind),
        ["in_layers", "2", kind] => ("conv1", kind),
        ["emb_layers", "1", kind] => ("time_emb_proj", kind),
        ["out_layers", "0", kind] => ("norm2", kind),
        ["out_layers", "3", kind] => ("conv2", kind),
        ["skip_connection", kind] => ("conv_shortcut", kind),
        _ => return None,
    };
    Some(format!("{layer}.{kind}"))
}

fn vae(names: &BTreeSet<&str>, prefix: &str) -> BTreeMap<String, Origin> {
    let levels = (0..).take_while(|level| has(names, &format!("{prefix}decoder.up.{level}."))).count();
    under(names, prefix).filter_map(|(name, inner)| Some((vae_name(inner, levels)?, whole(name)))).collect()
}

fn vae_name(inner: &str, levels: usize) -> Option<String> {
    let segments: Vec<&str> = inner.split('.').collect();
    Some(match segments.as_slice() {
        ["quant_conv" | "post_quant_conv", _] => inner.to_owned(),
        [side @ ("encoder" | "decoder"), rest @ ..] => match rest {
            ["conv_in" | "conv_out", _] => inner.to_owned(),
            ["norm_out", kind] => format!("{side}.conv_norm_out.{kind}"),
            ["mid", "block_1", layer @ ..] => format!("{side}.mid_block.resnets.0.{}", vae_resnet_name(layer)),
            ["mid", "block_2", layer @ ..] => format!("{side}.mid_block.resnets.1.{}", vae_resnet_name(layer)),
            ["mid", "attn_1", layer, kind] => {
                let layer = match *layer {
                    "norm" => "group_norm",
                    "q" => "to_q",
                    "k" => "to_k",
                    "v" => "to_v",
                    "proj_out" => "to_out.0",
                    _ => return None,
                };
                format!("{side}.mid_block.attentions.0.{layer}.{kind}")
            }
            ["down", level, "block", number, layer @ ..] => {
                format!("{side}.down_blocks.{level}.resnets.{number}.{}", vae_resnet_name(layer))
            }
            ["down", level, "downsample", "conv", kind] => {
                format!("{side}.down_blocks.{level}.downsamplers.0.conv.{kind}")
            }
            // The original counts the levels from the finest, diffusers in the order of work.
            ["up", level, "block", number, layer @ ..] => {
                let block = levels.checked_sub(level.parse::<usize>().ok()?.checked_add(1)?)?;
                format!("{side}.up_blocks.{block}.resnets.{number}.{}", vae_resnet_name(layer))
            }
            ["up", level, "upsample", "conv", kind] => {
                let block = levels.checked_sub(level.parse::<usize>().ok()?.checked_add(1)?)?;
                format!("{side}.up_blocks.{block}.upsamplers.0.conv.{kind}")
            }
            _ => return None,
        },
        _ => return None,
    })
}

fn vae_resnet_name(layer: &[&str]) -> String {
    layer.join(".").replace("nin_shortcut", "conv_shortcut")
}

/// A text encoder in the naming of `transformers`, or else in that of OpenCLIP.
fn text_encoder(names: &BTreeSet<&str>, transformers: &[&str], open_clip: &[&str]) -> BTreeMap<String, Origin> {
    if let Some(prefix) = transformers.iter().find(|prefix| has(names, prefix)) {
        // Early files lack the name of the inner module.
        return under(names, prefix)
            .map(|(name, inner)| match inner.strip_prefix("text_model.") {
                Some(_) => (inner.to_owned(), whole(name)),
                None => (format!("text_model.{inner}"), whole(name)),
            })
            .collect();
    }
    let prefix = open_clip.iter().find(|prefix| has(names, prefix));
    prefix
        .map(|prefix| under(names, prefix).flat_map(|(name, inner)| open_clip_names(name, inner)).collect())
        .unwrap_or_default()
}

fn open_clip_names(name: &str, inner: &str) -> Vec<(String, Origin)> {
    let one = |new: String| vec![(new, whole(name))];
    let segments: Vec<&str> = inner.split('.').collect();
    match segments.as_slice() {
        ["token_embedding", "weight"] => one("text_model.embeddings.token_embedding.weight".into()),
        ["positional_embedding"] => one("text_model.embeddings.position_embedding.weight".into()),
        ["ln_final", kind] => one(format!("text_model.final_layer_norm.{kind}")),
        ["text_projection"] => {
            vec![("text_projection.weight".into(), Origin { name: name.to_owned(), piece: Piece::Transposed })]
        }
        ["transformer", "resblocks", number, layer @ ..] => {
            let block = format!("text_model.encoder.layers.{number}");
            match layer {
                ["ln_1", kind] => one(format!("{block}.layer_norm1.{kind}")),
                ["ln_2", kind] => one(format!("{block}.layer_norm2.{kind}")),
                ["mlp", "c_fc", kind] => one(format!("{block}.mlp.fc1.{kind}")),
                ["mlp", "c_proj", kind] => one(format!("{block}.mlp.fc2.{kind}")),
                ["attn", "out_proj", kind] => one(format!("{block}.self_attn.out_proj.{kind}")),
                ["attn", joined @ ("in_proj_weight" | "in_proj_bias")] => {
                    let kind = joined.trim_start_matches("in_proj_");
                    let third = |(index, projection)| {
                        let origin = Origin { name: name.to_owned(), piece: Piece::Third(index) };
                        (format!("{block}.self_attn.{projection}.{kind}"), origin)
                    };
                    ["q_proj", "k_proj", "v_proj"].into_iter().enumerate().map(third).collect()
                }
                _ => Vec::new(),
            }
        }
        _ => Vec::new(),
    }
}
