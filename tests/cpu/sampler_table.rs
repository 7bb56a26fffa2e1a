//! The list of samplers, the configurations that it makes, and what is refused.

use darkroom::error::{Error, ErrorKind};
use darkroom::sampler::options::{ALIGN_YOUR_STEPS_SD, Schedule};
use darkroom::sampler::table::{self, MODEL_DEFAULT, SAMPLERS};
use darkroom::sampler::{Options, Register, Sampler, SchedulerClass, SchedulerConfig, build};
use std::collections::BTreeSet;

use crate::random::Random;

/// As Stable Diffusion 1.5 ships it.
const STABLE_DIFFUSION: &str = r#"{ "_class_name": "PNDMScheduler", "_diffusers_version": "0.6.0", "beta_end": 0.012,
    "beta_schedule": "scaled_linear", "beta_start": 0.00085, "num_train_timesteps": 1000, "set_alpha_to_one": false,
    "skip_prk_steps": true, "steps_offset": 1, "trained_betas": null, "clip_sample": false }"#;

/// As Stable Diffusion 3 ships it.
const FLOW: &str = r#"{ "_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "shift": 3.0 }"#;

fn model(text: &str) -> SchedulerConfig {
    SchedulerConfig::from_json(text).unwrap()
}

fn refusal(text: &str, options: &Options) -> Error {
    let built = SchedulerConfig::from_json(text).and_then(|config| build(&config, options));
    built.expect_err(text)
}

fn check(sampler: &Sampler, place: &str) {
    for call in sampler.calls() {
        let last = call.step.last().unwrap_or_else(|| panic!("{place}: a call without a step"));
        assert_eq!(last.target, Register::Sample, "{place}");
        let reads = call.step.iter().flat_map(|combination| &combination.terms);
        let reads_noise = reads.clone().any(|(register, _)| *register == Register::Noise);
        assert!(call.draws_noise || !reads_noise, "{place}: reads noise that is not drawn");
        assert!(reads.clone().all(|(_, factor)| factor.is_finite()), "{place}");
        assert!((0.0..=1000.0).contains(&call.timestep), "{place}: timestep {}", call.timestep);
    }
    // What the GPU's register file has room for.
    assert!(sampler.memories() <= 8, "{place}: {} memories", sampler.memories());
    assert!(sampler.calls().iter().all(|call| call.step.len() <= 8), "{place}");
}

#[test]
fn names_lead_to_one_entry_each() {
    let mut seen = BTreeSet::new();
    for entry in SAMPLERS {
        assert!(seen.insert(entry.id.to_lowercase()), "{} twice", entry.id);
        assert!(
            entry.name.eq_ignore_ascii_case(entry.id) || seen.insert(entry.name.to_lowercase()),
            "{} twice",
            entry.name
        );
        assert_eq!(table::find(entry.name).unwrap().id, entry.id);
        let (sampler, scheduler) = entry.comfy;
        if !sampler.is_empty() {
            assert_eq!(table::find(&format!("{sampler} {scheduler}")).unwrap().id, entry.id);
        }
    }
    assert_eq!(table::find("dpm++ 2m karras").unwrap().id, "dpmpp-2m-karras");
    let error = table::find("DPM adaptive").unwrap_err();
    assert!(error.kind == ErrorKind::Unsupported && error.message.contains("DPM adaptive"), "{error}");
}

#[test]
fn every_sampler_runs_on_stock_models() {
    for (text, is_flow) in [(STABLE_DIFFUSION, false), (FLOW, true)] {
        for entry in SAMPLERS {
            let suits = entry.id == MODEL_DEFAULT || if is_flow { entry.flow } else { entry.diffusion }.is_some();
            for steps in [1, 2, 3, 4, 5, 20, 33, 50] {
                for strength in [None, Some(0.3), Some(0.75), Some(1.0)] {
                    let options = Options { strength, ..Options::new(steps) };
                    let place = format!("{} with {steps} steps and strength {strength:?}", entry.name);
                    match table::build(Some(entry.id), &model(text), &options) {
                        Ok(sampler) => {
                            assert!(suits, "{place} was built");
                            check(&sampler, &place);
                        }
                        Err(error) => {
                            assert_eq!(error.kind, ErrorKind::InvalidSetting, "{place}: {error}");
                            let too_short = strength.is_some_and(|strength| steps as f64 * strength < 1.0);
                            let runge_kutta = entry.id == "pndm" && steps < 4;
                            assert!(!suits || too_short || runge_kutta, "{place}: {error}");
                        }
                    }
                }
            }
        }
    }
}

/// `from_config` keeps what the model says, and takes the new class's default for what it does not.
#[test]
fn switching_keeps_the_model_and_drops_old_defaults() {
    let text = STABLE_DIFFUSION.replacen('{', r#"{ "prediction_type": "v_prediction", "#, 1);
    let config = table::find("Euler a").unwrap().configure(&model(&text)).unwrap();
    assert_eq!(config.class(), SchedulerClass::EulerAncestralDiscrete);
    assert_eq!(config.text("prediction_type", "epsilon").unwrap(), "v_prediction");
    assert_eq!(config.number("beta_end", 0.02).unwrap(), 0.012);
    // PNDM spaces from the leading end by default, Euler evenly over all timesteps.
    let first = |name| table::build(Some(name), &model(STABLE_DIFFUSION), &Options::new(10)).unwrap().timesteps()[0];
    assert_eq!((first("default"), first("Euler")), (901.0, 999.0));
    // A spacing that the model's file sets does not leak into an entry that does not name it.
    let karras = STABLE_DIFFUSION.replacen('{', r#"{ "use_karras_sigmas": true, "#, 1);
    let plain = table::build(Some("Euler"), &model(&karras), &Options::new(10)).unwrap();
    assert_eq!(plain, table::build(Some("Euler"), &model(STABLE_DIFFUSION), &Options::new(10)).unwrap());
    assert_ne!(
        plain.sigmas(),
        table::build(Some("Euler Karras"), &model(&karras), &Options::new(10)).unwrap().sigmas()
    );
}

#[test]
fn default_is_the_models_own() {
    let options = Options::new(7);
    let own = build(&model(STABLE_DIFFUSION), &options).unwrap();
    for name in [None, Some("default"), Some("Default"), Some("PNDMScheduler")] {
        assert_eq!(table::build(name, &model(STABLE_DIFFUSION), &options).unwrap(), own);
    }
}

/// The reference's `get_timesteps`: steps · strength, rounded down for noise prediction and up for flow matching.
#[test]
fn strength_chooses_the_first_call() {
    let calls = |name, text, steps, strength| {
        let options = Options { strength: Some(strength), ..Options::new(steps) };
        table::build(Some(name), &model(text), &options).unwrap().calls().len()
    };
    assert_eq!(calls("DDIM", STABLE_DIFFUSION, 10, 0.55), 5);
    assert_eq!(calls("Heun", STABLE_DIFFUSION, 10, 0.55), 9);
    assert_eq!(calls("PLMS", STABLE_DIFFUSION, 10, 0.55), 6);
    assert_eq!(calls("Euler", FLOW, 10, 0.55), 6);
    assert_eq!(calls("Heun", FLOW, 10, 0.55), 11);
}

#[test]
fn python_numbers_are_read() {
    let solver = |clipped: &str| {
        let text = format!(
            r#"{{ "_class_name": "DPMSolverMultistepScheduler", "lambda_min_clipped": {clipped}, "note": "a \"NaN\" \\" }}"#
        );
        SchedulerConfig::from_json(&text).and_then(|config| build(&config, &Options::new(5)))
    };
    assert_eq!(solver("-Infinity").unwrap(), solver("null").unwrap());
    assert_ne!(solver("-2.5").unwrap(), solver("-Infinity").unwrap());
    let config = model(
        r#"{ "_class_name": "EulerDiscreteScheduler", "a": [Infinity, -Infinity, 1e3], "b": "NaN or \"Infinity" }"#,
    );
    assert_eq!(config.numbers("a").unwrap().unwrap(), [f64::INFINITY, f64::NEG_INFINITY, 1000.0]);
    assert_eq!(config.text("b", "").unwrap(), "NaN or \"Infinity");
}

#[test]
fn bad_configurations_are_refused() {
    use ErrorKind::{InvalidSetting, Malformed, Unsupported};
    let euler = |settings: &str| format!(r#"{{ "_class_name": "EulerDiscreteScheduler", {settings} }}"#);
    let class = |name: &str, settings: &str| format!(r#"{{ "_class_name": "{name}Scheduler", {settings} }}"#);
    let cases = [
        ("[]".into(), Malformed, "JSON object"),
        ("{".into(), Malformed, "not valid JSON"),
        ("{}".into(), Malformed, "_class_name"),
        (r#"{ "_class_name": "KarrasVeScheduler" }"#.into(), Unsupported, "KarrasVeScheduler"),
        (euler(r#""beta_schedule": "wavy""#), Unsupported, "wavy"),
        (euler(r#""beta_schedule": 3"#), Malformed, "beta_schedule"),
        (euler(r#""beta_start": NaN"#), InvalidSetting, "betas"),
        (euler(r#""trained_betas": [0.1, 0.2]"#), InvalidSetting, "1000 numbers"),
        (euler(r#""num_train_timesteps": 0"#), InvalidSetting, "num_train_timesteps"),
        (euler(r#""num_train_timesteps": 1e9"#), Malformed, "num_train_timesteps"),
        (euler(r#""num_train_timesteps": 2.5"#), Malformed, "num_train_timesteps"),
        (euler(r#""num_train_timesteps": 4"#), InvalidSetting, "between 1 and 4"),
        (euler(r#""prediction_type": "guess""#), Unsupported, "guess"),
        (euler(r#""prediction_type": "flow_prediction""#), Unsupported, "flow_prediction"),
        (euler(r#""timestep_spacing": "random""#), Unsupported, "random"),
        (euler(r#""interpolation_type": "cubic""#), Unsupported, "cubic"),
        (euler(r#""final_sigmas_type": "one""#), Unsupported, "one"),
        (euler(r#""use_karras_sigmas": true, "sigma_min": 0"#), InvalidSetting, "descend"),
        (class("DDIM", r#""clip_sample_range": -1"#), InvalidSetting, "clip_sample_range"),
        (class("DDIM", r#""thresholding": true"#), Unsupported, "thresholding"),
        (class("DDIM", r#""steps_offset": 900"#), InvalidSetting, "timestep 1800"),
        (class("DDPM", r#""variance_type": "learned_range""#), Unsupported, "learned variance"),
        (class("DDPM", r#""variance_type": "huge""#), Unsupported, "huge"),
        (class("DPMSolverMultistep", r#""solver_order": 4"#), Unsupported, "solver_order"),
        (class("DPMSolverMultistep", r#""algorithm_type": "ode""#), Unsupported, "ode"),
        (class("DPMSolverMultistep", r#""solver_type": "rk4""#), Unsupported, "rk4"),
        (class("DPMSolverMultistep", r#""algorithm_type": "dpmsolver""#), InvalidSetting, "divide by zero"),
        (class("DPMSolverSinglestep", r#""algorithm_type": "sde-dpmsolver""#), Unsupported, "sde-dpmsolver"),
        (class("UniPCMultistep", r#""solver_p": {}"#), Unsupported, "solver_p"),
        (class("UniPCMultistep", r#""lower_order_final": false"#), InvalidSetting, "divide by zero"),
        (class("LCM", r#""original_inference_steps": 4"#), InvalidSetting, "at most 4 steps"),
        (class("FlowMatchEulerDiscrete", r#""shift": 0"#), InvalidSetting, "shift"),
        (class("FlowMatchEulerDiscrete", r#""use_dynamic_shifting": true"#), InvalidSetting, "mu"),
    ];
    for (text, kind, word) in cases {
        let error = refusal(&text, &Options::new(10));
        assert!(error.kind == kind && error.message.contains(word), "{text}: {error}");
    }
}

#[test]
fn bad_options_are_refused() {
    let plain = Options::new(10);
    let cases = [
        (Options::new(0), "steps"),
        (Options::new(1001), "between 1 and 1000"),
        (Options { strength: Some(0.0), ..plain.clone() }, "strength"),
        (Options { strength: Some(f64::NAN), ..plain.clone() }, "strength"),
        (Options { strength: Some(0.05), ..plain.clone() }, "no step is left"),
        (Options { eta: Some(1.5), ..plain.clone() }, "eta"),
        (Options { order: 9, ..plain.clone() }, "order"),
        (Options { mu: Some(f64::INFINITY), ..plain.clone() }, "mu"),
        (Options { schedule: Schedule::Timesteps(vec![500.0, 600.0]), ..plain.clone() }, "descend"),
        (Options { schedule: Schedule::Timesteps(vec![1000.0]), ..plain.clone() }, "between 0 and 999"),
        (Options { schedule: Schedule::Timesteps(Vec::new()), ..plain.clone() }, "descend"),
        (Options { schedule: Schedule::Sigmas(vec![1.0, -1.0]), ..plain }, "descend"),
    ];
    for (options, word) in cases {
        let error = refusal(r#"{ "_class_name": "EulerDiscreteScheduler" }"#, &options);
        assert!(error.kind == ErrorKind::InvalidSetting && error.message.contains(word), "{options:?}: {error}");
    }
}

#[test]
fn given_timesteps_are_visited() {
    for name in ["Euler", "DPM++ 2M", "DDPM"] {
        let options = Options { schedule: Schedule::Timesteps(ALIGN_YOUR_STEPS_SD.to_vec()), ..Options::new(10) };
        let sampler = table::build(Some(name), &model(STABLE_DIFFUSION), &options).unwrap();
        assert_eq!(sampler.timesteps(), ALIGN_YOUR_STEPS_SD, "{name}");
    }
    let options = Options { schedule: Schedule::Timesteps(ALIGN_YOUR_STEPS_SD.to_vec()), ..Options::new(10) };
    let error = table::build(Some("UniPC Karras"), &model(STABLE_DIFFUSION), &options).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unsupported);
}

/// Dynamic shifting as FLUX has it: 0.5 at 256 tokens, 1.15 at 4096.
#[test]
fn the_shift_grows_with_the_picture() {
    let flux =
        model(r#"{ "_class_name": "FlowMatchEulerDiscreteScheduler", "use_dynamic_shifting": true, "shift": 3.0 }"#);
    for (tokens, mu) in [(256, 0.5), (2176, 0.825), (4096, 1.15)] {
        assert!((flux.dynamic_shift(tokens).unwrap().unwrap() - mu).abs() < 1e-12, "{tokens} tokens");
    }
    assert_eq!(model(FLOW).dynamic_shift(4096).unwrap(), None);
}

/// Whatever a configuration says, building answers with a run or a typed error.
#[test]
fn odd_configurations_never_panic() {
    const VALUES: [&str; 16] = [
        "0",
        "1",
        "2",
        "3",
        "7",
        "0.5",
        "-1",
        "1e300",
        "NaN",
        "Infinity",
        "null",
        "true",
        "false",
        "\"zero\"",
        "[]",
        "\"trailing\"",
    ];
    const KEYS: [&str; 24] = [
        "num_train_timesteps",
        "beta_start",
        "beta_end",
        "beta_schedule",
        "trained_betas",
        "timestep_spacing",
        "steps_offset",
        "clip_sample",
        "clip_sample_range",
        "rescale_betas_zero_snr",
        "use_karras_sigmas",
        "use_beta_sigmas",
        "use_flow_sigmas",
        "use_lu_lambdas",
        "sigma_min",
        "sigma_max",
        "solver_order",
        "lower_order_final",
        "final_sigmas_type",
        "lambda_min_clipped",
        "flow_shift",
        "shift",
        "shift_terminal",
        "original_inference_steps",
    ];
    let mut random = Random(7);
    let mut pick = |count: usize| random.below(count);
    let (mut built, mut refused) = (0, 0);
    for _ in 0..4000 {
        let class = SchedulerClass::ALL[pick(SchedulerClass::ALL.len())].name();
        let settings: Vec<String> =
            (0..pick(4)).map(|_| format!("\"{}\": {}", KEYS[pick(KEYS.len())], VALUES[pick(VALUES.len())])).collect();
        let text = format!(
            "{{ \"_class_name\": \"{class}\"{}{} }}",
            if settings.is_empty() { "" } else { ", " },
            settings.join(", ")
        );
        let strength = [None, Some(0.5)][pick(2)];
        let options = Options { strength, mu: [None, Some(0.8)][pick(2)], ..Options::new([1, 2, 5, 12, 60][pick(5)]) };
        match SchedulerConfig::from_json(&text).and_then(|config| build(&config, &options)) {
            Ok(_) => built += 1,
            Err(error) => {
                assert_ne!(error.kind, ErrorKind::Internal, "{text}: {error}");
                refused += 1;
            }
        }
    }
    assert!(built > 500 && refused > 500, "{built} built, {refused} refused");
}
