//! Tests that need no GPU. Each module says what it guards.

mod golden;
mod noise;
mod planner;
mod samplers;
