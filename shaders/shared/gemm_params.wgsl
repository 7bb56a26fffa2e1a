// Parameters of the GEMM y[row, column] = epilogue(Σ_k input[row, k] · weights[column, k]). Depth and columns count vec4.

struct Params {
    first_row: u32,            // of this dispatch, which may be one band of several
    end_row: u32,              // one past the last
    columns: u32,              // rows of the weights / 4, before gating
    depth: u32,                // K / 4
    weights_stride: u32,       // columns of the weights / 4; ≥ depth
    scales_offset: u32,        // words before the scales of block formats
    split_depth: u32,          // depth of one of the splits (workgroup z), a multiple of 8
    splits: u32,
    // Input by taps:
    height: u32,               // of the stored input
    width: u32,
    resized_height: u32,       // of the input as the taps see it, after nearest resizing
    resized_width: u32,
    channels: u32,             // of `x`, / 4
    second_channels: u32,      // of `second`, / 4; 0 without one
    output_height: u32,
    output_width: u32,
    kernel: u32,               // 1 or 3
    stride: u32,
    pad_top: u32,
    pad_left: u32,
    // Epilogue:
    batch_rows: u32,           // rows of a batch entry
    batch_bias_stride: u32,    // between batch entries, / 4; 0: all the same
    batch_bias_first: u32,     // first channel, / 4
    activation: u32,           // ACTIVATION_*
    gated: u32,                // 1: value · activation(gate), vec4s alternating
    has_bias: u32,
    has_batch_bias: u32,
    has_residual: u32,
    scale: f32,                // applied last
}

@group(0) @binding(0) var<uniform> params: Params;
