//! The random generators against PyTorch's numbers and CUDA's.

use crate::golden::Case;
use darkroom::sampler::noise::{PhiloxGenerator, TorchGenerator};

/// Two units in the last place of the largest values, which reach 5. PyTorch's own code paths differ by 2.2e-6.
const NORMAL: f64 = 1e-6;

fn compare(name: &str, actual: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(actual.len(), expected.len(), "{name}");
    for (index, (actual, expected)) in actual.iter().zip(expected).enumerate() {
        assert!((actual - expected).abs() <= tolerance, "{name}[{index}]: {actual} for {expected}");
    }
}

fn wide(values: Vec<f32>) -> Vec<f64> {
    values.into_iter().map(f64::from).collect()
}

/// `randn18` and the like, drawn from a generator.
fn draw(generator: &mut TorchGenerator, operation: &str, count: usize) -> (Vec<f64>, f64) {
    match operation {
        "randn" => (wide(generator.normal(count)), NORMAL),
        "randn_f16" => (wide(generator.normal_half(count)), 0.0),
        "randn_f64" => (generator.normal_double(count), 1e-14),
        "rand" => (wide(generator.uniform(count)), 0.0),
        "randint" => ((0..count).map(|_| f64::from(generator.word() % 1000)).collect(), 0.0),
        other => panic!("unknown draw {other}"),
    }
}

fn split(draw: &str) -> (&str, usize) {
    let digits = draw.find(|character: char| character.is_ascii_digit()).unwrap();
    (&draw[..digits], draw[digits..].parse().unwrap())
}

#[test]
fn fresh_generators_equal_pytorch() {
    let case = Case::open("rng", "rng");
    let mut compared = 0;
    for name in case.names() {
        let parts: Vec<&str> = name.split('.').collect();
        let ["torch", operation @ ("randn" | "randn_f16" | "randn_f64" | "rand" | "randint_0_1000"), seed, _] =
            parts[..]
        else {
            continue;
        };
        let expected = case.tensor(&name).unwrap();
        let mut generator = TorchGenerator::new(seed.strip_prefix("seed").unwrap().parse().unwrap());
        let operation = operation.strip_suffix("_0_1000").unwrap_or(operation);
        let (actual, tolerance) = draw(&mut generator, operation, expected.len());
        compare(&name, &actual, &expected, tolerance);
        compared += 1;
    }
    assert!(compared > 50, "only {compared} tensors compared");
}

#[test]
fn successive_draws_equal_pytorch() {
    let case = Case::open("rng", "rng");
    let mut compared = 0;
    for seed in case.description["seeds"].as_array().unwrap() {
        for kind in ["sequence", "mixed"] {
            let prefix = format!("torch.{kind}.seed{seed}.");
            let mut draws: Vec<(usize, String)> = case
                .names()
                .into_iter()
                .filter_map(|name| {
                    let (index, draw) = name.strip_prefix(&prefix)?.split_once('.')?;
                    Some((index.parse().unwrap(), draw.to_owned()))
                })
                .collect();
            draws.sort();
            assert!(draws.len() > 2, "{prefix} has {} draws", draws.len());
            let mut generator = TorchGenerator::new(seed.as_u64().unwrap());
            for (index, kind) in draws {
                let name = format!("{prefix}{index}.{kind}");
                let expected = case.tensor(&name).unwrap();
                let (operation, count) = split(&kind);
                assert_eq!(count, expected.len(), "{name}");
                let (actual, tolerance) = draw(&mut generator, operation, count);
                compare(&name, &actual, &expected, tolerance);
                compared += 1;
            }
        }
    }
    assert!(compared > 50, "only {compared} tensors compared");
}

/// The first draw of seed 0 as AUTOMATIC1111's own source gives it.
#[test]
fn philox_equals_cuda() {
    let expected = [
        -0.924_662_59,
        -0.425_344_15,
        -2.643_845_7,
        0.145_183_88,
        -0.120_866_47,
        -0.579_725_64,
        -0.622_851_22,
        -0.328_387_09,
        -1.074_542_31,
        -0.363_144_07,
        -1.671_050_67,
        2.265_504_97,
    ];
    let mut generator = PhiloxGenerator::new(0);
    compare("philox", &wide(generator.normal(12)), &expected, 1e-6);
    let second = wide(generator.normal(12));
    assert!(second.iter().zip(&expected).all(|(second, first)| second != first), "a second draw is a fresh one");
}
