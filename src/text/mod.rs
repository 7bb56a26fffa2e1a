//! Prompt to token ids.

pub mod cleaning;
pub mod clip_tokenizer;
pub mod entities;
pub mod merges;
pub mod prompt;
