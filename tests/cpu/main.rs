//! Tests that need no GPU. Each module says what it guards.

mod gemm;
mod planner;
mod quant;
