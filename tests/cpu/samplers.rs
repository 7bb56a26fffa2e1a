//! Every sampler against the trajectories of `diffusers`, on an analytic model.

use crate::golden::{Case, each_relative_error, relative_error};
use darkroom::error::ErrorKind;
use darkroom::sampler::options::{Churn, Schedule};
use darkroom::sampler::{Options, Register, Registers, Sampler, SchedulerConfig, build, cumulated_alphas};
use serde_json::Value;

/// Allowed relative error of a trajectory: the reference computes in f32.
const TRAJECTORY: f64 = 1e-5;
/// Allowed relative error of schedules, a few units of f32.
const SCHEDULE: f64 = 1e-6;

/// Cases that are refused, with the word that the refusal must hold.
const REFUSED: [(&str, &str); 5] = [
    ("ddim_threshold", "thresholding"),
    ("ddpm_threshold", "thresholding"),
    ("dpmpp_2m_threshold", "thresholding"),
    ("ddpm_learned", "learned"),
    ("ddpm_learned_range", "learned"),
];

/// The model of the cases' README.
fn model(x: f32, timestep: f64) -> f32 {
    let x = f64::from(x);
    (0.8 * (0.9 * x).tanh() + 0.15 * (2.0 * x + 0.004 * timestep).sin() + 0.05 * (0.01 * timestep).cos()) as f32
}

fn options(case: &Case) -> Options {
    let numbers = |value: &Value| value.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect();
    let description = &case.description;
    let mut options = Options::new(description["num_inference_steps"].as_u64().unwrap() as usize);
    for (key, value) in description["set_timesteps"].as_object().unwrap() {
        match key.as_str() {
            "sigmas" => options.schedule = Schedule::Sigmas(numbers(value)),
            "mu" => options.mu = value.as_f64(),
            other => panic!("{}: set_timesteps has {other}", case.name),
        }
    }
    let mut churn = Churn::default();
    for (key, value) in description["step_kwargs"].as_object().unwrap() {
        let number = value.as_f64().unwrap();
        match key.as_str() {
            "eta" => options.eta = Some(number),
            "order" => options.order = number as usize,
            "s_churn" => churn.amount = number,
            "s_tmin" => churn.sigma_min = number,
            "s_tmax" => churn.sigma_max = number,
            "s_noise" => churn.noise = number,
            other => panic!("{}: step has {other}", case.name),
        }
    }
    options.churn = churn;
    options
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}

fn single(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&value| value as f32).collect()
}

/// Complaints about one case, with the worst error of its trajectory.
fn compare(case: &Case, sampler: &Sampler) -> (Vec<String>, f64) {
    let mut complaints = Vec::new();
    let mut complain = |what: String, error: f64, limit: f64| {
        if error.is_nan() || error > limit {
            complaints.push(format!("{}: {what} is off by {error:.2e}", case.name));
        }
        error
    };
    let timesteps = case.tensor("timesteps").unwrap();
    // Timesteps of given levels pass through logarithms in f32, so that small ones are off by a constant.
    complain("timesteps".into(), each_relative_error(sampler.timesteps(), &timesteps, 10.0), SCHEDULE);
    if let Some(sigmas) = case.tensor("sigmas") {
        complain("sigmas".into(), each_relative_error(sampler.sigmas(), &sigmas, 1e-9), SCHEDULE);
    }
    let initial_scale = case.description["init_noise_sigma"].as_f64().unwrap();
    complain("initial scale".into(), relative_error(&[sampler.initial_scale()], &[initial_scale]), SCHEDULE);

    let noise = case.tensor("noise.initial").unwrap();
    let sample: Vec<f32> = noise.iter().map(|noise| (noise * sampler.initial_scale()) as f32).collect();
    let initial = case.tensor("latents.initial").unwrap();
    complain("initial latents".into(), relative_error(&wide(&sample), &initial), SCHEDULE);

    let mut registers = Registers::new(sample.len(), sampler.memories());
    registers.set(Register::Sample, &sample).unwrap();
    let mut worst = 0f64;
    for (index, call) in sampler.calls().iter().enumerate() {
        let tensor = |what: &str| case.tensor(&format!("step.{index}.{what}"));
        let before = registers.get(Register::Sample).unwrap().to_vec();
        let input: Vec<f32> = before.iter().map(|x| (f64::from(*x) * call.input_scale) as f32).collect();
        if let Some(expected) = tensor("model_input") {
            complain(format!("model input {index}"), relative_error(&wide(&input), &expected), TRAJECTORY);
        } else {
            assert_eq!(call.input_scale, 1.0, "{}: the input of call {index} is the sample", case.name);
        }
        let output: Vec<f32> = input.iter().map(|&x| model(x, call.timestep)).collect();
        registers.set(Register::ModelOutput, &output).unwrap();
        assert_eq!(call.draws_noise, tensor("noise").is_some(), "{}: draw in step {index}", case.name);
        if let Some(noise) = tensor("noise") {
            registers.set(Register::Noise, &single(&noise)).unwrap();
        }
        if let Some(expected) = tensor("second_output").filter(|_| predicts_clean(case)) {
            let x0 = call.denoised;
            let denoised: Vec<f64> = before
                .iter()
                .zip(&output)
                .map(|(&x, &m)| x0.sample * f64::from(x) + x0.model_output * f64::from(m))
                .map(|value| x0.clamp.map_or(value, |limit| value.clamp(-limit, limit)))
                .collect();
            complain(format!("denoised {index}"), relative_error(&denoised, &expected), TRAJECTORY);
        }
        registers.apply(&call.step).unwrap();
        let latents = wide(registers.get(Register::Sample).unwrap());
        let error = relative_error(&latents, &tensor("latents").unwrap());
        worst = worst.max(complain(format!("latents {index}"), error, TRAJECTORY));
    }
    let steps = case.names().iter().filter(|name| name.ends_with(".latents")).count();
    assert_eq!(sampler.calls().len(), steps, "{}: number of calls", case.name);
    (complaints, worst)
}

/// Whether the reference's second output is the clean latent. LCM's and TCD's is not, and churn comes before it.
fn predicts_clean(case: &Case) -> bool {
    !["lcm", "tcd", "euler_churn"].iter().any(|name| case.name.starts_with(name))
}

/// Bit for bit: a step near the clean end reads 1 − alpha, where one unit in the last place is 0.1 %. Schedules rescaled to
/// zero SNR pass through PyTorch's vector square root, which is not rounded correctly, so they differ by a few units.
#[test]
fn training_schedules_equal_the_reference() {
    let mut compared = 0;
    for case in Case::all("schedulers") {
        let Some(expected) = case.tensor("alphas_cumprod") else { continue };
        let description = &case.description["scheduler"];
        let config = SchedulerConfig::from_json(&description.to_string()).unwrap();
        let alphas = wide(&cumulated_alphas(&config).unwrap());
        let rescaled = description["rescale_betas_zero_snr"].as_bool().unwrap_or(false);
        let error = relative_error(&alphas, &expected);
        let limit = if rescaled { 4e-7 } else { 0.0 };
        assert!(error <= limit, "{}: {} is off by {error:.1e}", case.name, description["beta_schedule"]);
        compared += 1;
    }
    assert!(compared >= 20, "only {compared} cases");
}

#[test]
fn trajectories_equal_the_reference() {
    let cases = Case::all("schedulers");
    assert!(cases.len() >= 119, "only {} cases found", cases.len());
    let mut complaints = Vec::new();
    for case in &cases {
        let built = SchedulerConfig::from_json(&case.description["scheduler"].to_string())
            .and_then(|config| build(&config, &options(case)));
        let refusal = REFUSED.iter().find(|(name, _)| *name == case.name);
        match (built, refusal) {
            (Ok(sampler), None) => {
                let (mut found, worst) = compare(case, &sampler);
                println!("{:40} {worst:.1e}", case.name);
                complaints.append(&mut found);
            }
            (Err(error), Some((_, word))) => {
                assert_eq!(error.kind, ErrorKind::Unsupported, "{}: {error}", case.name);
                assert!(error.message.contains(word), "{}: {error}", case.name);
            }
            (Ok(_), Some(_)) => complaints.push(format!("{}: is listed as refused but was built", case.name)),
            (Err(error), None) => complaints.push(format!("{}: {error}", case.name)),
        }
    }
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

/// The comparison itself: it must see one wrong element, and a NaN.
#[test]
fn differences_are_seen() {
    assert_eq!(relative_error(&[4.0, 1.0], &[4.0, 2.0]), 0.25);
    assert_eq!(each_relative_error(&[4.0, 1.0], &[4.0, 2.0], 1e-9), 0.5);
    assert!(relative_error(&[4.0, f64::NAN, 2.0], &[4.0, 1.0, 2.0]).is_nan());
    assert!(each_relative_error(&[f64::NAN, 4.0], &[1.0, 4.0], 1e-9).is_nan());
}
