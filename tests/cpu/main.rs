//! Tests that need no GPU. Each module says what it guards.

mod bench;
mod golden;
mod random;

mod attention;
mod checkpoint;
mod clip_tokenizer;
mod embed;
mod gemm;
mod gguf;
mod layering;
mod noise;
mod norm;
mod planner;
mod prompt;
mod quant;
mod safetensors;
mod sampler_runs;
mod sampler_table;
mod samplers;
mod sampling;
