// Four consecutive weights of a row from what `quant::MatrixLayout` stores, as f32 equal to the format's decoded values.

fn weights_from_f16(packed: vec2<u32>) -> vec4<f32> {
    return vec4(unpack2x16float(packed.x), unpack2x16float(packed.y));
}

// `packed` holds four signed bytes. Flipping the sign bit makes them unsigned with an offset of 128, which hardware
// converts byte by byte; 128 · scale is exact, so the fma rounds as byte · scale would.
fn weights_from_q8_0(packed: u32, scale: f32) -> vec4<f32> {
    let bytes = ((vec4(packed ^ 0x80808080u) >> vec4(0u, 8u, 16u, 24u)) & vec4(255u));
    return fma(vec4<f32>(bytes), vec4(scale), vec4(-128.0 * scale));
}

// The low 16 bits of `packed` hold four nibbles with an offset of 8.
fn weights_from_q4_0(packed: u32, scale: f32) -> vec4<f32> {
    let nibbles = ((vec4(packed) >> vec4(0u, 4u, 8u, 12u)) & vec4(15u));
    return fma(vec4<f32>(nibbles), vec4(scale), vec4(-8.0 * scale));
}
