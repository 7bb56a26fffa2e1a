//! npm packages: the page's and the build tool's own.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;

/// Vite and Vitest ask for it.
const OLDEST_NODE: (u32, u32) = (20, 19);

/// Installs the packages of a folder's lock file, unless just those are installed already.
pub fn install(folder: &Path) -> Result<()> {
    let lock = folder.join("package-lock.json");
    let wanted = fs::read(&lock).with_context(|| format!("{} is missing", lock.display()))?;
    // A copy of the lock file tells more than dates, which a checkout changes. `npm ci` starts by removing it.
    let installed = folder.join("node_modules/.installed-lock.json");
    if fs::read(&installed).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    println!("Installing the npm packages of {}.", folder.display());
    npm(folder, &["ci", "--no-audit", "--no-fund"])?;
    Ok(fs::write(installed, wanted)?)
}

/// Runs npm in a folder.
pub fn npm(folder: &Path, arguments: &[&str]) -> Result<()> {
    process::run(&mut npm_command(folder, arguments)?)
}

/// An npm command in a folder; fails with the remedy where Node.js or npm is absent or too old.
pub fn npm_command(folder: &Path, arguments: &[&str]) -> Result<Command> {
    check_node()?;
    let mut command = Command::new("npm");
    command.current_dir(folder).args(arguments);
    Ok(command)
}

fn check_node() -> Result<()> {
    let (major, minor) = OLDEST_NODE;
    let remedy = format!(
        "install Node.js {major}.{minor} or later with npm, from nodejs.org or as your system's packages `nodejs` and `npm`"
    );
    let Some(version) = process::output(Command::new("node").arg("--version")) else {
        bail!("the page is built with Node.js, which is not installed: {remedy}");
    };
    let mut numbers = version.trim().trim_start_matches('v').split('.').map_while(|number| number.parse().ok());
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found < OLDEST_NODE {
        bail!("the page is built with Node.js, and {} is too old: {remedy}", version.trim());
    }
    if !process::is_installed("npm") {
        bail!("Node.js is installed without npm: {remedy}");
    }
    Ok(())
}
