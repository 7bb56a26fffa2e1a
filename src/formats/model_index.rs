//! `model_index.json`: which pipeline a folder holds, and of which parts it is made.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind, Result};
use crate::formats::json;

/// A part of a pipeline, as the folder names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// The Python library that defines the class, e.g. `diffusers`.
    pub library: String,
    /// E.g. `UNet2DConditionModel`.
    pub class: String,
}

/// A pipeline's class, parts and settings.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelIndex {
    /// E.g. `StableDiffusionPipeline`.
    pub class: String,
    /// By folder name, e.g. `unet`; parts that the pipeline does without (`[null, null]`) are left out.
    pub components: BTreeMap<String, Component>,
    /// Everything else but names that begin with an underscore, e.g. `force_zeros_for_empty_prompt`.
    pub settings: Map<String, Value>,
}

impl ModelIndex {
    /// Reads the index; `name` is that of the file, for messages.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self> {
        let malformed = |message: String| Error::new(ErrorKind::Malformed, format!("{name}: {message}"));
        let Value::Object(object) = json::parse(name, bytes)? else {
            return Err(malformed("a model index must be an object".into()));
        };
        let class = object.get("_class_name").and_then(Value::as_str).map(str::to_owned);
        let class = class.ok_or_else(|| malformed("the pipeline's class (_class_name) is missing".into()))?;
        let mut index = Self { class, components: BTreeMap::new(), settings: Map::new() };
        for (part, value) in object {
            match &value {
                _ if part.starts_with('_') => {}
                Value::Array(pair) => match pair.as_slice() {
                    // A class of the repository itself has its Python file's name, or null, for a library.
                    [library, Value::String(class)] => {
                        let library = library.as_str().unwrap_or_default().to_owned();
                        index.components.insert(part, Component { library, class: class.clone() });
                    }
                    [_, Value::Null] => {}
                    _ => return Err(malformed(format!("the part {part} is not a pair of library and class"))),
                },
                _ => {
                    index.settings.insert(part, value);
                }
            }
        }
        Ok(index)
    }

    /// The class of a part, or `NotFound` where the pipeline has no such part.
    pub fn component(&self, part: &str) -> Result<&Component> {
        self.components
            .get(part)
            .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("the {} has no part named {part}", self.class)))
    }
}
