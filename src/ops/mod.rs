//! Operations by family: shape contract, choice of the kernel variant, recording.
//!
//! Decision: one function per operation whose optional parts (bias, residual, activation, gate) are fields of an
//! epilogue, so that fusion is asked for where the model is written down. Rejected: a graph compiler that finds it.

pub mod attention;
pub mod conv2d;
pub mod elementwise;
pub mod embed;
pub mod gemm;
pub mod image;
pub mod matmul;
pub mod norm;
pub mod sampling;

use crate::record::Resident;
use crate::tensor::DType;

/// A weight matrix on the executor, laid out as `quant::MatrixLayout` says.
#[derive(Clone, Debug)]
pub struct Matrix {
    pub resident: Resident,
    /// `F32`, `F16`, `Q8_0` or `Q4_0`.
    pub dtype: DType,
    /// Outputs, padded with zero rows to a multiple of 4.
    pub rows: usize,
    /// Inputs (K), padded with zeros to a multiple of 4; of 32 for block formats.
    pub columns: usize,
}
