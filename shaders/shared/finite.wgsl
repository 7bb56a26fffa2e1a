// What is infinite or NaN. By bits: compilers may assume that floats are finite.
fn count_not_finite(v: vec4<f32>) -> u32 {
    let exponent = bitcast<vec4<u32>>(v) & vec4(0x7f800000u);
    let bad = select(vec4(0u), vec4(1u), exponent == vec4(0x7f800000u));
    return bad.x + bad.y + bad.z + bad.w;
}
