//! Where the reference data lies: `DARKROOM_GOLDEN`, else `../shared/golden` beside the repository; and its cases.

use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use std::path::PathBuf;

/// A file or folder of the reference data; fails where it is absent, so that no test passes for lack of it.
pub fn golden(path: &str) -> PathBuf {
    let root = std::env::var_os("DARKROOM_GOLDEN")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/golden")), PathBuf::from);
    let full = root.join(path);
    assert!(full.exists(), "no reference data at {}; set DARKROOM_GOLDEN", full.display());
    full
}

/// One case: its description and its tensors.
pub struct Case {
    pub name: String,
    pub description: Value,
    bytes: Vec<u8>,
}

impl Case {
    pub fn open(family: &str, name: &str) -> Self {
        let folder = golden(&format!("{family}/cases/{name}"));
        let text = std::fs::read_to_string(folder.join("case.json")).unwrap();
        Self {
            name: name.into(),
            description: serde_json::from_str(&text).unwrap(),
            bytes: std::fs::read(folder.join("expected.safetensors")).unwrap(),
        }
    }

    /// All cases of a family, by name.
    pub fn all(family: &str) -> Vec<Self> {
        let entries = std::fs::read_dir(golden(&format!("{family}/cases"))).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names.iter().map(|name| Self::open(family, name)).collect()
    }

    /// A tensor's elements, in f64 whatever its type.
    pub fn tensor(&self, name: &str) -> Option<Vec<f64>> {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let tensor = file.tensor(name).ok()?;
        let data = tensor.data();
        Some(match tensor.dtype() {
            Dtype::F32 => data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()).into()).collect(),
            Dtype::F16 => {
                data.chunks_exact(2).map(|b| half::f16::from_le_bytes(b.try_into().unwrap()).into()).collect()
            }
            Dtype::F64 => data.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect(),
            Dtype::I64 => data.chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f64).collect(),
            other => panic!("{name}: {other:?} is not read by these tests"),
        })
    }

    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        Some(file.tensor(name).ok()?.shape().to_vec())
    }

    pub fn names(&self) -> Vec<String> {
        SafeTensors::deserialize(&self.bytes).unwrap().names().into_iter().map(Into::into).collect()
    }
}

/// Largest difference relative to the largest expected value.
pub fn relative_error(actual: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(actual.len(), expected.len(), "number of elements");
    let scale = expected.iter().fold(0f64, |scale, value| scale.max(value.abs())).max(f64::MIN_POSITIVE);
    let differences = actual.iter().zip(expected).map(|(actual, expected)| (actual - expected).abs());
    // A NaN must not pass as small.
    differences.fold(0f64, |worst, difference| if worst.is_nan() || difference <= worst { worst } else { difference })
        / scale
}

/// Largest difference of an element relative to its expected value, or to `least` where that is smaller.
pub fn each_relative_error(actual: &[f64], expected: &[f64], least: f64) -> f64 {
    assert_eq!(actual.len(), expected.len(), "number of elements");
    let errors =
        actual.iter().zip(expected).map(|(actual, expected)| (actual - expected).abs() / expected.abs().max(least));
    errors.fold(0f64, |worst, error| if worst.is_nan() || error <= worst { worst } else { error })
}
