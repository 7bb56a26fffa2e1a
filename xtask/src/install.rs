//! What the system has to offer, and installing it where that is possible: Debian packages, the wasm target.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{self, root};
use crate::wasm::{TARGET, Toolchain};

/// A program or file that tests need, and the Debian package that brings it.
pub struct Need {
    pub package: &'static str,
    pub purpose: &'static str,
    pub is_met: fn() -> bool,
}

/// Software Vulkan and the browser.
pub const FOR_TESTS: &[Need] = &[
    Need { package: "libvulkan1", purpose: "the Vulkan loader", is_met: has_vulkan_loader },
    Need { package: "mesa-vulkan-drivers", purpose: "the software adapter lavapipe", is_met: has_lavapipe },
    Need { package: "chromium", purpose: "the browser of the page's tests", is_met: has_chromium },
];

/// Lavapipe's description for the Vulkan loader.
pub fn lavapipe() -> Option<PathBuf> {
    driver_in(Path::new("/usr/share/vulkan/icd.d"), "lvp_icd.")
}

/// SwiftShader's description for the Vulkan loader, as Debian's Chromium brings it.
pub fn swiftshader() -> Option<PathBuf> {
    driver_in(Path::new("/usr/lib/chromium"), "vk_swiftshader_icd.")
}

fn driver_in(folder: &Path, start: &str) -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(start)))
        .collect();
    found.sort();
    // Where both are installed, the 64-bit one comes last: i686 sorts before x86_64.
    found.pop()
}

fn has_vulkan_loader() -> bool {
    ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"]
        .iter()
        .any(|folder| Path::new(folder).join("libvulkan.so.1").exists())
}

fn has_lavapipe() -> bool {
    lavapipe().is_some()
}

fn has_chromium() -> bool {
    std::env::var_os("CHROMIUM").is_some() || process::is_installed("chromium")
}

/// Installs what is missing of `needs`, or names it in one sentence.
pub fn debian_packages(needs: &[Need]) -> Result<()> {
    let missing: Vec<&Need> = needs.iter().filter(|need| !(need.is_met)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = missing.iter().map(|need| format!("{} ({})", need.package, need.purpose)).collect();
    let names: Vec<&str> = missing.iter().map(|need| need.package).collect();
    println!("Installing with apt: {}.", list.join(", "));
    apt_install(&names).with_context(|| {
        format!("the tests need {}: install with `sudo apt-get install {}`", list.join(", "), names.join(" "))
    })?;
    match missing.iter().find(|need| !(need.is_met)()) {
        None => Ok(()),
        Some(need) => bail!("{} was installed, but {} is still not found", need.package, need.purpose),
    }
}

fn apt_install(packages: &[&str]) -> Result<()> {
    if !process::is_installed("apt-get") {
        bail!("this system has no apt");
    }
    let is_root = process::output(Command::new("id").arg("-u")).is_some_and(|id| id.trim() == "0");
    let apt = |arguments: &[&str]| {
        let mut command = if is_root {
            Command::new("apt-get")
        } else {
            let mut command = Command::new("sudo");
            // Asks no password: a test run must not stop and wait.
            command.args(["--non-interactive", "apt-get"]);
            command
        };
        process::run(command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    apt(&["update", "--quiet=2"])?;
    let mut arguments = vec!["install", "--yes", "--quiet=2", "--no-install-recommends"];
    arguments.extend(packages);
    apt(&arguments)
}

/// Makes sure that something can compile for wasm32, and says what it is.
pub fn wasm_target() -> Result<Toolchain> {
    if has_wasm_target() {
        return Ok(Toolchain::Rustup);
    }
    if process::is_installed("rustup") {
        println!("Rust's target {TARGET} is missing; adding it with rustup.");
        let added = process::succeeds(Command::new("rustup").current_dir(root()).args(["target", "add", TARGET]))?;
        if added && has_wasm_target() {
            return Ok(Toolchain::Rustup);
        }
        println!("rustup could not add it; turning to Debian's rustc-web, which builds the standard library itself.");
    }
    debian_rust()?;
    Ok(Toolchain::Debian)
}

/// Installs Debian's Rust for the web, with the standard library's source.
pub fn debian_rust() -> Result<()> {
    let is_there = || {
        Path::new("/usr/bin/rustc").exists()
            && Path::new("/usr/bin/cargo").exists()
            && debian_library_source().is_some_and(|source| source.exists())
    };
    if !is_there() {
        let packages = ["rustc-web", "cargo-web", "rust-web-src"];
        println!("Installing with apt: {}.", packages.join(", "));
        apt_install(&packages).with_context(|| {
            format!("Rust's target {TARGET} is missing: add it with `rustup target add {TARGET}` and try again")
        })?;
    }
    if is_there() {
        Ok(())
    } else {
        bail!("Debian's rustc-web is installed, but without the standard library's source")
    }
}

/// The standard library's manifest that `-Z build-std` reads.
fn debian_library_source() -> Option<PathBuf> {
    let sysroot = process::output(Command::new("/usr/bin/rustc").args(["--print", "sysroot"]))?;
    Some(Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/Cargo.toml"))
}

/// Where the installed Rust keeps its libraries and tools.
pub fn sysroot() -> Option<PathBuf> {
    let sysroot = process::output(Command::new("rustc").current_dir(root()).args(["--print", "sysroot"]))?;
    Some(PathBuf::from(sysroot.trim()))
}

// Asks the compiler and not rustup: a distribution's Rust may bring the target, too.
fn has_wasm_target() -> bool {
    sysroot().is_some_and(|sysroot| sysroot.join("lib/rustlib").join(TARGET).join("lib").is_dir())
}
