//! Tests that need no GPU. Each module says what it guards.

mod golden;
mod random;

mod checkpoint;
mod clip_tokenizer;
mod gguf;
mod planner;
mod prompt;
mod safetensors;
