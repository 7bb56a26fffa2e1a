//! Which weights are quantised: the one visible policy.
//!
//! Decision: by role. The first and last convolution see or make the latent itself, the time embedding steers every
//! block, and both are tiny: they stay f16, as do matrices whose rows are no multiple of a block. Norms and biases are
//! f32 vectors always. Everything else takes the chosen format, the token table at least eight bits. Rejected: a list
//! of tensor names per model, which the next model would not match.

use crate::tensor::DType;

/// What weights are stored as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// As exact as the file; for comparisons.
    F32,
    F16,
    #[default]
    Q8_0,
    Q4_0,
}

/// What a matrix is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Most of a network.
    Inner,
    /// First or last convolution of a network, and the projections between latent and moments.
    Boundary,
    /// Timestep embedding and its projections.
    TimeEmbedding,
    /// Rows picked by token.
    TokenTable,
    /// Rows added by position.
    PositionTable,
}

/// Values in a block of the block formats.
const BLOCK: usize = 32;

impl Precision {
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::F32, Self::F16, Self::Q8_0, Self::Q4_0].into_iter().find(|precision| precision.name() == name)
    }

    pub const fn name(self) -> &'static str {
        self.dtype().name()
    }

    const fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
            Self::Q8_0 => DType::Q8_0,
            Self::Q4_0 => DType::Q4_0,
        }
    }

    /// The format of a matrix with rows of `columns` values.
    pub const fn of(self, role: Role, columns: usize) -> DType {
        match (self, role) {
            (Self::F32, _) => DType::F32,
            (_, Role::Boundary | Role::TimeEmbedding | Role::PositionTable) => DType::F16,
            _ if !columns.is_multiple_of(BLOCK) => DType::F16,
            (Self::Q4_0, Role::TokenTable) => DType::Q8_0,
            _ => self.dtype(),
        }
    }
}
