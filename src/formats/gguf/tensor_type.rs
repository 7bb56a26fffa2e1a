//! GGML's tensor types, with their numbers in files and the sizes of their blocks.
//!
//! Source: <https://github.com/ggml-org/ggml/blob/master/include/ggml.h> and `src/ggml-common.h`. The types that only
//! occur while computing (`Q8_1`) are left out.

use std::fmt;

macro_rules! tensor_types {
    ($($(#[$about:meta])* $variant:ident = $number:literal, $name:literal, $elements:literal elements in $bytes:literal bytes;)*) => {
        /// How a tensor's values are stored: one after the other, or in blocks along the innermost dimension.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum TensorType {
            $($(#[$about])* $variant,)*
        }

        impl TensorType {
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The number in a file.
            pub const fn number(self) -> u32 {
                match self { $(Self::$variant => $number,)* }
            }

            /// GGML's name, e.g. `Q4_K`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Elements of a block, and the bytes it takes.
            pub const fn block(self) -> (u64, u64) {
                match self { $(Self::$variant => ($elements, $bytes),)* }
            }
        }
    };
}

tensor_types! {
    F32 = 0, "F32", 1 elements in 4 bytes;
    F16 = 1, "F16", 1 elements in 2 bytes;
    Q4_0 = 2, "Q4_0", 32 elements in 18 bytes;
    Q4_1 = 3, "Q4_1", 32 elements in 20 bytes;
    Q5_0 = 6, "Q5_0", 32 elements in 22 bytes;
    Q5_1 = 7, "Q5_1", 32 elements in 24 bytes;
    Q8_0 = 8, "Q8_0", 32 elements in 34 bytes;
    Q2K = 10, "Q2_K", 256 elements in 84 bytes;
    Q3K = 11, "Q3_K", 256 elements in 110 bytes;
    Q4K = 12, "Q4_K", 256 elements in 144 bytes;
    Q5K = 13, "Q5_K", 256 elements in 176 bytes;
    Q6K = 14, "Q6_K", 256 elements in 210 bytes;
    Q8K = 15, "Q8_K", 256 elements in 292 bytes;
    Iq2Xxs = 16, "IQ2_XXS", 256 elements in 66 bytes;
    Iq2Xs = 17, "IQ2_XS", 256 elements in 74 bytes;
    Iq3Xxs = 18, "IQ3_XXS", 256 elements in 98 bytes;
    Iq1S = 19, "IQ1_S", 256 elements in 50 bytes;
    Iq4Nl = 20, "IQ4_NL", 32 elements in 18 bytes;
    Iq3S = 21, "IQ3_S", 256 elements in 110 bytes;
    Iq2S = 22, "IQ2_S", 256 elements in 82 bytes;
    Iq4Xs = 23, "IQ4_XS", 256 elements in 136 bytes;
    I8 = 24, "I8", 1 elements in 1 bytes;
    I16 = 25, "I16", 1 elements in 2 bytes;
    I32 = 26, "I32", 1 elements in 4 bytes;
    I64 = 27, "I64", 1 elements in 8 bytes;
    F64 = 28, "F64", 1 elements in 8 bytes;
    Iq1M = 29, "IQ1_M", 256 elements in 56 bytes;
    BF16 = 30, "BF16", 1 elements in 2 bytes;
    Tq1_0 = 34, "TQ1_0", 256 elements in 54 bytes;
    Tq2_0 = 35, "TQ2_0", 256 elements in 66 bytes;
    Mxfp4 = 39, "MXFP4", 32 elements in 17 bytes;
}

impl fmt::Display for TensorType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
