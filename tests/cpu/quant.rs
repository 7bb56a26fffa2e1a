//! Weight formats against GGUF's reference vectors, and the GPU layout against the formats.

use std::path::PathBuf;

use darkroom::error::ErrorKind;
use darkroom::quant::{self, MatrixLayout};
use darkroom::tensor::DType;

const FILE_TYPES: [DType; 5] = [DType::F32, DType::F16, DType::BF16, DType::Q8_0, DType::Q4_0];
const GPU_TYPES: [DType; 4] = [DType::F32, DType::F16, DType::Q8_0, DType::Q4_0];

fn golden_bytes() -> Vec<u8> {
    let root = std::env::var_os("DARKROOM_GOLDEN").map_or_else(|| PathBuf::from("../shared/golden"), PathBuf::from);
    let path = root.join("gguf/cases/blocks/expected.safetensors");
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn floats(file: &safetensors::SafeTensors<'_>, name: &str) -> Vec<f32> {
    quant::decode(DType::F32, file.tensor(name).unwrap().data()).unwrap()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Values with zeros, ties of the extreme, and magnitudes from tiny to large.
fn sample(count: usize) -> Vec<f32> {
    let mut state = 12345u32;
    (0..count)
        .map(|index| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let uniform = (state >> 8) as f32 / (1 << 24) as f32 - 0.5;
            match index / 32 % 4 {
                0 => uniform,
                1 => uniform * 1e-6,
                2 => (uniform * 8.0).round(),
                _ => 0.0,
            }
        })
        .collect()
}

#[test]
fn decodes_as_the_reference() {
    let bytes = golden_bytes();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    for dtype in FILE_TYPES {
        let name = dtype.name().to_uppercase();
        let decoded = quant::decode(dtype, file.tensor(&format!("{name}.raw")).unwrap().data()).unwrap();
        assert_eq!(bits(&decoded), bits(&floats(&file, &format!("{name}.dequantized"))), "{name}");
    }
}

#[test]
fn encodes_as_the_reference() {
    let bytes = golden_bytes();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let source = floats(&file, "source");
    for dtype in FILE_TYPES {
        let name = dtype.name().to_uppercase();
        let expected = file.tensor(&format!("{name}.raw")).unwrap();
        assert!(quant::encode(dtype, &source).unwrap() == expected.data(), "{name}");
    }
}

#[test]
fn errors_stay_within_a_step_of_the_block() {
    let values = sample(512);
    for (dtype, step) in [(DType::Q8_0, 0.5 / 127.0), (DType::Q4_0, 1.0 / 8.0)] {
        let decoded = quant::decode(dtype, &quant::encode(dtype, &values).unwrap()).unwrap();
        for (values, decoded) in values.chunks(quant::BLOCK).zip(decoded.chunks(quant::BLOCK)) {
            let largest = values.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
            // The scale itself is rounded to f16, whose spacing near zero is 2^-24.
            let bound = largest * (step + 1.0 / 1024.0) + 128.0 * 2.0f32.powi(-25);
            for (value, decoded) in values.iter().zip(decoded) {
                assert!((value - decoded).abs() <= bound, "{dtype}: {value} became {decoded}");
            }
        }
    }
}

#[test]
fn the_layout_holds_what_the_format_says() {
    for dtype in GPU_TYPES {
        for (rows, columns) in [(4, 32), (8, 96), (12, 320)] {
            let layout = MatrixLayout::new(dtype, rows, columns).unwrap();
            let values = sample(rows * columns);
            let stored = quant::encode(dtype, &values).unwrap();
            let expected = quant::decode(dtype, &stored).unwrap();
            for pieces in [rows, 2] {
                let mut packed = vec![0xAAu8; layout.bytes as usize];
                let mut repacked = packed.clone();
                for first in (0..rows).step_by(pieces) {
                    let part = &values[first * columns..(first + pieces) * columns];
                    for (offset, data) in layout.pack_rows(first, part).unwrap() {
                        packed[offset as usize..offset as usize + data.len()].copy_from_slice(&data);
                    }
                    let row = stored.len() / rows;
                    let part = &stored[first * row..(first + pieces) * row];
                    for (offset, data) in layout.repack_rows(first, part).unwrap() {
                        repacked[offset as usize..offset as usize + data.len()].copy_from_slice(&data);
                    }
                }
                assert!(packed == repacked, "{dtype} {rows}×{columns}");
                assert_eq!(bits(&layout.unpack_rows(&packed, 0, rows).unwrap()), bits(&expected), "{dtype}");
                assert_eq!(
                    bits(&layout.unpack_rows(&packed, 3, 1).unwrap()),
                    bits(&expected[3 * columns..4 * columns]),
                    "{dtype}, one row"
                );
            }
        }
    }
}

#[test]
fn segments_are_aligned_and_apart() {
    let layout = MatrixLayout::new(DType::Q4_0, 4, 32).unwrap();
    assert_eq!((layout.scales_offset, layout.bytes), (256, 256 + 8));
    let layout = MatrixLayout::new(DType::Q8_0, 320, 2880).unwrap();
    assert_eq!(layout.scales_offset, 320 * 2880);
    assert_eq!(layout.bytes, 320 * 2880 + 320 * 90 * 2);
    let layout = MatrixLayout::new(DType::F16, 4, 36).unwrap();
    assert_eq!(layout.bytes, 4 * 36 * 2);
}

#[test]
fn refuses_what_does_not_fit() {
    let kind = |result: darkroom::error::Result<MatrixLayout>| result.unwrap_err().kind;
    assert_eq!(kind(MatrixLayout::new(DType::Q8_0, 4, 36)), ErrorKind::TensorShape);
    assert_eq!(kind(MatrixLayout::new(DType::F16, 3, 4)), ErrorKind::TensorShape);
    assert_eq!(kind(MatrixLayout::new(DType::F16, 0, 4)), ErrorKind::TensorShape);
    assert_eq!(kind(MatrixLayout::new(DType::F32, usize::MAX & !3, 1 << 20)), ErrorKind::TensorShape);
    assert_eq!(kind(MatrixLayout::new(DType::BF16, 4, 4)), ErrorKind::Internal);
    let layout = MatrixLayout::new(DType::Q8_0, 4, 32).unwrap();
    assert_eq!(layout.pack_rows(4, &[0.0; 32]).unwrap_err().kind, ErrorKind::Internal);
    assert_eq!(layout.pack_rows(0, &[0.0; 31]).unwrap_err().kind, ErrorKind::Internal);
    // One row of one block has a scale of two bytes: half a word.
    assert_eq!(layout.pack_rows(0, &[0.0; 32]).unwrap_err().kind, ErrorKind::Internal);
    assert_eq!(layout.unpack_rows(&[0; 16], 0, 4).unwrap_err().kind, ErrorKind::Internal);
    assert_eq!(quant::decode(DType::Q4_0, &[0; 17]).unwrap_err().kind, ErrorKind::Truncated);
    assert_eq!(quant::encode(DType::Q4_0, &[0.0; 33]).unwrap_err().kind, ErrorKind::TensorShape);
}
