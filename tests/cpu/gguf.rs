//! GGUF headers: reference files, one test per fault, and hostile bytes.

use darkroom::error::{ErrorKind, Result};
use darkroom::formats::gguf::{Header, Progress, Value, parse};

use crate::golden::golden;
use crate::random::Random;

/// Parses as a reader would, with a little more of the file each time.
fn read(bytes: &[u8]) -> Result<Header> {
    let mut given = bytes.len().min(24);
    for _ in 0..64 {
        match parse(&bytes[..given], bytes.len() as u64)? {
            Progress::Complete(header) => return Ok(header),
            Progress::More(needed) => {
                assert!(needed as usize > given && needed as usize <= bytes.len(), "{needed} after {given}");
                given = needed as usize;
            }
        }
    }
    panic!("the parser asks without end");
}

#[track_caller]
fn refused(result: Result<Header>, kind: ErrorKind, sentence: &str) {
    let error = result.expect_err("accepted");
    assert_eq!(error.kind, kind, "{error}");
    assert!(error.message.contains(sentence), "{:?} does not say {sentence:?}", error.message);
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

fn metadata(key: &str, value_type: u32, value: &[u8]) -> Vec<u8> {
    [&text(key), &value_type.to_le_bytes()[..], value].concat()
}

fn array(element_type: u32, count: u64, elements: &[u8]) -> Vec<u8> {
    [&element_type.to_le_bytes()[..], &count.to_le_bytes(), elements].concat()
}

fn tensor(name: &str, dimensions: &[u64], tensor_type: u32, offset: u64) -> Vec<u8> {
    let dimensions: Vec<u8> = dimensions.iter().flat_map(|dimension| dimension.to_le_bytes()).collect();
    let rank = (dimensions.len() / 8) as u32;
    [&text(name), &rank.to_le_bytes()[..], &dimensions, &tensor_type.to_le_bytes(), &offset.to_le_bytes()].concat()
}

/// A file of version 3 with `data` bytes after the aligned header.
fn file(metadata: &[Vec<u8>], tensors: &[Vec<u8>], data: usize) -> Vec<u8> {
    let counts = [(tensors.len() as u64).to_le_bytes(), (metadata.len() as u64).to_le_bytes()].concat();
    let mut bytes = [b"GGUF", &3_u32.to_le_bytes()[..], &counts, &metadata.concat(), &tensors.concat()].concat();
    bytes.resize(bytes.len().next_multiple_of(32) + data, 0);
    bytes
}

fn one(dimensions: &[u64], tensor_type: u32, offset: u64, data: usize) -> Vec<u8> {
    file(&[], &[tensor("w", dimensions, tensor_type, offset)], data)
}

#[test]
fn reference_files_are_read() {
    let blocks = read(&std::fs::read(golden("gguf/blocks.gguf")).unwrap()).unwrap();
    assert!(blocks.tensors.len() >= 10);
    for (name, entry) in &blocks.tensors {
        assert_eq!(name, &format!("t.{}", entry.tensor_type));
    }
    // The same weights, under the same names, as a single safetensors file.
    let reference = std::fs::read(golden("single_file/sd15_tiny_ldm_f16.safetensors")).unwrap();
    let reference = safetensors::SafeTensors::deserialize(&reference).unwrap();
    for kind in ["Q4_0", "Q8_0"] {
        let header = read(&std::fs::read(golden(&format!("gguf/sd15_unet_{kind}.gguf"))).unwrap()).unwrap();
        let case = std::fs::read(golden(&format!("gguf/cases/unet_{kind}/case.json"))).unwrap();
        let case: serde_json::Value = serde_json::from_slice(&case).unwrap();
        let types = case["tensor_types"].as_object().unwrap();
        assert_eq!(header.tensors.len(), types.len());
        for (name, entry) in &header.tensors {
            assert_eq!(types[name], entry.tensor_type.name(), "{name}");
            assert_eq!(entry.shape, reference.tensor(name).unwrap().shape(), "{name}");
        }
        assert!(matches!(header.metadata["general.architecture"], Value::Text(_)));
    }
}

/// The bytes of a block as the reference wrote them.
#[test]
fn ranges_hold_the_blocks() {
    let bytes = std::fs::read(golden("gguf/blocks.gguf")).unwrap();
    let expected = std::fs::read(golden("gguf/cases/blocks/expected.safetensors")).unwrap();
    let expected = safetensors::SafeTensors::deserialize(&expected).unwrap();
    let header = read(&bytes).unwrap();
    let mut compared = 0;
    for entry in header.tensors.values() {
        if let Ok(raw) = expected.tensor(&format!("{}.raw", entry.tensor_type)) {
            assert_eq!(
                &bytes[entry.range.start as usize..entry.range.end as usize],
                raw.data(),
                "{}",
                entry.tensor_type
            );
            compared += 1;
        }
    }
    assert!(compared >= 10, "{compared} compared");
}

#[test]
fn every_kind_of_metadata_is_read() {
    let header = read(&file(
        &[
            metadata("u8", 0, &[200]),
            metadata("i8", 1, &[200]),
            metadata("u16", 2, &60000_u16.to_le_bytes()),
            metadata("i16", 3, &(-2_i16).to_le_bytes()),
            metadata("u32", 4, &u32::MAX.to_le_bytes()),
            metadata("i32", 5, &(-3_i32).to_le_bytes()),
            metadata("f32", 6, &1.5_f32.to_le_bytes()),
            metadata("bool", 7, &[1]),
            metadata("text", 8, &text("grün")),
            metadata("array", 9, &array(5, 2, &[1, 0, 0, 0, 255, 255, 255, 255])),
            metadata("texts", 9, &array(8, 2, &[text("a"), text("bc")].concat())),
            metadata("u64", 10, &u64::MAX.to_le_bytes()),
            metadata("i64", 11, &i64::MIN.to_le_bytes()),
            metadata("f64", 12, &0.1_f64.to_le_bytes()),
            metadata("long", 9, &array(0, 70_000, &[7; 70_000])),
            metadata("nested", 9, &array(9, 1, &array(0, 3, &[1, 2, 3]))),
            metadata("many texts", 9, &array(8, 70_000, &text("x").repeat(70_000))),
        ],
        &[],
        0,
    ))
    .unwrap();
    let expect = |key: &str, value: Value| assert_eq!(header.metadata[key], value, "{key}");
    expect("u8", Value::Unsigned(200));
    expect("i8", Value::Signed(-56));
    expect("u16", Value::Unsigned(60000));
    expect("i16", Value::Signed(-2));
    expect("u32", Value::Unsigned(u64::from(u32::MAX)));
    expect("i32", Value::Signed(-3));
    expect("f32", Value::Float(1.5));
    expect("bool", Value::Bool(true));
    expect("text", Value::Text("grün".into()));
    expect("array", Value::Array(vec![Value::Signed(1), Value::Signed(-1)]));
    expect("texts", Value::Array(vec![Value::Text("a".into()), Value::Text("bc".into())]));
    expect("u64", Value::Unsigned(u64::MAX));
    expect("i64", Value::Signed(i64::MIN));
    expect("f64", Value::Float(0.1));
    expect("long", Value::LongArray(70_000));
    expect("nested", Value::Array(vec![Value::LongArray(3)]));
    expect("many texts", Value::LongArray(70_000));
}

#[test]
fn dimensions_are_turned_round_and_data_is_aligned() {
    let header = read(&one(&[64, 3, 2], 8, 32, 32 + 6 * 68)).unwrap();
    let entry = &header.tensors["w"];
    assert_eq!(entry.shape, [2, 3, 64]);
    assert_eq!(entry.range.end - entry.range.start, 6 * 68);
    assert_eq!(entry.range.start % 32, 0);
    let aligned = file(&[metadata("general.alignment", 4, &256_u32.to_le_bytes())], &[tensor("w", &[1], 0, 0)], 512);
    assert_eq!(read(&aligned).unwrap().tensors["w"].range, 256..260);
    let mut version_2 = one(&[1], 0, 0, 4);
    version_2[4] = 2;
    assert!(read(&version_2).is_ok());
}

#[test]
fn faults_of_the_beginning() {
    refused(read(b"GGU"), ErrorKind::Truncated, "ends inside its GGUF header");
    refused(read(b"GGML\x03\0\0\0"), ErrorKind::Malformed, "does not begin with GGUF's mark");
    refused(read(b"GGUF\x01\0\0\0"), ErrorKind::Unsupported, "version 1");
    refused(read(b"GGUF\x04\0\0\0"), ErrorKind::Unsupported, "version 4");
    refused(read(b"GGUF\0\0\0\x03"), ErrorKind::Unsupported, "big-endian");
    let counts = |tensors: u64, metadata: u64| {
        [b"GGUF\x03\0\0\0", &tensors.to_le_bytes()[..], &metadata.to_le_bytes(), &[0; 100]].concat()
    };
    for count in [100, 1 << 40, u64::MAX] {
        refused(read(&counts(count, 0)), ErrorKind::Truncated, "tensors, more than the file can hold");
        refused(read(&counts(0, count)), ErrorKind::Truncated, "metadata entries, more than the file can hold");
    }
}

#[test]
fn faults_of_metadata() {
    let single = |entry: Vec<u8>| read(&file(&[entry], &[], 64));
    refused(single(metadata("k", 13, &[0; 8])), ErrorKind::Malformed, "k: the value type number 13");
    refused(single(metadata("k", 7, &[2])), ErrorKind::Malformed, "k: 2 is neither true nor false");
    refused(single(metadata("k", 8, &u64::MAX.to_le_bytes())), ErrorKind::Truncated, "ends inside");
    refused(single(metadata("k", 8, &[2, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff])), ErrorKind::Malformed, "not UTF-8");
    refused(single(metadata("k", 9, &array(99, 1, &[0]))), ErrorKind::Malformed, "value type number 99");
    for (element, count) in [(0, u64::MAX), (12, u64::MAX / 8), (8, 1 << 60), (9, 1 << 32)] {
        let fault = single(metadata("k", 9, &array(element, count, &[0; 16])));
        refused(fault, ErrorKind::Truncated, "array elements, more than the file can hold");
    }
    let mut deep = array(0, 0, &[]);
    for _ in 0..1000 {
        deep = array(9, 1, &deep);
    }
    refused(single(metadata("k", 9, &deep)), ErrorKind::Malformed, "nested more than 4 deep");
    let twice = file(&[metadata("k", 0, &[1]), metadata("k", 0, &[1])], &[], 0);
    refused(read(&twice), ErrorKind::Malformed, "the metadata key k occurs twice");
    for alignment in [0_u32, 3, u32::MAX, 1 << 21] {
        let entry = metadata("general.alignment", 4, &alignment.to_le_bytes());
        refused(single(entry), ErrorKind::Malformed, "not a small power of two");
    }
    refused(single(metadata("general.alignment", 8, &text("32"))), ErrorKind::Malformed, "not a small power of two");
}

#[test]
fn faults_of_tensors() {
    assert!(read(&one(&[32], 8, 0, 34)).is_ok());
    refused(read(&one(&[1; 9], 0, 0, 4)), ErrorKind::Malformed, "w: 9 dimensions");
    refused(read(&one(&[32], 4, 0, 34)), ErrorKind::Unsupported, "w: the tensor type number 4");
    refused(
        read(&one(&[16], 8, 0, 34)),
        ErrorKind::Malformed,
        "w: a row of 16 elements is not whole blocks of 32 (Q8_0)",
    );
    refused(read(&one(&[128, 2], 12, 0, 144)), ErrorKind::Malformed, "blocks of 256 (Q4_K)");
    refused(read(&one(&[32], 8, 8, 64)), ErrorKind::Malformed, "w: the offset 8 is not a multiple of 32");
    refused(read(&one(&[32], 8, 0, 33)), ErrorKind::Truncated, "ends before the tensor's data");
    refused(read(&one(&[32], 8, 1 << 40, 34)), ErrorKind::Truncated, "ends before the tensor's data");
    refused(read(&one(&[1 << 32, 1 << 32], 0, 0, 34)), ErrorKind::Malformed, "more elements than a file can hold");
    refused(read(&one(&[1 << 62], 0, 0, 34)), ErrorKind::Malformed, "more elements than a file can hold");
    refused(read(&one(&[1 << 32, 1 << 32, 0], 0, 0, 34)), ErrorKind::Malformed, "more elements than a file can hold");
    refused(read(&one(&[1], 0, !31, 34)), ErrorKind::Malformed, "more elements than a file can hold");
    let two = |first: u64, second: u64| file(&[], &[tensor("a", &[16], 0, first), tensor("b", &[16], 0, second)], 128);
    assert!(read(&two(64, 0)).is_ok());
    refused(read(&two(0, 32)), ErrorKind::Malformed, "b: the tensor overlaps");
    refused(read(&two(0, 0)), ErrorKind::Malformed, "overlaps");
    let twice = file(&[], &[tensor("a", &[8], 0, 0), tensor("a", &[8], 0, 32)], 64);
    refused(read(&twice), ErrorKind::Malformed, "the tensor a occurs twice");
}

#[test]
fn a_header_without_end_is_refused() {
    // The file is said to be huge, and one text claims most of it.
    let bytes =
        [&file(&[], &[], 0)[..16], &1_u64.to_le_bytes(), &metadata("k", 8, &(1_u64 << 40).to_le_bytes())].concat();
    let error = parse(&bytes, 1 << 50).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Malformed);
    assert!(error.message.contains("longer than the 100000000"), "{error}");
    // A text that fits is asked for.
    let bytes =
        [&file(&[], &[], 0)[..16], &1_u64.to_le_bytes(), &metadata("k", 8, &5_000_000_u64.to_le_bytes())].concat();
    let Progress::More(needed) = parse(&bytes, 1 << 30).unwrap() else { panic!("complete") };
    assert!((5_000_000..6_000_000).contains(&needed), "{needed}");
}

#[test]
fn flipped_bytes_never_panic_and_never_lie() {
    let metadata = [
        metadata("general.architecture", 8, &text("sd")),
        metadata("shape", 9, &array(5, 2, &[1, 0, 0, 0, 2, 0, 0, 0])),
        metadata("names", 9, &array(8, 2, &[text("a"), text("b")].concat())),
        metadata("nested", 9, &array(9, 1, &array(2, 2, &[1, 0, 2, 0]))),
    ];
    let tensors = [tensor("a", &[32, 2], 8, 0), tensor("b", &[256], 12, 96), tensor("c", &[4, 4], 0, 256)];
    let original = file(&metadata, &tensors, 320);
    let header_end = original.len() - 320;
    assert!(read(&original).is_ok());
    let mut random = Random(99);
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..60_000 {
        let mut bytes = original.clone();
        for _ in 0..1 + random.below(3) {
            let place = random.below(header_end);
            bytes[place] = match random.below(3) {
                0 => bytes[place] ^ (1 << random.below(8)),
                1 => random.next() as u8,
                _ => bytes[random.below(header_end)],
            };
        }
        if random.below(8) == 0 {
            bytes.truncate(random.below(bytes.len() + 1));
        }
        match read(&bytes) {
            Ok(header) => {
                accepted += 1;
                for entry in header.tensors.values() {
                    let (block, size) = entry.tensor_type.block();
                    let elements = entry.shape.iter().map(|dimension| *dimension as u64).product::<u64>();
                    assert_eq!(entry.range.end - entry.range.start, elements / block * size);
                    assert!(entry.range.end <= bytes.len() as u64);
                }
            }
            Err(_) => refused += 1,
        }
    }
    assert!(accepted > 1000 && refused > 10_000, "{accepted} accepted, {refused} refused");
}
