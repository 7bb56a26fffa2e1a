//! The page's picture against the native engine's for the same settings: one engine, two ways to it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::process::{Cargo, root};
use crate::tally::Tally;

/// Decibels at least. Both run in f32, but sums are made in another order by another compiler.
const LEAST: f64 = 40.0;

/// Draws natively what the browser test drew and wrote to `page` (RGBA) and `page`.json (its settings).
pub fn compare(page: &Path, native: impl FnOnce(Cargo) -> Cargo) -> Result<(bool, Tally)> {
    let description = fs::read_to_string(page.with_extension("rgba.json"))
        .context("the browser test wrote no picture; did it run to its end?")?;
    let settings: Value = serde_json::from_str(&description)?;
    let output = page.with_file_name("native.rgba");
    let command = Cargo::new(&["run", "--quiet", "--example", "txt2img", "--"]).arguments(&arguments(&settings)?);
    let command = command.arguments(&["--activations", "f32", "-o"]).arguments(&[&output]);
    ensure!(native(command).status()?, "the native engine drew no picture");
    let (page, native) = (fs::read(page)?, fs::read(&output)?);
    ensure!(page.len() == native.len() && !page.is_empty(), "{} bytes against {}", page.len(), native.len());
    let noise = signal_to_noise(&page, &native);
    println!("the page's picture against the native engine's: PSNR {noise:.1} dB (at least {LEAST})");
    let passed = noise >= LEAST;
    Ok((passed, Tally { passed: passed.into(), failed: (!passed).into(), skipped: 0 }))
}

/// The command line of the native example for the page's settings.
fn arguments(settings: &Value) -> Result<Vec<String>> {
    let value = |key: &str| -> Result<String> {
        let value = settings.get(key).with_context(|| format!("the page's settings have no {key}"))?;
        Ok(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    };
    let mut arguments = vec!["--model".into(), root().join("models/emoji").display().to_string()];
    arguments.extend(["--size".into(), format!("{}x{}", value("width")?, value("height")?)]);
    let options = [
        ("--prompt", "prompt"),
        ("--negative", "negativePrompt"),
        ("--steps", "steps"),
        ("--guidance", "guidance"),
        ("--sampler", "sampler"),
        ("--seed", "seed"),
        ("--quantization", "quantization"),
    ];
    for (option, key) in options {
        arguments.extend([option.to_owned(), value(key)?]);
    }
    Ok(arguments)
}

fn signal_to_noise(a: &[u8], b: &[u8]) -> f64 {
    let squares: f64 = a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
    20.0 * (255.0 / (squares / a.len() as f64).sqrt()).log10()
}

#[cfg(test)]
mod tests {
    use super::{LEAST, signal_to_noise};

    #[test]
    fn one_level_passes_and_another_picture_does_not() {
        let picture: Vec<u8> = (0..=255).collect();
        let nearly: Vec<u8> = picture.iter().map(|value| value ^ 1).collect();
        let other: Vec<u8> = picture.iter().map(|value| value.wrapping_add(40)).collect();
        assert!(signal_to_noise(&picture, &nearly) > LEAST);
        assert!(signal_to_noise(&picture, &other) < LEAST);
        assert_eq!(signal_to_noise(&picture, &picture), f64::INFINITY);
    }
}
