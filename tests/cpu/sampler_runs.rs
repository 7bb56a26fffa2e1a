//! Samplers inside whole pipelines of `diffusers`: the stored outputs of the networks are fed back, so that schedules,
//! late starts (img2img), noising and the order of draws are compared without running a network.

use crate::golden::{Case, each_relative_error, golden, relative_error};
use darkroom::sampler::options::Schedule;
use darkroom::sampler::{Options, Register, Registers, Sampler, SchedulerConfig, build};

/// Of one step, relative to the largest latent: the reference rounds each operation to f32.
const STEP: f64 = 1e-6;

const FAMILIES: [&str; 11] =
    ["ddpm", "dit", "flux", "lcm", "pixart", "sd15", "sd15_inpaint", "sd21", "sd3", "sd_turbo", "sdxl"];

/// Their latents are mixed with the masked picture's between the steps.
const MIXED: [&str; 2] = ["inpaint4_ddim", "inpaint4_euler_a_s075"];

fn sampler(case: &Case) -> Sampler {
    let call = &case.description["call"];
    let mut config = SchedulerConfig::from_json(&case.description["scheduler"].to_string()).unwrap();
    if let Some(original) = call["original_inference_steps"].as_u64() {
        config = config.with("original_inference_steps", original);
    }
    let steps = call["num_inference_steps"].as_u64().unwrap() as usize;
    let mut options = Options {
        eta: call["eta"].as_f64(),
        strength: call["strength"].as_f64(),
        clipped_noise: call["use_clipped_model_output"].as_bool().unwrap_or(false),
        ..Options::new(steps)
    };
    if case.description["pipeline_class"].as_str().unwrap().starts_with("Flux") {
        let sigma = |index: usize| 1.0 - index as f64 / steps as f64;
        options.schedule = Schedule::Sigmas((0..steps).map(sigma).collect());
        options.mu = config.dynamic_shift(case.shape("latents.initial").unwrap()[1]).unwrap();
    }
    build(&config, &options).unwrap_or_else(|error| panic!("{}: {error}", case.name))
}

/// The output of the network in a call, after guidance.
fn output(case: &Case, call: usize, elements: usize) -> Vec<f64> {
    let names = ["step.#.model_output", "unet.#.output", "transformer.#.output"];
    let tensors = names.map(|name| case.tensor(&name.replace('#', &call.to_string())));
    let output = tensors.into_iter().flatten().next();
    let mut output = output.unwrap_or_else(|| panic!("{}: no output of call {call}", case.name));
    // A learned variance follows the output proper.
    output.truncate(elements);
    output
}

fn single(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&value| value as f32).collect()
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}

fn replay(family: &str, case: &Case) {
    let place = format!("{family}/{}", case.name);
    let sampler = sampler(case);
    let timesteps = case.tensor("timesteps").unwrap();
    let error = each_relative_error(sampler.timesteps(), &timesteps, 10.0);
    assert!(error <= 1e-6, "{place}: timesteps {:?} for {timesteps:?}", sampler.timesteps());
    if let Some(sigmas) = case.tensor("sigmas").filter(|_| !sampler.sigmas().is_empty()) {
        assert!(each_relative_error(sampler.sigmas(), &sigmas, 1e-9) <= 1e-6, "{place}: sigmas");
    }
    let steps = case.names().iter().filter(|name| name.starts_with("step.") && name.ends_with(".latents")).count();
    assert_eq!(sampler.calls().len(), steps, "{place}: number of calls");

    let mut draws = case.description["rng_draws"].as_array().unwrap().iter().filter_map(|draw| {
        let in_step = draw["drawn_in"].as_str().unwrap().contains(".schedulers.");
        in_step.then(|| case.tensor(draw["tensor"].as_str().unwrap()).unwrap())
    });
    let initial = case.tensor("latents.initial").unwrap();
    let mut worst = 0f64;
    let mut registers = Registers::new(initial.len(), sampler.memories());
    registers.set(Register::Sample, &single(&initial)).unwrap();
    for (index, call) in sampler.calls().iter().enumerate() {
        let timestep = case.tensor(&format!("step.{index}.timestep")).unwrap();
        assert!(each_relative_error(&[call.timestep], &timestep, 10.0) <= 1e-6, "{place}: timestep of step {index}");
        registers.set(Register::ModelOutput, &single(&output(case, index, initial.len()))).unwrap();
        if call.draws_noise {
            let mut noise = Vec::new();
            // One draw for all pictures, or one for each.
            while noise.len() < initial.len() {
                noise.extend(draws.next().unwrap_or_else(|| panic!("{place}: step {index} draws too often")));
            }
            registers.set(Register::Noise, &single(&noise)).unwrap();
        }
        registers.apply(&call.step).unwrap();
        let latents = wide(registers.get(Register::Sample).unwrap());
        let expected = case.tensor(&format!("step.{index}.latents")).unwrap();
        let error = relative_error(&latents, &expected);
        worst = worst.max(error);
        assert!(error <= STEP, "{place}: latents of step {index} are off by {error:.2e}");
        // Stored outputs do not answer to a sample that drifts, so each step starts from the stored one.
        let mut next = single(&expected);
        if family == "dit" && case.description["call"]["guidance_scale"].as_f64().unwrap() > 1.0 {
            // Its pipeline steps both halves of the guidance batch, and goes on with the first.
            let half = next.len() / 2;
            next.copy_within(..half, half);
        }
        registers.set(Register::Sample, &next).unwrap();
    }
    println!("{place:50} {worst:.1e}");
    assert_eq!(draws.count(), 0, "{place}: draws that no step made");
}

#[test]
fn pipelines_step_as_the_reference() {
    let mut replayed = 0;
    for family in FAMILIES {
        for case in Case::all(family).iter().filter(|case| !MIXED.contains(&case.name.as_str())) {
            replay(family, case);
            replayed += 1;
        }
    }
    assert!(replayed >= 80, "only {replayed} cases");
}

/// Img2img: the first sample is the encoded picture, noised to the level of the first call.
#[test]
fn pictures_are_noised_as_in_the_reference() {
    let cases = [
        ("sd15", "img2img_ddim"),
        ("sd15", "img2img_dpmpp_2m"),
        ("sd15", "img2img_euler"),
        ("sd15", "img2img_pndm_full"),
        ("sd_turbo", "img2img_steps2_s05"),
        ("sdxl", "img2img_euler"),
    ];
    for (family, name) in cases {
        let case = Case::open(family, name);
        let folder = golden(&format!("{family}/cases/{name}")).join(case.description["model"].as_str().unwrap());
        let text = std::fs::read_to_string(folder.join("vae/config.json")).unwrap();
        let scale = serde_json::from_str::<serde_json::Value>(&text).unwrap()["scaling_factor"].as_f64().unwrap();
        let moments = case.tensor("vae.encode.0.moments").unwrap();
        let (means, logarithms) = moments.split_at(moments.len() / 2);
        let (spread, noise) = (case.tensor("rng.0").unwrap(), case.tensor("rng.1").unwrap());
        let (keeps, adds) = sampler(&case).calls()[0].noising;
        let sample = |index: usize| {
            let clean = means[index] + (0.5 * logarithms[index].clamp(-30.0, 20.0)).exp() * spread[index];
            keeps * clean * scale + adds * noise[index]
        };
        let actual: Vec<f64> = (0..means.len()).map(sample).collect();
        let error = relative_error(&actual, &case.tensor("latents.initial").unwrap());
        assert!(error <= 1e-6, "{family}/{name}: the noised picture is off by {error:.2e}");
    }
}
