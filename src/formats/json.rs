//! JSON as model repositories hold it: configurations, indexes and headers.
//!
//! Decision: `serde_json`, strict, with one allowance: Python writes infinities bare (`-Infinity` in
//! DPM-Solver schedulers), so these words are read as the strings `"-inf"`, `"inf"` and `"nan"`, and [`number`] turns
//! both spellings into numbers. Rejected: a lenient parser (JSON5), which would also hide files that are broken.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};

/// Reads a configuration; `name` is that of the file, for messages.
pub fn parse(name: &str, bytes: &[u8]) -> Result<Value> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Error::new(ErrorKind::Malformed, format!("{name} is not UTF-8 text, so it cannot be JSON")))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    serde_json::from_str(text)
        .or_else(|strict| serde_json::from_str(&quote_infinities(text)).map_err(|_| strict))
        .map_err(|error| Error::new(ErrorKind::Malformed, format!("{name} is not valid JSON: {error}")))
}

/// A number, or an infinity in either spelling.
pub fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(word) => match word.as_str() {
            "inf" => Some(f64::INFINITY),
            "-inf" => Some(f64::NEG_INFINITY),
            "nan" => Some(f64::NAN),
            _ => None,
        },
        _ => None,
    }
}

/// Puts quotes around the bare words that Python writes for infinities and NaN; text within strings stays.
fn quote_infinities(text: &str) -> String {
    const WORDS: [(&str, &str); 3] = [("-Infinity", "\"-inf\""), ("Infinity", "\"inf\""), ("NaN", "\"nan\"")];
    let mut quoted = String::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    let mut characters = text.chars();
    loop {
        let rest = characters.as_str();
        let word = WORDS.iter().find(|(bare, _)| !in_string && rest.starts_with(bare));
        if let Some((bare, replacement)) = word {
            quoted.push_str(replacement);
            characters = rest.get(bare.len()..).unwrap_or_default().chars();
            continue;
        }
        let Some(character) = characters.next() else { return quoted };
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = in_string,
            '"' => in_string = !in_string,
            _ => {}
        }
        quoted.push(character);
    }
}

/// An object whose keys may not repeat. `serde_json` keeps the last of two, and two readers of one file could then see
/// different tensors.
#[derive(Clone, Debug)]
pub struct UniqueMap<V>(pub BTreeMap<String, V>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for UniqueMap<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(UniqueMapVisitor(PhantomData))
    }
}

struct UniqueMapVisitor<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for UniqueMapVisitor<V> {
    type Value = UniqueMap<V>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> std::result::Result<Self::Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some(key) = access.next_key::<String>()? {
            match map.entry(key) {
                Entry::Vacant(vacant) => {
                    vacant.insert(access.next_value()?);
                }
                Entry::Occupied(occupied) => {
                    return Err(A::Error::custom(format_args!("the name {} occurs twice", occupied.key())));
                }
            }
        }
        Ok(UniqueMap(map))
    }
}
