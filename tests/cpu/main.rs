//! Tests that need no GPU. Each module says what it guards.

mod golden;
mod random;

mod checkpoint;
mod layering;
mod planner;
mod safetensors;
