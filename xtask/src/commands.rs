//! The command line: one line of help, one parser and one call per command.

use std::ffi::OsString;

use anyhow::{Context, Result, bail};
use lexopt::prelude::*;

use crate::process::{Cargo, root};
use crate::server::Server;
use crate::wasm::{self, Toolchain};
use crate::{install, packages, synth, test};

const HELP: &str = "\
cargo xtask COMMAND

  serve [--port N] [--release]    build the wasm and the page, serve it on localhost (port 8000 by default) and print
                                  the address; --release serves exactly what is published, optimised by Binaryen
  test [--gpu]                    all tests: the engine on software Vulkan (--gpu: on this machine's own adapter), the
                                  golden cases of the quick part, and the page in Chromium; installs what they need
  check                           formatting and lints, native and wasm
  wasm [--profile wasm|dev] [--toolchain rustup|debian]
                                  build the engine for the browser into www/src/engine/pkg
  page                            build the wasm and the page into www/dist
  golden [--adapter NAME] [--activations f32|f16] [--hardware] [--json FILE] [--quick] [--brief] DIR...
                                  run every golden case under each DIR and print a row per compared tensor
  full-size [--quantization NAME] [--hardware] [--size N] DIR
                                  load a checkpoint of full size, tell what it takes, draw one picture in one step, and
                                  check dispatches of that run against the reference executor
  synth MODEL DIR [--seed N]      write a checkpoint of the full published size with random weights; MODEL is one of
                                  sd15, sd21, sd-turbo
";

/// Runs the command; false where it ran and the answer is \"failed\".
pub fn run() -> Result<bool> {
    let mut parser = lexopt::Parser::from_env();
    match parser.next()? {
        Some(Value(command)) => match command.to_string_lossy().as_ref() {
            "serve" => serve(parser),
            "test" => run_tests(parser),
            "check" => no_more(parser).and_then(|()| check()),
            "wasm" => build_wasm(parser),
            "page" => {
                no_more(parser)?;
                build_page(true).map(|()| true)
            }
            command @ ("golden" | "full-size") => engine(command, &parser.raw_args()?.collect::<Vec<_>>()),
            "synth" => write_checkpoint(parser),
            "help" => print_help(),
            other => bail!("there is no command {other}; `cargo xtask help` lists them"),
        },
        None | Some(Long("help") | Short('h')) => print_help(),
        Some(other) => Err(other.unexpected().into()),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of every command")]
fn print_help() -> Result<bool> {
    print!("{HELP}");
    Ok(true)
}

fn no_more(mut parser: lexopt::Parser) -> Result<()> {
    parser.next()?.map_or(Ok(()), |argument| Err(argument.unexpected().into()))
}

fn serve(mut parser: lexopt::Parser) -> Result<bool> {
    let mut port = 8000;
    let mut release = false;
    while let Some(argument) = parser.next()? {
        match argument {
            Long("port") => port = parser.value()?.parse()?,
            Long("release") => release = true,
            other => return Err(other.unexpected().into()),
        }
    }
    build_page(release)?;
    let server = Server::bind(port, root().join("www/dist"), vec![("/models/".into(), root().join("models"))])
        .with_context(|| format!("port {port} cannot be served; choose another with --port"))?;
    println!("\n  Darkroom is at {}\n  (end with Ctrl+C)", server.address());
    server.serve()
}

/// The wasm, then the page that carries it.
pub fn build_page(small: bool) -> Result<()> {
    wasm::build(&wasm::Options { small, ..wasm::Options::default() })?;
    packages::install(&root().join("www"))?;
    packages::npm(&root().join("www"), &["run", "build"])
}

fn run_tests(mut parser: lexopt::Parser) -> Result<bool> {
    let mut software = true;
    while let Some(argument) = parser.next()? {
        match argument {
            Long("gpu") => software = false,
            other => return Err(other.unexpected().into()),
        }
    }
    test::run(software)
}

fn check() -> Result<bool> {
    let clippy = ["clippy", "--workspace", "--all-targets", "--quiet", "--", "--deny", "warnings"];
    Cargo::new(&["fmt", "--all", "--check"]).run()?;
    Cargo::new(&clippy).run()?;
    install::wasm_target()?;
    let wasm = ["clippy", "--package", "darkroom", "--lib", "--quiet", "--target", wasm::TARGET];
    Cargo::new(&wasm).arguments(&["--", "--deny", "warnings"]).run()?;
    Ok(true)
}

fn build_wasm(mut parser: lexopt::Parser) -> Result<bool> {
    let mut options = wasm::Options::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("profile") => {
                options.profile = parser.value()?.string()?;
                options.small = options.profile == "wasm";
            }
            Long("toolchain") => {
                options.toolchain = Some(match parser.value()?.string()?.as_str() {
                    "rustup" => Toolchain::Rustup,
                    "debian" => Toolchain::Debian,
                    other => bail!("--toolchain is rustup or debian, not {other}"),
                });
            }
            other => return Err(other.unexpected().into()),
        }
    }
    if !["wasm", "dev"].contains(&options.profile.as_str()) {
        bail!("--profile is wasm or dev, not {}", options.profile);
    }
    wasm::build(&options)?;
    Ok(true)
}

/// Hands over to the engine's own package, which links what is compared.
fn engine(command: &str, arguments: &[OsString]) -> Result<bool> {
    test::engine_command(command).arguments(arguments).in_current_directory()?.status()
}

fn write_checkpoint(mut parser: lexopt::Parser) -> Result<bool> {
    let mut places = Vec::new();
    let mut seed = 0;
    while let Some(argument) = parser.next()? {
        match argument {
            Value(value) => places.push(value),
            Long("seed") => seed = parser.value()?.parse()?,
            other => return Err(other.unexpected().into()),
        }
    }
    let [model, folder] = places.as_slice() else { bail!("usage: cargo xtask synth MODEL DIR [--seed N]") };
    synth::write(&model.to_string_lossy(), folder.as_ref(), seed)?;
    Ok(true)
}
