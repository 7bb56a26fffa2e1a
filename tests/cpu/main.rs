//! Tests that need no GPU. Each module says what it guards.

mod bench;
mod golden;
mod random;

mod attention;
mod checkpoint;
mod layering;
mod clip_tokenizer;
mod embed;
mod gemm;
mod noise;
mod norm;
mod planner;
mod quant;
mod safetensors;
mod samplers;
mod sampling;
