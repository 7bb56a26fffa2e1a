//! Running other programs: every failure names the command, and output can be passed on and counted at once.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The workspace's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Whether a program of this name is on the path.
pub fn is_installed(program: &str) -> bool {
    find(program).is_some()
}

/// The program's file on the path.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// The command as one would type it.
pub fn spelled(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

/// Runs a command and fails where it does.
pub fn run(command: &mut Command) -> Result<()> {
    if succeeds(command)? { Ok(()) } else { bail!("`{}` failed", spelled(command)) }
}

/// Runs a command; whether it exited with success.
pub fn succeeds(command: &mut Command) -> Result<bool> {
    Ok(command.status().with_context(|| format!("`{}` cannot be started", spelled(command)))?.success())
}

/// Runs a command quietly; its standard output where it succeeded.
pub fn output(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a command whose output is shown as it comes, and kept: (success, standard output).
pub fn run_and_keep(command: &mut Command) -> Result<(bool, String)> {
    let cannot = || format!("`{}` cannot be run", spelled(command));
    let name = cannot();
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| name.clone())?;
    let mut kept = Vec::new();
    if let Some(mut stdout) = child.stdout.take() {
        let mut chunk = [0; 4096];
        loop {
            let length = stdout.read(&mut chunk).with_context(|| name.clone())?;
            let Some(read) = chunk.get(..length).filter(|read| !read.is_empty()) else { break };
            kept.extend_from_slice(read);
            let mut shown = std::io::stdout().lock();
            shown.write_all(read)?;
            shown.flush()?;
        }
    }
    let status = child.wait().with_context(|| name.clone())?;
    Ok((status.success(), String::from_utf8_lossy(&kept).into_owned()))
}

/// A cargo command in the workspace.
pub struct Cargo {
    command: Command,
}

impl Cargo {
    pub fn new<S: AsRef<OsStr>>(arguments: &[S]) -> Self {
        let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
        let mut command = Command::new(program);
        command.current_dir(root()).args(arguments);
        // Set by the cargo that runs this program; inherited, they would describe xtask to build scripts.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CARGO_PKG_") {
                command.env_remove(name);
            }
        }
        command.env_remove("CARGO_MANIFEST_DIR").env_remove("CARGO_MANIFEST_PATH");
        Self { command }
    }

    #[must_use]
    pub fn arguments<S: AsRef<OsStr>>(mut self, arguments: &[S]) -> Self {
        self.command.args(arguments);
        self
    }

    /// The same command given to another cargo, free of rustup's choice of toolchain.
    #[must_use]
    pub fn with_program(self, program: &str) -> Self {
        let mut command = Command::new(program);
        command.args(self.command.get_args()).current_dir(root());
        for (name, value) in self.command.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO");
        Self { command }
    }

    #[must_use]
    pub fn environment(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs where the caller stands, so that their relative paths hold.
    pub fn in_current_directory(mut self) -> Result<Self> {
        self.command.current_dir(std::env::current_dir()?);
        Ok(self)
    }

    pub fn run(&mut self) -> Result<()> {
        run(&mut self.command)
    }

    pub fn status(&mut self) -> Result<bool> {
        succeeds(&mut self.command)
    }

    pub fn into_command(self) -> Command {
        self.command
    }
}
