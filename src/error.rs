//! The one error type of the engine: a kind with a stable code, and a sentence for the visitor.
//!
//! Decision: one struct with an enum of kinds, because every layer's failures end in the same place, the page, which
//! shows `message` and branches on `code` alone. Rejected: an enum per module with conversions, which made the page
//! match on nested variants and lost the name of the tensor or file on the way up.

use std::fmt;

/// What went wrong, as a closed list. [`ErrorKind::code`] is part of the public interface and never changes meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The browser or the system offers no usable GPU adapter.
    NoGpu,
    /// The device was taken away (driver reset, sleep, watchdog). The engine rebuilds itself on the next use.
    DeviceLost,
    /// A buffer does not fit, by plan or by the device's answer.
    OutOfMemory,
    /// The device's limits cannot hold what the model needs even after splitting.
    DeviceLimit,
    /// A file or URL could not be found.
    NotFound,
    /// A read failed: offline, refused, or broken off.
    Network,
    /// A file ends before the data its header promises.
    Truncated,
    /// A file breaks the rules of its format.
    Malformed,
    /// A pickle checkpoint, which can run code when opened; refused.
    Pickle,
    /// A configuration names a class, activation, layout or option that the engine does not know.
    Unsupported,
    /// A tensor that the configuration demands is absent.
    TensorMissing,
    /// A tensor has another shape than the configuration demands.
    TensorShape,
    /// A setting of a request is out of range or contradicts the model.
    InvalidSetting,
    /// Latents or picture hold infinities or NaN even on the f32 path.
    NonFinite,
    /// The visitor cancelled.
    Cancelled,
    /// A broken promise inside the engine; always a defect of Darkroom.
    Internal,
}

impl ErrorKind {
    /// The stable code, e.g. `tensor-missing`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoGpu => "no-gpu",
            Self::DeviceLost => "device-lost",
            Self::OutOfMemory => "out-of-memory",
            Self::DeviceLimit => "device-limit",
            Self::NotFound => "not-found",
            Self::Network => "network",
            Self::Truncated => "truncated",
            Self::Malformed => "malformed",
            Self::Pickle => "pickle",
            Self::Unsupported => "unsupported",
            Self::TensorMissing => "tensor-missing",
            Self::TensorShape => "tensor-shape",
            Self::InvalidSetting => "invalid-setting",
            Self::NonFinite => "non-finite",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
        }
    }
}

impl ErrorKind {
    const ALL: [Self; 16] = [
        Self::NoGpu,
        Self::DeviceLost,
        Self::OutOfMemory,
        Self::DeviceLimit,
        Self::NotFound,
        Self::Network,
        Self::Truncated,
        Self::Malformed,
        Self::Pickle,
        Self::Unsupported,
        Self::TensorMissing,
        Self::TensorShape,
        Self::InvalidSetting,
        Self::NonFinite,
        Self::Cancelled,
        Self::Internal,
    ];

    /// The kind of a stable code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// A failure with its kind and a sentence that names the thing and, where there is one, the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    pub kind: ErrorKind,
    pub message: String,
}

impl Error {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// Puts what was being done before the sentence, e.g. the file's name.
    #[must_use]
    pub fn within(self, place: impl fmt::Display) -> Self {
        Self { kind: self.kind, message: format!("{place}: {}", self.message) }
    }

    pub const fn code(&self) -> &'static str {
        self.kind.code()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.message, self.code())
    }
}

impl std::error::Error for Error {}

pub type Result<T> = std::result::Result<T, Error>;
