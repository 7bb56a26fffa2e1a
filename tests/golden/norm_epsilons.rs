//! Single forward calls of tiny networks whose activations are so small that the epsilons of the norms show.

use darkroom::models::checkpoint::Checkpoint;
use darkroom::models::clip::ClipTextModel;
use darkroom::models::loader::Loader;
use darkroom::models::precision::Precision;
use darkroom::models::unet::Unet;
use darkroom::models::vae::{VaeDecoder, VaeEncoder};
use darkroom::pipeline::observer::Unwatched;
use darkroom::pipeline::stable_diffusion::config;
use darkroom::source::DirectoryFolder;
use pollster::block_on;

use crate::case::Case;
use crate::networks::{Bench, call_bar};
use crate::pooling::pooled;
use crate::report::{Report, Way};
use crate::{Result, Settings};

pub fn run(settings: &Settings, case: &Case, report: &mut Report) -> Result<()> {
    let class = case.text("class")?;
    if !["AutoencoderKL", "CLIPTextModel", "UNet2DConditionModel"].contains(&class) {
        report.unsupported(&format!("the engine has no {class} yet"));
        return Ok(());
    }
    let bench = Bench::new(settings)?;
    let folder = DirectoryFolder::new(case.path("model")?);
    let checkpoint = block_on(Checkpoint::open(&folder, ""))?;
    let loader = Loader::new(&*bench.gpu, &checkpoint, Precision::F32, &Unwatched);
    let bar = call_bar(settings);
    let mut compare = |name: &str, actual: &[f32]| -> Result<()> {
        let expected = case.tensor(name)?;
        report.compare(name, Way::Call, &expected.shape, (&expected.values, actual), bar);
        Ok(())
    };
    match class {
        "AutoencoderKL" => {
            let encoder = block_on(VaeEncoder::load(block_on(config(&folder, "config.json"))?, &loader))?;
            compare("moments", &bench.encode(&encoder, case.tensor("input.image")?)?)?;
            let decoder = block_on(VaeDecoder::load(block_on(config(&folder, "config.json"))?, &loader))?;
            compare("output", &bench.decode(&decoder, case.tensor("input.latents")?)?)
        }
        "CLIPTextModel" => {
            let model = block_on(ClipTextModel::load(block_on(config(&folder, "config.json"))?, &loader))?;
            let ids = case.tensor("input.input_ids")?;
            let hidden = bench.text(&model, ids)?;
            compare("last_hidden_state", &hidden)?;
            compare("pooler_output", &pooled(&model.config, ids, &hidden))
        }
        _ => {
            let unet = block_on(Unet::load(block_on(config(&folder, "config.json"))?, &loader))?;
            let timesteps = case.tensor("input.timestep")?.floats();
            let context = case.tensor("input.encoder_hidden_states")?;
            compare("output", &bench.unet(&unet, case.tensor("input.sample")?, &timesteps, context)?)
        }
    }
}
