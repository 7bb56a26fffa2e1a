//! Element types and shapes as plain values: no data, no GPU.
//!
//! Decision: activations are always `(batch, height, width, channels)`, channels last, and tokens are an image of
//! height one; so convolution, attention and norms pass tensors on without a transpose. Rejected: a general
//! n-dimensional shape with strides, which no kernel of a diffusion network needs.

use std::fmt;

/// How one element, or one block of 32 elements along K, is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DType {
    F32,
    F16,
    BF16,
    /// GGUF Q8_0: 32 signed bytes and one f16 scale.
    Q8_0,
    /// GGUF Q4_0: 32 nibbles with an offset of 8, and one f16 scale.
    Q4_0,
}

impl DType {
    /// The name used in kernel variants, settings and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::BF16 => "bf16",
            Self::Q8_0 => "q8_0",
            Self::Q4_0 => "q4_0",
        }
    }

    /// Bytes of one element; none for block formats.
    pub const fn element_bytes(self) -> Option<usize> {
        match self {
            Self::F32 => Some(4),
            Self::F16 | Self::BF16 => Some(2),
            Self::Q8_0 | Self::Q4_0 => None,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Shape of an activation, channels last. `channels` is padded to a multiple of 4 with zeros (see [`padded_channels`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    pub batch: usize,
    pub height: usize,
    pub width: usize,
    pub channels: usize,
}

impl Shape {
    pub const fn image(batch: usize, height: usize, width: usize, channels: usize) -> Self {
        Self { batch, height, width, channels }
    }

    /// A sequence of `tokens` vectors per batch entry.
    pub const fn tokens(batch: usize, tokens: usize, channels: usize) -> Self {
        Self { batch, height: 1, width: tokens, channels }
    }

    /// Positions per batch entry, H·W.
    pub const fn positions(&self) -> usize {
        self.height * self.width
    }

    /// Rows of the tensor seen as a matrix with `channels` columns.
    pub const fn rows(&self) -> usize {
        self.batch * self.positions()
    }

    pub const fn elements(&self) -> usize {
        self.rows() * self.channels
    }

    #[must_use]
    pub const fn with_channels(self, channels: usize) -> Self {
        Self { channels, ..self }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}×{}×{}×{}", self.batch, self.height, self.width, self.channels)
    }
}

/// Channels as stored: the next multiple of 4, so that every kernel loads `vec4` and no convolution tap straddles one.
pub const fn padded_channels(channels: usize) -> usize {
    channels.next_multiple_of(4)
}
