//! `cargo xtask test`: every test there is, stage by stage, with times and one sum at the end.
//!
//! Decision: a stage that reports no test counts as failed, so that a runner which finds nothing is never taken for
//! success. A failed stage does not stop those after it: one run shows all that is wrong.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::process::{self, Cargo, root};
use crate::tally::Tally;
use crate::{commands, install, packages, picture};

/// What ran, how long it took and what came of it.
struct Stage {
    name: String,
    time: Duration,
    succeeded: bool,
    tally: Tally,
}

/// Runs all stages; whether all passed. `software`: on lavapipe and SwiftShader instead of this machine's own adapter.
pub fn run(software: bool) -> Result<bool> {
    install::debian_packages(install::FOR_TESTS)?;
    packages::install(&root().join("www"))?;

    let lavapipe = if software { Some(install::lavapipe().context("lavapipe is missing")?) } else { None };
    let mut stages = Vec::new();
    let mut stage = |name: &str, run: &mut dyn FnMut() -> Result<(bool, Tally)>| stages.push(timed(name, run));

    stage("build tool", &mut || {
        counted(Cargo::new(&["test", "--profile", "xtask", "--package", "xtask"]).into_command())
    });
    let device = if software { "lavapipe" } else { "GPU" };
    stage(&format!("engine on {device}"), &mut || {
        counted(
            on(lavapipe.as_deref(), Cargo::new(&["test", "--package", "darkroom", "--no-fail-fast"])).into_command(),
        )
    });
    stage(&format!("golden cases on {device}, f32"), &mut || golden(lavapipe.as_deref(), "f32"));
    stage(&format!("golden cases on {device}, f16"), &mut || golden(lavapipe.as_deref(), "f16"));
    if let Some(swiftshader) = install::swiftshader().filter(|_| software) {
        stage("kernels on SwiftShader", &mut || {
            let cargo = Cargo::new(&["test", "--package", "darkroom", "--test", "gpu"]);
            counted(on(Some(&swiftshader), cargo).into_command())
        });
        stage("golden cases on SwiftShader, f32", &mut || golden(Some(&swiftshader), "f32"));
    }
    let page = root().join("www");
    let picture_file = root().join("target/page-picture.rgba");
    // A picture of an earlier run must not stand in for one of this run.
    let _ = std::fs::remove_file(picture_file.with_extension("rgba.json"));
    stage("page", &mut || counted(packages::npm_command(&page, &["test"])?));
    stage("page in Chromium", &mut || {
        commands::build_page(true)?;
        let mut command = packages::npm_command(&page, &["run", "test:browser"])?;
        command.env("DARKROOM_PICTURE", &picture_file);
        counted(command)
    });
    stage("the page's picture against the native engine's", &mut || {
        picture::compare(&picture_file, |command| on(lavapipe.as_deref(), command))
    });
    Ok(summary(&stages))
}

/// A command that links the engine and is therefore a target of the engine's package: `golden` or `full-size`.
pub fn engine_command(name: &str) -> Cargo {
    let manifest: PathBuf = root().join("Cargo.toml");
    Cargo::new(&["run", "--quiet", "--manifest-path"]).arguments(&[manifest]).arguments(&["--example", name, "--"])
}

fn golden(driver: Option<&Path>, activations: &str) -> Result<(bool, Tally)> {
    let folder = std::env::var_os("DARKROOM_GOLDEN")
        .map_or_else(|| root().join("../shared/golden"), |folder| root().join(folder));
    let arguments = ["--quick", "--brief", "--activations", activations];
    counted(on(driver, engine_command("golden")).arguments(&arguments).arguments(&[folder]).into_command())
}

/// Restricts Vulkan to one driver. Loaders before 1.3.207 read the first variable, later ones prefer the second.
fn on(driver: Option<&Path>, cargo: Cargo) -> Cargo {
    match driver {
        Some(driver) => cargo.environment("VK_ICD_FILENAMES", driver).environment("VK_DRIVER_FILES", driver),
        None => cargo,
    }
}

fn counted(mut command: Command) -> Result<(bool, Tally)> {
    let (succeeded, output) = process::run_and_keep(&mut command)?;
    Ok((succeeded, Tally::read(&output)))
}

fn timed(name: &str, run: &mut dyn FnMut() -> Result<(bool, Tally)>) -> Stage {
    println!("\n── {name}");
    let start = Instant::now();
    let (succeeded, tally) = run().unwrap_or_else(|error| {
        println!("error: {error:#}");
        (false, Tally::default())
    });
    let ran_none = tally == Tally::default();
    if succeeded && ran_none {
        println!("error: this stage reported no test");
    }
    Stage { name: name.into(), time: start.elapsed(), succeeded: succeeded && !ran_none, tally }
}

fn summary(stages: &[Stage]) -> bool {
    println!("\n── summary");
    let mut sum = Tally::default();
    for stage in stages {
        let verdict = if stage.succeeded { "passed" } else { "FAILED" };
        println!("{verdict}  {:5.0} s  {}: {}", stage.time.as_secs_f64(), stage.name, stage.tally);
        sum += stage.tally;
        if !stage.succeeded && stage.tally.failed == 0 {
            // It broke before it could count, which must not look like success in the sum.
            sum.failed += 1;
        }
    }
    println!("{sum}");
    stages.iter().all(|stage| stage.succeeded)
}
