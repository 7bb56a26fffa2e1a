//! Tests that need no GPU. Each module says what it guards.

mod layering;
mod planner;
