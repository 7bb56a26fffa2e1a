//! The draws of PyTorch's CPU generator (family `rng`).

use std::collections::{BTreeMap, BTreeSet};

use darkroom::sampler::noise::TorchGenerator;

use crate::case::Case;
use crate::comparison::Bar;
use crate::report::{Report, Way};
use crate::{Result, Settings};

/// PyTorch's vector code and its plain code differ by up to 2.2e-6; values reach 5.
const NORMAL: Bar = Bar::MaxAbs(2.5e-6);

/// Place in its sequence, tensor, and what is drawn.
type Draw<'a> = (usize, &'a str, String);

pub fn run(_settings: &Settings, case: &Case, report: &mut Report) -> Result<()> {
    // Draws in their order, by generator: those of one sequence share it, every other tensor has its own.
    let mut generators: BTreeMap<(String, u64), Vec<Draw>> = BTreeMap::new();
    let mut left_out = BTreeSet::new();
    for name in case.tensor_names() {
        let parts: Vec<&str> = name.split('.').collect();
        match parts[..] {
            ["torch", "sequence" | "mixed", seed, index, draw] => {
                let key = (parts[..3].join("."), seed_of(seed)?);
                generators.entry(key).or_default().push((index.parse()?, name, operation_of(draw)));
            }
            ["torch", operation @ ("rand" | "randn" | "randint_0_1000"), seed, _] => {
                let key = (name.to_owned(), seed_of(seed)?);
                generators.entry(key).or_default().push((0, name, operation_of(operation)));
            }
            [library, operation, ..] => drop(left_out.insert(format!("{library}.{operation}"))),
            _ => return Err(format!("the tensor {name} is unknown").into()),
        }
    }
    for ((_, seed), mut draws) in generators {
        draws.sort();
        let mut generator = TorchGenerator::new(seed);
        for (_, name, operation) in draws {
            let expected = case.tensor(name)?;
            let (actual, bar) = draw(&mut generator, &operation, expected.values.len())?;
            report.compare(name, Way::EndToEnd, &expected.shape, (&expected.values, &actual), bar);
        }
    }
    for kind in left_out {
        report.leave_out(&kind, "the engine draws as PyTorch draws f32");
    }
    Ok(())
}

fn seed_of(part: &str) -> Result<u64> {
    Ok(part.strip_prefix("seed").ok_or_else(|| format!("{part} is no seed"))?.parse()?)
}

/// `randn` of `randn18`, `randint` of `randint3` and of `randint_0_1000`; draws in another type keep its name.
fn operation_of(draw: &str) -> String {
    if draw.starts_with("randn_f") {
        return draw.to_owned();
    }
    draw.chars().take_while(char::is_ascii_alphabetic).collect()
}

fn draw(generator: &mut TorchGenerator, operation: &str, count: usize) -> Result<(Vec<f64>, Bar)> {
    let wide = |values: Vec<f32>| values.into_iter().map(f64::from).collect();
    Ok(match operation {
        "randn" => (wide(generator.normal(count)), NORMAL),
        "randn_f16" => (wide(generator.normal_half(count)), Bar::Equal),
        "randn_f64" => (generator.normal_double(count), Bar::MaxAbs(1e-14)),
        "rand" => (wide(generator.uniform(count)), Bar::Equal),
        // All of the cases ask for 0 to 999.
        "randint" => ((0..count).map(|_| f64::from(generator.word() % 1000)).collect(), Bar::Equal),
        other => return Err(format!("the draw {other} is unknown").into()),
    })
}
