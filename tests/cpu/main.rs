//! Tests that need no GPU. Each module says what it guards.

mod golden;
mod random;

mod checkpoint;
mod clip_tokenizer;
mod gemm;
mod gguf;
mod layering;
mod noise;
mod planner;
mod prompt;
mod quant;
mod safetensors;
mod sampler_runs;
mod sampler_table;
mod samplers;
