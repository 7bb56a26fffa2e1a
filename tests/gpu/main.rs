//! Tests that need a GPU: every kernel against its twin on the CPU. Trials are ignored where there is no adapter, and
//! fail under `GPU=require`. `DARKROOM_ADAPTER` picks an adapter by a part of its name.

mod attention;
mod compare;
mod conv2d;
mod elementwise;
mod embed;
mod harness;
mod image;
mod matmul;
mod norm;
mod pipeline;
mod sampling;

use libtest_mimic::{Arguments, Trial};

fn main() {
    let arguments = Arguments::from_args();
    let adapter = harness::with_gpu(|gpu| gpu.map(|gpu| record_name(&gpu)).map_err(|error| error.to_string()));
    let required = std::env::var("GPU").is_ok_and(|value| value == "require");
    match &adapter {
        Ok(name) => eprintln!("adapter: {name}"),
        Err(error) => eprintln!("no adapter: {error}"),
    }
    let mut trials: Vec<Trial> = compare::trials();
    let mut on_gpu = vec![harness::compile_every_variant()];
    on_gpu.extend(elementwise::trials());
    on_gpu.extend(matmul::trials());
    on_gpu.extend(conv2d::trials());
    on_gpu.extend(attention::trials());
    on_gpu.extend(norm::trials());
    on_gpu.extend(embed::trials());
    on_gpu.extend(image::trials());
    on_gpu.extend(sampling::trials());
    on_gpu.extend(pipeline::trials());
    trials.extend(on_gpu.into_iter().map(|trial| trial.with_ignored_flag(adapter.is_err() && !required)));
    libtest_mimic::run(&arguments, trials).exit();
}

fn record_name(gpu: &darkroom::gpu::Gpu) -> String {
    use darkroom::record::Executor;
    gpu.capabilities().name.clone()
}
