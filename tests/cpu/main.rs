//! Tests that need no GPU. Each module says what it guards.

mod golden;
mod random;

mod checkpoint;
mod noise;
mod planner;
mod safetensors;
mod sampler_runs;
mod sampler_table;
mod samplers;
