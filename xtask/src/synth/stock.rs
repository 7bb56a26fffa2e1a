//! The configurations of published checkpoints, as their repositories hold them.

use anyhow::{Result, bail};
use serde_json::{Value, json};

/// One checkpoint's configurations.
pub struct Stock {
    pub text_encoder: Value,
    pub unet: Value,
    pub vae: Value,
    pub scheduler: Value,
    /// The tokenizer's padding token.
    pub padding: &'static str,
}

impl Stock {
    /// `sd15`, `sd21` (the 768-pixel one that predicts velocities) or `sd-turbo`.
    pub fn named(model: &str) -> Result<Self> {
        Ok(match model {
            "sd15" => sd15(),
            "sd21" => sd21(),
            "sd-turbo" => sd_turbo(),
            other => bail!("there is no stock model {other}: choose sd15, sd21 or sd-turbo"),
        })
    }

    pub fn model_index(&self) -> Value {
        json!({
            "_class_name": "StableDiffusionPipeline",
            "_diffusers_version": "0.35.2",
            "feature_extractor": [null, null],
            "image_encoder": [null, null],
            "requires_safety_checker": false,
            "safety_checker": [null, null],
            "scheduler": ["diffusers", self.scheduler.get("_class_name")],
            "text_encoder": ["transformers", "CLIPTextModel"],
            "tokenizer": ["transformers", "CLIPTokenizer"],
            "unet": ["diffusers", "UNet2DConditionModel"],
            "vae": ["diffusers", "AutoencoderKL"],
        })
    }
}

/// Stable Diffusion 1.5: <https://huggingface.co/stable-diffusion-v1-5/stable-diffusion-v1-5>.
fn sd15() -> Stock {
    Stock {
        text_encoder: text_encoder(768, 12, 12, "quick_gelu", 768),
        unet: unet(json!(8), 768, false, 64),
        vae: vae(512),
        scheduler: json!({
            "_class_name": "PNDMScheduler",
            "_diffusers_version": "0.6.0",
            "beta_end": 0.012,
            "beta_schedule": "scaled_linear",
            "beta_start": 0.00085,
            "clip_sample": false,
            "num_train_timesteps": 1000,
            "set_alpha_to_one": false,
            "skip_prk_steps": true,
            "steps_offset": 1,
            "trained_betas": null,
        }),
        padding: "<|endoftext|>",
    }
}

/// Stable Diffusion 2.1: <https://huggingface.co/stabilityai/stable-diffusion-2-1>.
fn sd21() -> Stock {
    Stock {
        text_encoder: text_encoder(1024, 23, 16, "gelu", 512),
        unet: unet(json!([5, 10, 20, 20]), 1024, true, 96),
        vae: vae(768),
        scheduler: json!({
            "_class_name": "DDIMScheduler",
            "_diffusers_version": "0.8.0",
            "beta_end": 0.012,
            "beta_schedule": "scaled_linear",
            "beta_start": 0.00085,
            "clip_sample": false,
            "num_train_timesteps": 1000,
            "prediction_type": "v_prediction",
            "set_alpha_to_one": false,
            "skip_prk_steps": true,
            "steps_offset": 1,
            "trained_betas": null,
        }),
        padding: "!",
    }
}

/// SD-Turbo: <https://huggingface.co/stabilityai/sd-turbo>.
fn sd_turbo() -> Stock {
    Stock {
        unet: unet(json!([5, 10, 20, 20]), 1024, true, 64),
        vae: vae(768),
        scheduler: json!({
            "_class_name": "EulerDiscreteScheduler",
            "_diffusers_version": "0.24.0.dev0",
            "beta_end": 0.012,
            "beta_schedule": "scaled_linear",
            "beta_start": 0.00085,
            "clip_sample": false,
            "interpolation_type": "linear",
            "num_train_timesteps": 1000,
            "prediction_type": "epsilon",
            "sample_max_value": 1.0,
            "set_alpha_to_one": false,
            "sigma_max": null,
            "sigma_min": null,
            "skip_prk_steps": true,
            "steps_offset": 1,
            "timestep_spacing": "trailing",
            "timestep_type": "discrete",
            "trained_betas": null,
            "use_karras_sigmas": false,
        }),
        ..sd21()
    }
}

fn text_encoder(width: usize, layers: usize, heads: usize, activation: &str, projection: usize) -> Value {
    json!({
        "architectures": ["CLIPTextModel"],
        "attention_dropout": 0.0,
        "bos_token_id": 0,
        "eos_token_id": 2,
        "hidden_act": activation,
        "hidden_size": width,
        "initializer_factor": 1.0,
        "initializer_range": 0.02,
        "intermediate_size": 4 * width,
        "layer_norm_eps": 1e-5,
        "max_position_embeddings": 77,
        "model_type": "clip_text_model",
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "pad_token_id": 1,
        "projection_dim": projection,
        "vocab_size": 49408,
    })
}

/// `heads` is `attention_head_dim`, which in this class counts heads.
fn unet(heads: Value, context: usize, linear_projection: bool, size: usize) -> Value {
    json!({
        "_class_name": "UNet2DConditionModel",
        "_diffusers_version": "0.35.2",
        "act_fn": "silu",
        "attention_head_dim": heads,
        "block_out_channels": [320, 640, 1280, 1280],
        "center_input_sample": false,
        "cross_attention_dim": context,
        "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
        "downsample_padding": 1,
        "dual_cross_attention": false,
        "flip_sin_to_cos": true,
        "freq_shift": 0,
        "in_channels": 4,
        "layers_per_block": 2,
        "mid_block_scale_factor": 1,
        "norm_eps": 1e-5,
        "norm_num_groups": 32,
        "only_cross_attention": false,
        "out_channels": 4,
        "sample_size": size,
        "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
        "use_linear_projection": linear_projection,
    })
}

fn vae(size: usize) -> Value {
    json!({
        "_class_name": "AutoencoderKL",
        "_diffusers_version": "0.35.2",
        "act_fn": "silu",
        "block_out_channels": [128, 256, 512, 512],
        "down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D"],
        "in_channels": 3,
        "latent_channels": 4,
        "layers_per_block": 2,
        "norm_num_groups": 32,
        "out_channels": 3,
        "sample_size": size,
        "scaling_factor": 0.18215,
        "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"],
    })
}
