//! Expands every kernel variant listed in `shaders/variants.toml`, validates it with naga, reflects its bindings, and
//! writes the kernel catalogue and the uniform parameter structs.
//!
//! Conditions and imports are WESL's (`wesl`): the community's extension of WGSL, which editors already read. A shader
//! that does not compile fails the build with its place in the expanded text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

use naga::valid::{Capabilities, ShaderStages, SubgroupOperationSet, ValidationFlags, Validator};
use serde::Deserialize;

type Failure = Box<dyn std::error::Error>;

/// One kernel's entry: a variant per element of the axes' product, less those that hold all features of an exclusion.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kernel {
    /// Alternatives; an empty string stands for "none of them".
    #[serde(default)]
    axes: Vec<Vec<String>>,
    #[serde(default)]
    exclude: Vec<Vec<String>>,
}

impl Kernel {
    fn feature_sets(&self) -> Vec<Vec<String>> {
        let mut sets = vec![Vec::new()];
        for axis in &self.axes {
            sets = sets
                .iter()
                .flat_map(|set: &Vec<String>| {
                    axis.iter().map(|feature| {
                        let mut longer = set.clone();
                        if !feature.is_empty() {
                            longer.push(feature.clone());
                        }
                        longer
                    })
                })
                .collect();
        }
        sets.retain(|set| !self.exclude.iter().any(|excluded| excluded.iter().all(|feature| set.contains(feature))));
        sets
    }
}

fn main() -> Result<(), Failure> {
    println!("cargo::rerun-if-changed=shaders");
    println!("cargo::rerun-if-changed=build.rs");
    let list = fs::read_to_string("shaders/variants.toml")?;
    let kernels: BTreeMap<String, Kernel> = toml::from_str(&list)?;
    check_every_shader_is_listed(&kernels)?;

    let mut catalogue = String::from("pub static VARIANTS: &[crate::record::catalogue::KernelVariant] = &[\n");
    let mut structs = String::from("pub mod parameters {\n");
    let mut entries = Vec::new();
    for (kernel, description) in &kernels {
        let mut parameters: Option<String> = None;
        for features in description.feature_sets() {
            let name = std::iter::once(kernel).chain(&features).cloned().collect::<Vec<_>>().join(".");
            let variant = expand(kernel, &features, &description.axes).map_err(|error| format!("{name}: {error}"))?;
            match &parameters {
                Some(first) if *first != variant.parameters => {
                    return Err(format!("{name}: Params differs from the kernel's other variants").into());
                }
                _ => parameters = Some(variant.parameters.clone()),
            }
            entries.push((name.clone(), variant.entry(&name, kernel, &features)));
        }
        if let Some(fields) = parameters {
            writeln!(
                structs,
                "/// Uniform parameters of `shaders/{kernel}.wgsl`, field by field.\n\
                 #[repr(C)]\n#[derive(Clone, Copy, Debug, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]\n\
                 pub struct {}Params {{\n{fields}}}",
                pascal_case(kernel)
            )?;
        }
    }
    entries.sort();
    for (_, entry) in entries {
        catalogue.push_str(&entry);
    }
    catalogue.push_str("];\n");
    structs.push_str("}\n");
    let out = PathBuf::from(env::var("OUT_DIR")?).join("catalogue.rs");
    fs::write(out, catalogue + &structs)?;
    Ok(())
}

fn check_every_shader_is_listed(kernels: &BTreeMap<String, Kernel>) -> Result<(), Failure> {
    for entry in fs::read_dir("shaders")? {
        let path = entry?.path();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if path.extension().is_some_and(|extension| extension == "wgsl") && !kernels.contains_key(&stem) {
            return Err(format!("shaders/{stem}.wgsl is not listed in shaders/variants.toml").into());
        }
    }
    Ok(())
}

struct Variant {
    wgsl: String,
    entry: String,
    workgroup_size: u32,
    shared_bytes: u32,
    parameter_bytes: u32,
    /// Fields of the Rust struct that mirrors `Params`.
    parameters: String,
    bindings: Vec<(String, bool)>,
}

impl Variant {
    fn entry(&self, name: &str, kernel: &str, features: &[String]) -> String {
        let bindings: Vec<String> = self
            .bindings
            .iter()
            .map(|(name, writes)| {
                let access = if *writes { "ReadWrite" } else { "Read" };
                format!(
                    "crate::record::catalogue::BindingInfo {{ name: {name:?}, \
                     access: crate::record::catalogue::BindingAccess::{access} }}"
                )
            })
            .collect();
        format!(
            "crate::record::catalogue::KernelVariant {{ name: {name:?}, kernel: {kernel:?}, features: &{features:?}, \
             wgsl: {:?}, entry: {:?}, workgroup_size: {}, shared_bytes: {}, parameter_bytes: {}, bindings: &[{}], \
             needs_f16: {}, needs_subgroups: {} }},\n",
            self.wgsl,
            self.entry,
            self.workgroup_size,
            self.shared_bytes,
            self.parameter_bytes,
            bindings.join(", "),
            self.wgsl.contains("enable f16;"),
            features.iter().any(|feature| feature == "subgroups"),
        )
    }
}

fn expand(kernel: &str, features: &[String], axes: &[Vec<String>]) -> Result<Variant, Failure> {
    let mut compiler = wesl::Wesl::new("shaders");
    compiler.set_mangler(wesl::ManglerKind::None);
    compiler.use_sourcemap(false);
    for feature in axes.iter().flatten().filter(|feature| !feature.is_empty()) {
        compiler.set_feature(feature, features.contains(feature));
    }
    let root = format!("package::{kernel}").parse().map_err(|error| format!("{error}"))?;
    let wgsl = compiler.compile(&root).map_err(|error| error.to_string())?.to_string();
    reflect(wgsl)
}

fn reflect(wgsl: String) -> Result<Variant, Failure> {
    let module =
        naga::front::wgsl::parse_str(&wgsl).map_err(|error| error.emit_to_string_with_path(&wgsl, "expanded"))?;
    // The third is unpack2x16float() and its reverse, which WebGPU has everywhere.
    let capabilities = Capabilities::SHADER_FLOAT16 | Capabilities::SUBGROUP | Capabilities::SHADER_FLOAT16_IN_FLOAT32;
    Validator::new(ValidationFlags::all(), capabilities)
        .subgroup_stages(ShaderStages::COMPUTE)
        .subgroup_operations(SubgroupOperationSet::all())
        .validate(&module)
        .map_err(|error| error.emit_to_string_with_path(&wgsl, "expanded"))?;
    let [entry] = &module.entry_points[..] else {
        return Err(format!("{} entry points instead of one", module.entry_points.len()).into());
    };
    let [workgroup_size, 1, 1] = entry.workgroup_size else {
        return Err("workgroups must be one-dimensional".into());
    };

    let mut layouter = naga::proc::Layouter::default();
    layouter.update(module.to_ctx())?;
    let mut shared_bytes = 0;
    let mut storage = BTreeMap::new();
    let mut parameters = None;
    for (_, variable) in module.global_variables.iter() {
        match (variable.space, &variable.binding) {
            (naga::AddressSpace::WorkGroup, _) => shared_bytes += layouter[variable.ty].size,
            (naga::AddressSpace::Uniform, Some(binding)) if binding.group == 0 && binding.binding == 0 => {
                parameters = Some(parameter_fields(&module, variable.ty)?);
            }
            (naga::AddressSpace::Storage { access }, Some(binding)) if binding.group == 0 && binding.binding > 0 => {
                let name = variable.name.clone().unwrap_or_default();
                storage.insert(binding.binding, (name, access.contains(naga::StorageAccess::STORE)));
            }
            (naga::AddressSpace::Private, _) => {}
            (space, binding) => return Err(format!("unexpected global {space:?} at {binding:?}").into()),
        }
    }
    if !storage.keys().copied().eq(1..=storage.len() as u32) {
        return Err("storage bindings must be numbered 1, 2, … without gaps".into());
    }
    let (parameters, parameter_bytes) = parameters.ok_or("no uniform Params at @binding(0)")?;
    Ok(Variant {
        entry: entry.name.clone(),
        workgroup_size,
        shared_bytes,
        parameter_bytes,
        parameters,
        bindings: storage.into_values().collect(),
        wgsl,
    })
}

fn parameter_fields(module: &naga::Module, ty: naga::Handle<naga::Type>) -> Result<(String, u32), Failure> {
    let naga::TypeInner::Struct { members, span } = &module.types[ty].inner else {
        return Err("Params must be a struct".into());
    };
    let mut fields = String::new();
    let mut offset = 0;
    for member in members {
        let name = member.name.as_deref().unwrap_or_default();
        if member.offset != offset {
            return Err(
                format!("Params.{name} sits at {}, after {offset} bytes: reorder the fields", member.offset).into()
            );
        }
        let naga::TypeInner::Scalar(scalar) = module.types[member.ty].inner else {
            return Err(format!("Params.{name} must be a u32, i32 or f32").into());
        };
        let kind = match scalar.kind {
            naga::ScalarKind::Uint => "u32",
            naga::ScalarKind::Sint => "i32",
            naga::ScalarKind::Float => "f32",
            other => return Err(format!("Params.{name} is a {other:?}").into()),
        };
        writeln!(fields, "    pub {name}: {kind},")?;
        offset += 4;
    }
    if *span != offset {
        return Err(format!("Params spans {span} bytes for {offset} bytes of fields").into());
    }
    Ok((fields, *span))
}

fn pascal_case(name: &str) -> String {
    name.split('_')
        .map(|word| {
            let mut letters = word.chars();
            letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
        })
        .collect()
}
