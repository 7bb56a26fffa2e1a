//! Reading the golden cases that `diffusers` made.

use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The folder of all cases: `DARKROOM_GOLDEN`, else `../shared/golden` beside the repository.
pub fn root() -> PathBuf {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/golden");
    std::env::var_os("DARKROOM_GOLDEN").map_or(beside, PathBuf::from)
}

/// One case: its description and its tensors.
pub struct Case {
    pub name: String,
    pub description: Value,
    bytes: Vec<u8>,
}

impl Case {
    pub fn open(family: &str, name: &str) -> Self {
        let folder = root().join(family).join("cases").join(name);
        let text = std::fs::read_to_string(folder.join("case.json")).unwrap_or_else(|error| panic!("{name}: {error}"));
        Self {
            name: name.into(),
            description: serde_json::from_str(&text).unwrap(),
            bytes: std::fs::read(folder.join("expected.safetensors")).unwrap(),
        }
    }

    /// All cases of a family, by name.
    pub fn all(family: &str) -> Vec<Self> {
        let folder = root().join(family).join("cases");
        let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
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
            Dtype::F64 => data.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect(),
            Dtype::I64 => data.chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f64).collect(),
            other => panic!("{name}: {other:?} is not read by these tests"),
        })
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
    differences.fold(0f64, |worst, difference| if difference <= worst { worst } else { difference }) / scale
}
