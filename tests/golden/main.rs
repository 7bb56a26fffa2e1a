//! `cargo xtask golden`: every case of the reference data that the engine supports, tensor by tensor.
//!
//! Decision: a program and not a test, because it takes folders, an adapter and a precision from its caller, and reports
//! what it left out. `cargo xtask test` runs its `--quick` part. A family is one function from a case to rows.

mod case;
mod comparison;
mod networks;
mod norm_epsilons;
mod pooling;
mod random_numbers;
mod report;
mod schedulers;
mod stable_diffusion;
mod tokenizer;

use std::path::PathBuf;
use std::process::ExitCode;

use case::Case;
use darkroom::tensor::DType;
use lexopt::prelude::*;
use report::Report;

/// Anything that keeps a case from being compared; it counts as failed.
pub type Failure = Box<dyn std::error::Error>;
pub type Result<T> = std::result::Result<T, Failure>;

const HELP: &str = "\
cargo xtask golden [OPTIONS] DIR...
  --adapter NAME            part of the adapter's name; default: the system's preferred one
  --hardware                the kernels of a real GPU, on whatever adapter
  --activations f32|f16     what the networks compute with; default f32
  --json FILE               writes the report there, too
  --quick                   the part that every change must pass, minutes at most
  --brief                   prints a line per case, and rows only where they fail";

/// What the caller asked for.
pub struct Settings {
    pub adapter: Option<String>,
    pub hardware: bool,
    /// F32 or F16.
    pub activations: DType,
    pub quick: bool,
    brief: bool,
    json: Option<PathBuf>,
    folders: Vec<PathBuf>,
}

impl Settings {
    fn parse() -> Result<Option<Self>> {
        let mut settings = Self {
            adapter: None,
            hardware: false,
            activations: DType::F32,
            quick: false,
            brief: false,
            json: None,
            folders: Vec::new(),
        };
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("adapter") => settings.adapter = Some(parser.value()?.string()?),
                Long("activations") => {
                    settings.activations = match parser.value()?.string()?.as_str() {
                        "f32" => DType::F32,
                        "f16" => DType::F16,
                        other => return Err(format!("--activations is f32 or f16, not {other}").into()),
                    }
                }
                Long("hardware") => settings.hardware = true,
                Long("json") => settings.json = Some(parser.value()?.into()),
                Long("brief") => settings.brief = true,
                Long("quick") => settings.quick = true,
                Long("help") | Short('h') => return Ok(None),
                Value(folder) => settings.folders.push(folder.into()),
                other => return Err(other.unexpected().into()),
            }
        }
        if settings.folders.is_empty() {
            return Err("name at least one folder of cases (--help lists the options)".into());
        }
        Ok(Some(settings))
    }
}

/// Compares one case.
type Family = fn(&Settings, &Case, &mut Report) -> Result<()>;

/// The families by the `family` of their cases; last, those of their cases that belong to the quick part (none: all).
const FAMILIES: &[(&str, Family, Option<&[&str]>)] = &[
    ("norm_eps", norm_epsilons::run, None),
    ("rng", random_numbers::run, None),
    ("schedulers", schedulers::run, None),
    (
        "sd15",
        stable_diffusion::run,
        Some(&["ddim_eta07", "dpmpp_2m_karras", "images2_generator_list", "guidance_rescale"]),
    ),
    ("sd21", stable_diffusion::run, Some(&["euler_a_v"])),
    ("sd_turbo", stable_diffusion::run, Some(&["steps2"])),
    ("tokenizer", tokenizer::run, None),
];

fn run(settings: &Settings, case: &Case, report: &mut Report) {
    let family = case.family();
    let Some((_, run, quick)) = FAMILIES.iter().find(|(name, ..)| *name == family) else {
        if !settings.quick {
            report.skip(case, &format!("the engine does not run {family} yet"));
        }
        return;
    };
    if settings.quick && quick.is_some_and(|names| !case.text("case").is_ok_and(|name| names.contains(&name))) {
        return;
    }
    report.begin(case);
    let result = run(settings, case, report);
    report.end(result);
}

fn golden() -> Result<bool> {
    let Some(settings) = Settings::parse()? else {
        println!("{HELP}");
        return Ok(true);
    };
    let mut report = Report::new(settings.brief);
    for folder in &settings.folders {
        let cases = Case::all_below(folder)?;
        if cases.is_empty() {
            return Err(format!("there is no case.json below {}", folder.display()).into());
        }
        for path in cases {
            match Case::open(&path) {
                Ok(case) => run(&settings, &case, &mut report),
                Err(error) => report.unreadable(&path, &error),
            }
        }
    }
    if let Some(file) = &settings.json {
        std::fs::write(file, serde_json::to_string_pretty(&report.to_json(&settings))?)?;
    }
    Ok(report.close())
}

fn main() -> ExitCode {
    match golden() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
