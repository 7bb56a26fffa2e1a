//! The project's build tool: `cargo xtask help`.
//!
//! Decision: a program in the workspace, so that building, serving and testing need Rust and Node alone and read the
//! same on every system. It does not link the engine: what must (`golden`) is a target of the engine's own package and
//! is started through cargo. Rejected: shell scripts, which hide what they need; a build tool that compiles the engine
//! for the host before it can serve a page.

mod commands;
mod install;
mod packages;
mod picture;
mod process;
mod server;
mod synth;
mod tally;
mod test;
mod wasm;

use std::process::ExitCode;

fn main() -> ExitCode {
    match commands::run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
