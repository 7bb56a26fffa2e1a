//! Imports go downward only, `wgpu` stays in `gpu/` and `JsValue` in `web/`.
//!
//! The scan reads the sources without comments and strings, and follows `crate::…`, grouped imports and `super::…` that
//! leaves its folder. The table is the one of `ARCHITECTURE.md`, which is compared with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Each folder or file of `src/`, and what it may import beside itself.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("tensor", &["error"]),
    ("formats", &["tensor", "error"]),
    ("quant", &["tensor", "error"]),
    ("source", &["error"]),
    ("text", &["error"]),
    ("sampler", &["error"]),
    ("record", &["tensor", "error"]),
    ("ops", &["record", "quant", "tensor", "error"]),
    ("nn", &["ops", "record", "quant", "tensor", "error"]),
    ("models", &["nn", "ops", "formats", "quant", "source", "record", "tensor", "error"]),
    ("pipeline", &["models", "sampler", "text", "ops", "formats", "source", "record", "tensor", "error"]),
    ("reference", &["record", "quant", "tensor", "error"]),
    ("gpu", &["record", "tensor", "error"]),
    ("web", &["pipeline", "models", "gpu", "sampler", "source", "record", "tensor", "error"]),
];

/// Names that one folder alone may use.
const CONFINED: &[(&str, &str)] = &[("wgpu", "gpu"), ("JsValue", "web")];

/// A file of `src/`: its module path and its text.
struct Source {
    /// `["ops", "matmul"]` for `src/ops/matmul.rs`, `["ops"]` for `src/ops/mod.rs`, none for `src/lib.rs`.
    module: Vec<String>,
    text: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        let mut module: Vec<String> = path.trim_end_matches(".rs").split('/').map(String::from).collect();
        if module.last().is_some_and(|last| last == "mod" || last == "lib") {
            module.pop();
        }
        Self { module, text: without_comments_and_strings(text) }
    }

    fn folder(&self) -> &str {
        self.module.first().map_or("lib", String::as_str)
    }

    /// The top-level modules that this file names.
    fn imports(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for (place, _) in self.text.match_indices("crate::") {
            found.extend(first_names(&self.text[place + "crate::".len()..]));
        }
        // `super` as often as the module is deep leads to the root of the crate.
        let to_root = "super::".repeat(self.module.len());
        if !to_root.is_empty() {
            for (place, _) in self.text.match_indices(&to_root) {
                found.extend(first_names(&self.text[place + to_root.len()..]));
            }
        }
        found.retain(|name| MAY_IMPORT.iter().any(|(folder, _)| folder == name));
        found
    }

    fn faults(&self) -> Vec<String> {
        let place = format!("src/{}", self.module.join("/"));
        let mut faults = Vec::new();
        if self.folder() != "lib" {
            match MAY_IMPORT.iter().find(|(folder, _)| *folder == self.folder()) {
                None => faults.push(format!("{place} has no row in the table")),
                Some((folder, allowed)) => faults.extend(
                    self.imports()
                        .iter()
                        .filter(|name| name != folder && !allowed.contains(&name.as_str()))
                        .map(|name| format!("{place} may not import {name}")),
                ),
            }
        }
        for (name, home) in CONFINED {
            if self.folder() != *home && words(&self.text).any(|word| word == *name) {
                faults.push(format!("{place} names {name}, which only {home}/ may"));
            }
        }
        faults
    }
}

/// Names at the start of a path: one, or those of a `{…}` group.
fn first_names(rest: &str) -> Vec<String> {
    let Some(group) = rest.strip_prefix('{') else { return words(rest).take(1).map(String::from).collect() };
    let mut names = Vec::new();
    let (mut depth, mut start) = (0_i32, 0);
    for (place, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' | ',' if depth == 0 => {
                names.extend(words(&group[start..place]).next().map(String::from));
                start = place + 1;
                if character == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    names
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_alphanumeric() && character != '_').filter(|word| !word.is_empty())
}

/// Blanks comments, strings and character literals, which may name anything.
fn without_comments_and_strings(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let at = |index: usize| characters.get(index).copied().unwrap_or('\0');
    let mut plain = String::new();
    let mut index = 0;
    while index < characters.len() {
        let end = match (at(index), at(index + 1)) {
            ('/', '/') => find_from(&characters, index, "\n"),
            ('/', '*') => find_from(&characters, index + 2, "*/"),
            ('r', '"' | '#') if !plain.ends_with(|last: char| last.is_alphanumeric() || last == '_') => {
                let hashes = characters[index + 1..].iter().take_while(|&&character| character == '#').count();
                if at(index + 1 + hashes) == '"' {
                    find_from(&characters, index + 2 + hashes, &format!("\"{}", "#".repeat(hashes)))
                } else {
                    index
                }
            }
            ('"', _) => closing(&characters, index + 1, '"'),
            // A lifetime has no closing quote right after one character.
            ('\'', '\\') => closing(&characters, index + 1, '\''),
            ('\'', _) if at(index + 2) == '\'' => index + 3,
            _ => index,
        };
        if end == index {
            plain.push(at(index));
            index += 1;
        } else {
            plain.push(' ');
            index = end;
        }
    }
    plain
}

/// The place after the next `pattern`.
fn find_from(characters: &[char], start: usize, pattern: &str) -> usize {
    let pattern: Vec<char> = pattern.chars().collect();
    (start..characters.len())
        .find(|&index| characters[index..].starts_with(&pattern))
        .map_or(characters.len(), |index| index + pattern.len())
}

/// The place after the closing quote, backslashes honoured.
fn closing(characters: &[char], start: usize, quote: char) -> usize {
    let mut index = start;
    while index < characters.len() && characters[index] != quote {
        index += if characters[index] == '\\' { 2 } else { 1 };
    }
    index + 1
}

fn sources(folder: &Path, prefix: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            found.extend(sources(&path, &format!("{prefix}{name}/")));
        } else if name.ends_with(".rs") {
            found.push(Source::new(&format!("{prefix}{name}"), &fs::read_to_string(&path).unwrap()));
        }
    }
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn imports_go_downward() {
    let sources = sources(&root().join("src"), "");
    assert!(sources.iter().filter(|source| !source.imports().is_empty()).count() > 5, "the scan finds no imports");
    let faults: Vec<String> = sources.iter().flat_map(Source::faults).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_table_itself_goes_downward() {
    let rows: BTreeMap<&str, &[&str]> = MAY_IMPORT.iter().copied().collect();
    for (folder, allowed) in MAY_IMPORT {
        for name in *allowed {
            let below = rows.get(name).unwrap_or_else(|| panic!("{folder} imports {name}, which has no row"));
            assert!(!below.contains(folder), "{folder} and {name} import each other");
        }
    }
}

#[test]
fn the_documented_table_is_this_one() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let documented: BTreeMap<String, BTreeSet<String>> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | imports "))
        .map(|(folder, rest)| {
            let imports = rest.split('|').next().unwrap_or_default();
            (folder.to_owned(), words(imports).filter(|word| *word != "nothing").map(String::from).collect())
        })
        .collect();
    let enforced: BTreeMap<String, BTreeSet<String>> = MAY_IMPORT
        .iter()
        .map(|(folder, allowed)| ((*folder).into(), allowed.iter().map(|&name| name.into()).collect()))
        .collect();
    assert_eq!(documented, enforced);
}

#[test]
fn breaches_are_found() {
    let breaches = [
        ("sampler/euler.rs", "use crate::record::Tensor;", "src/sampler/euler may not import record"),
        (
            "ops/mod.rs",
            "use crate::{\n    error::{Error, Result},\n    models::unet,\n};",
            "src/ops may not import models",
        ),
        ("formats/gguf.rs", "fn f() -> crate::source::X {}", "src/formats/gguf may not import source"),
        ("nn/linear.rs", "use super::super::gpu::Device;", "src/nn/linear may not import gpu"),
        ("nn/mod.rs", "use super::{ops, web};", "src/nn may not import web"),
        ("pipeline/mod.rs", "fn f(device: &wgpu::Device) {}", "src/pipeline names wgpu, which only gpu/ may"),
        ("gpu/mod.rs", "fn f(value: JsValue) {}", "src/gpu names JsValue, which only web/ may"),
        ("extra/mod.rs", "", "src/extra has no row in the table"),
    ];
    for (path, text, fault) in breaches {
        assert_eq!(Source::new(path, text).faults(), [fault]);
    }
}

#[test]
fn what_is_allowed_is_not_reported() {
    let harmless = [
        ("gpu/mod.rs", "use crate::record::Recording; fn f(device: &wgpu::Device) {}"),
        (
            "ops/matmul.rs",
            "//! As in crate::models, wgpu.\nconst A: &str = \"crate::gpu \\\" wgpu\";\nuse crate::tensor::Shape;",
        ),
        ("nn/mod.rs", "mod linear; mod tests { use super::linear; }"),
        ("text/clip.rs", "const A: &str = r#\"crate::gpu \" wgpu\"#; fn f<'a>(x: &'a str) -> char { '\"' } /* wgpu */"),
        ("ops/norm.rs", "use super::elementwise; struct Wgpu; fn wgpu_like() {}"),
    ];
    for (path, text) in harmless {
        assert_eq!(Source::new(path, text).faults(), Vec::<String>::new(), "{path}");
    }
}
