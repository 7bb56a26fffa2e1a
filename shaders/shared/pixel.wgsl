// Pixels as the canvas takes them: red in the lowest byte, alpha in the highest.

// Colours of ±1 to bytes, rounding halves to even as NumPy does; opaque.
fn pack_pixel(colour: vec3<f32>) -> u32 {
    let bytes = vec3<u32>(round(clamp(colour * 0.5 + 0.5, vec3(0.0), vec3(1.0)) * 255.0));
    return bytes.x | (bytes.y << 8u) | (bytes.z << 16u) | 0xff000000u;
}
