//! One case: its description and its tensors, read with the `safetensors` crate, not with the engine's own reader.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

use crate::Result;

/// An expected tensor, widened; every element type of the files fits f64 exactly.
#[derive(Clone, Debug)]
pub struct Expected {
    pub shape: Vec<usize>,
    pub values: Vec<f64>,
}

impl Expected {
    pub fn floats(&self) -> Vec<f32> {
        self.values.iter().map(|&value| value as f32).collect()
    }
}

/// A folder with `case.json`, and `expected.safetensors` where the case has tensors.
pub struct Case {
    pub folder: PathBuf,
    /// `case.json`.
    pub description: Value,
    /// `family/case`.
    pub name: String,
    tensors: BTreeMap<String, Expected>,
}

impl Case {
    /// The folders of all cases at or below a folder, sorted.
    pub fn all_below(folder: &Path) -> Result<Vec<PathBuf>> {
        if folder.join("case.json").is_file() {
            return Ok(vec![folder.to_owned()]);
        }
        let entries = fs::read_dir(folder).map_err(|error| format!("{} cannot be read: {error}", folder.display()))?;
        let mut below: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        below.retain(|path| path.is_dir());
        below.sort();
        let mut found = Vec::new();
        for path in below {
            found.extend(Self::all_below(&path)?);
        }
        Ok(found)
    }

    pub fn open(folder: &Path) -> Result<Self> {
        let description: Value = serde_json::from_slice(&fs::read(folder.join("case.json"))?)?;
        let format = description.get("format").and_then(Value::as_u64);
        if format != Some(1) {
            return Err("case.json is not of format 1".into());
        }
        let part = |key: &str| description.get(key).and_then(Value::as_str).unwrap_or("?").to_owned();
        let name = format!("{}/{}", part("family"), part("case"));
        let file = folder.join("expected.safetensors");
        let tensors = if file.is_file() { read_tensors(&fs::read(file)?)? } else { BTreeMap::new() };
        Ok(Self { folder: folder.to_owned(), description, name, tensors })
    }

    #[cfg(test)]
    pub fn for_tests(name: &str) -> Self {
        Self { folder: PathBuf::new(), description: Value::Null, name: name.into(), tensors: BTreeMap::new() }
    }

    pub fn family(&self) -> &str {
        self.text("family").unwrap_or("?")
    }

    /// The value of a key of `case.json`.
    pub fn value(&self, key: &str) -> Result<&Value> {
        self.description.get(key).ok_or_else(|| format!("case.json has no {key}").into())
    }

    pub fn text(&self, key: &str) -> Result<&str> {
        self.value(key)?.as_str().ok_or_else(|| format!("{key} is no text").into())
    }

    /// A file or folder that `case.json` names, relative to the case.
    pub fn path(&self, key: &str) -> Result<PathBuf> {
        Ok(self.folder.join(self.text(key)?))
    }

    pub fn tensor_names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    pub fn find(&self, name: &str) -> Option<&Expected> {
        self.tensors.get(name)
    }

    pub fn tensor(&self, name: &str) -> Result<&Expected> {
        self.find(name).ok_or_else(|| format!("expected.safetensors has no tensor {name}").into())
    }
}

fn read_tensors(bytes: &[u8]) -> Result<BTreeMap<String, Expected>> {
    let mut tensors = BTreeMap::new();
    for (name, view) in SafeTensors::deserialize(bytes)?.tensors() {
        let values =
            widened(view.dtype(), view.data()).ok_or_else(|| format!("{name} is of type {:?}", view.dtype()))?;
        tensors.insert(name, Expected { shape: view.shape().to_vec(), values });
    }
    Ok(tensors)
}

fn widened(dtype: Dtype, data: &[u8]) -> Option<Vec<f64>> {
    fn each<const N: usize>(data: &[u8], read: fn([u8; N]) -> f64) -> Vec<f64> {
        data.as_chunks::<N>().0.iter().map(|&bytes| read(bytes)).collect()
    }
    Some(match dtype {
        Dtype::F64 => each(data, f64::from_le_bytes),
        Dtype::F32 => each(data, |bytes| f32::from_le_bytes(bytes).into()),
        Dtype::F16 => each(data, |bytes| f16::from_le_bytes(bytes).into()),
        Dtype::BF16 => each(data, |bytes| bf16::from_le_bytes(bytes).into()),
        // Ids, timesteps and words of 32 bits.
        Dtype::I64 => each(data, |bytes| i64::from_le_bytes(bytes) as f64),
        Dtype::I32 => each(data, |bytes| i32::from_le_bytes(bytes).into()),
        Dtype::U8 | Dtype::BOOL => each(data, |[byte]: [u8; 1]| byte.into()),
        _ => return None,
    })
}
