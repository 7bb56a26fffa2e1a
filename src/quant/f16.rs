//! The two 16-bit floating-point formats, little endian, rounded to nearest, ties to even.

/// Widens IEEE half floats; none if a byte is left over.
pub fn decode(bytes: &[u8]) -> Option<Vec<f32>> {
    let (chunks, []) = bytes.as_chunks() else { return None };
    Some(chunks.iter().map(|&chunk| half::f16::from_le_bytes(chunk).to_f32()).collect())
}

/// Narrows to IEEE half floats; magnitudes from 65520 on become infinite.
pub fn encode(values: &[f32], bytes: &mut Vec<u8>) {
    bytes.extend(values.iter().flat_map(|&value| half::f16::from_f32(value).to_le_bytes()));
}

/// Widens bfloat16, the upper half of an f32; none if a byte is left over.
pub fn decode_brain(bytes: &[u8]) -> Option<Vec<f32>> {
    let (chunks, []) = bytes.as_chunks() else { return None };
    Some(chunks.iter().map(|&chunk| half::bf16::from_le_bytes(chunk).to_f32()).collect())
}

/// Narrows to bfloat16.
pub fn encode_brain(values: &[f32], bytes: &mut Vec<u8>) {
    bytes.extend(values.iter().flat_map(|&value| half::bf16::from_f32(value).to_le_bytes()));
}
