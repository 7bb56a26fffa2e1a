//! The engine for the browser: compiled to wasm, given its JavaScript by wasm-bindgen, made small by Binaryen.
//!
//! Decision: wasm-bindgen runs as a library, pinned to the version of the crate, so that no tool must be installed and
//! the two cannot differ. Rejected: wasm-pack, which downloads binaries at build time.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::process::{self, Cargo, root};
use crate::{install, packages};

pub const TARGET: &str = "wasm32-unknown-unknown";
const NAME: &str = "darkroom";

/// What compiles for the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toolchain {
    /// The Rust in use, with the target installed.
    Rustup,
    /// Debian's `rustc-web`, which builds the standard library from its source.
    Debian,
}

/// How to build.
pub struct Options {
    /// The cargo profile, `wasm` or `dev`.
    pub profile: String,
    /// Whether Binaryen makes it small.
    pub small: bool,
    /// None: whatever serves.
    pub toolchain: Option<Toolchain>,
}

impl Default for Options {
    fn default() -> Self {
        Self { profile: "wasm".into(), small: true, toolchain: None }
    }
}

/// The package that the page imports: `darkroom.js`, `darkroom_bg.wasm` and their types.
fn package() -> PathBuf {
    root().join("www/src/engine/pkg")
}

/// Builds the package and prints its size.
pub fn build(options: &Options) -> Result<()> {
    let compiled = compile(options)?;
    let bytes = fs::read(&compiled).with_context(|| format!("{} cannot be read", compiled.display()))?;

    // Binding and shrinking take seconds, so they are left out where nothing has changed.
    let mut hasher = DefaultHasher::new();
    (&bytes, options.small, include_str!("wasm.rs")).hash(&mut hasher);
    let state = format!("{:016x}", hasher.finish());
    let stamp = package().join(".built-from");
    if fs::read_to_string(&stamp).is_ok_and(|built| built == state) {
        return Ok(());
    }

    bind(&compiled)?;
    if options.small {
        shrink()?;
    }
    report()?;
    Ok(fs::write(stamp, state)?)
}

fn compile(options: &Options) -> Result<PathBuf> {
    let toolchain = match options.toolchain {
        Some(Toolchain::Debian) => install::debian_rust().map(|()| Toolchain::Debian)?,
        Some(Toolchain::Rustup) => Toolchain::Rustup,
        None => install::wasm_target()?,
    };
    let target_directory =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |folder| root().join(folder));
    // Debian's compiler gets a folder of its own: sharing one would compile everything anew at each change.
    let target_directory = match toolchain {
        Toolchain::Rustup => target_directory,
        Toolchain::Debian => target_directory.join("debian"),
    };
    let start = Instant::now();
    println!("Compiling the engine for the browser (profile {}).", options.profile);
    let arguments = ["rustc", "--quiet", "--package", NAME, "--lib", "--crate-type", "cdylib", "--target", TARGET];
    let cargo = Cargo::new::<&str>(&[])
        .environment("CARGO_TARGET_DIR", &target_directory)
        .arguments(&arguments)
        .arguments(&["--profile", &options.profile]);
    match toolchain {
        Toolchain::Rustup => cargo,
        Toolchain::Debian => with_debian(cargo)?,
    }
    .run()?;
    println!("  compiled in {:.0} s", start.elapsed().as_secs_f64());
    let folder = if options.profile == "dev" { "debug" } else { &options.profile };
    Ok(target_directory.join(TARGET).join(folder).join(format!("{NAME}.wasm")))
}

/// Debian's compiler has no linker for wasm of its own; Rust's does.
fn with_debian(cargo: Cargo) -> Result<Cargo> {
    let linker = install::sysroot()
        .and_then(|sysroot| {
            let hosts = fs::read_dir(sysroot.join("lib/rustlib")).ok()?;
            hosts.filter_map(|host| Some(host.ok()?.path().join("bin/rust-lld"))).find(|linker| linker.is_file())
        })
        .or_else(|| process::find("wasm-ld"))
        .context("no linker for wasm is installed: install rustup's stable Rust, or Debian's package `lld`")?;
    println!("  with Debian's rustc-web and the standard library built from source");
    Ok(cargo
        .with_program("/usr/bin/cargo")
        .environment("RUSTC", "/usr/bin/rustc")
        .environment("RUSTC_BOOTSTRAP", "1")
        .environment("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker)
        .arguments(&["-Z", "build-std=std,panic_abort"]))
}

fn bind(compiled: &Path) -> Result<()> {
    let package = package();
    if package.exists() {
        fs::remove_dir_all(&package)?;
    }
    wasm_bindgen_cli_support::Bindgen::new()
        .input_path(compiled)
        .out_name(NAME)
        .web(true)
        // With the module's path in it, the page's bundler finds the wasm and gives it a name by content.
        .and_then(|bindgen| bindgen.omit_default_module_path(false).typescript(true).generate(&package))
        .map_err(|error| anyhow!("wasm-bindgen failed: {error:#}"))
}

/// The features that rustc lets LLVM use (`rustc --print target-features`, and `.cargo/config.toml`).
const FEATURES: [&str; 8] = [
    "--enable-bulk-memory",
    "--enable-bulk-memory-opt",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
    "--enable-simd",
];

fn shrink() -> Result<()> {
    let start = Instant::now();
    let tools = root().join("xtask");
    packages::install(&tools)?;
    let wasm = package().join(format!("{NAME}_bg.wasm"));
    let small = wasm.with_extension("small.wasm");
    let mut command = packages::npm_command(&tools, &["exec", "--offline", "--", "wasm-opt", "-Oz"])?;
    process::run(command.args(FEATURES).arg(&wasm).arg("--output").arg(&small))?;
    fs::rename(small, wasm)?;
    println!("  made small by Binaryen in {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}

fn report() -> Result<()> {
    let bytes = fs::read(package().join(format!("{NAME}_bg.wasm")))?;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&bytes)?;
    let packed = encoder.finish()?.len();
    println!("  {NAME}_bg.wasm: {} bytes, {packed} bytes gzip", bytes.len());
    Ok(())
}
