//! Safetensors headers, indexes, model indexes and JSON: round trips, one test per fault, and hostile bytes.

use std::collections::HashMap;

use darkroom::error::{Error, ErrorKind, Result};
use darkroom::formats::index::Index;
use darkroom::formats::json;
use darkroom::formats::model_index::ModelIndex;
use darkroom::formats::safetensors::{ElementType, Header, header_length, parse};
use safetensors::tensor::{Dtype, TensorView};

use crate::golden::golden;
use crate::random::Random;

fn read(file: &[u8]) -> Result<Header> {
    let prefix = &file[..file.len().min(8)];
    let length = header_length(prefix, file.len() as u64)?;
    parse(&file[8..8 + length as usize], file.len() as u64)
}

/// A file with this header and `data` zero bytes after it.
fn file(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

fn written() -> Vec<u8> {
    let data: Vec<u8> = (0..200).collect();
    let tensors = [
        ("matrix", TensorView::new(Dtype::F32, vec![3, 5], &data[..60]).unwrap()),
        ("half", TensorView::new(Dtype::F16, vec![2, 2, 2], &data[60..76]).unwrap()),
        ("brain", TensorView::new(Dtype::BF16, vec![7], &data[76..90]).unwrap()),
        ("scalar", TensorView::new(Dtype::I64, vec![], &data[90..98]).unwrap()),
        ("empty", TensorView::new(Dtype::F32, vec![4, 0], &[]).unwrap()),
        ("bytes", TensorView::new(Dtype::U8, vec![3], &data[98..101]).unwrap()),
    ];
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize(tensors, Some(metadata)).unwrap()
}

#[track_caller]
fn refused(result: Result<Header>, kind: ErrorKind, sentence: &str) {
    let error = result.expect_err("accepted");
    assert_eq!(error.kind, kind, "{error}");
    assert!(error.message.contains(sentence), "{:?} does not say {sentence:?}", error.message);
}

#[test]
fn what_the_crate_writes_is_read_back() {
    let bytes = written();
    let header = read(&bytes).unwrap();
    let reference = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(header.tensors.len(), reference.len());
    for (name, view) in reference.iter() {
        let entry = &header.tensors[name];
        assert_eq!(entry.shape, view.shape(), "{name}");
        assert_eq!(entry.element.name(), view.dtype().to_string(), "{name}");
        assert_eq!(&bytes[entry.range.start as usize..entry.range.end as usize], view.data(), "{name}");
    }
    assert_eq!(header.metadata["format"], "pt");
}

#[test]
fn every_reference_file_is_read() {
    let mut folders = vec![golden("sd15"), golden("flux"), golden("sdxl"), golden("single_file"), golden("lora")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "safetensors") {
                let bytes = std::fs::read(&path).unwrap();
                let header = read(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                let reference = safetensors::SafeTensors::deserialize(&bytes).unwrap();
                assert_eq!(header.tensors.len(), reference.len(), "{}", path.display());
                files += 1;
            }
        }
    }
    assert!(files > 40, "{files} files");
}

#[test]
fn a_file_beyond_four_gigabytes_is_read() {
    let end = 6 << 30;
    let header = format!(r#"{{"w":{{"dtype":"F16","shape":[{},1024],"data_offsets":[0,{end}]}}}}"#, 3 << 20);
    let length = header.len() as u64 + 8 + end;
    assert_eq!(header_length(&(header.len() as u64).to_le_bytes(), length).unwrap(), header.len() as u64);
    let parsed = parse(header.as_bytes(), length).unwrap();
    assert_eq!(parsed.tensors["w"].range.end, length);
}

#[test]
fn padding_after_the_header_and_an_empty_header_are_allowed() {
    assert_eq!(read(&file("{}   ", 0)).unwrap(), Header::default());
}

#[test]
fn too_short_for_a_length() {
    refused(read(b""), ErrorKind::Truncated, "shorter than the 8 bytes");
    refused(read(&[1, 0, 0, 0, 0, 0, 0]), ErrorKind::Truncated, "shorter than the 8 bytes");
}

#[test]
fn header_beyond_the_end() {
    refused(read(&file("{}", 0)[..9]), ErrorKind::Truncated, "ends inside its safetensors header of 2 bytes");
    // The second step checks again: a caller may hand over another length than it asked with.
    refused(parse(b"{}", 9), ErrorKind::Truncated, "ends inside its safetensors header");
}

#[test]
fn absurd_header_lengths() {
    for length in [100_000_001_u64, 1 << 40, u64::MAX, u64::MAX - 7] {
        let result = header_length(&length.to_le_bytes(), u64::MAX).map(|_| Header::default());
        refused(result, ErrorKind::Malformed, "more than the 100000000");
    }
    for length in [0_u64, 1] {
        let result = header_length(&length.to_le_bytes(), 100).map(|_| Header::default());
        refused(result, ErrorKind::Malformed, "too few");
    }
}

#[test]
fn pickles() {
    let sentence = "can run code when it is opened";
    refused(read(b"PK\x03\x04\x00\x00\x08\x08archive/data.pkl"), ErrorKind::Pickle, sentence);
    refused(read(b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."), ErrorKind::Pickle, sentence);
    refused(read(b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00}"), ErrorKind::Pickle, sentence);
    refused(read(b"\x80\x02}q\x00X\x05\x00\x00\x00state"), ErrorKind::Pickle, ".safetensors");
}

#[test]
fn a_header_of_640_bytes_is_no_pickle() {
    let mut header = "{}".to_owned();
    header.extend(std::iter::repeat_n(' ', 638));
    let bytes = file(&header, 0);
    assert!(bytes.starts_with(b"\x80\x02"));
    assert!(read(&bytes).is_ok());
}

#[test]
fn other_files() {
    refused(read(b"GGUF\x03\0\0\0\0\0\0\0"), ErrorKind::Malformed, "GGUF");
    refused(read(b"version https://git-lfs"), ErrorKind::Malformed, "git lfs pull");
    refused(read(b"<!DOCTYPE html><html>"), ErrorKind::Malformed, "web page");
}

#[test]
fn headers_that_are_no_json_objects() {
    refused(read(&file("[1]", 0)), ErrorKind::Malformed, "does not begin with '{'");
    refused(read(&file(" {}", 0)), ErrorKind::Malformed, "does not begin with '{'");
    refused(read(&file("{\"a\":", 0)), ErrorKind::Malformed, "not what the format asks for");
    refused(read(&file("{} {}", 0)), ErrorKind::Malformed, "trailing characters");
    let mut bytes = file("{\"aa\":1}", 0);
    bytes[10] = 0xff;
    refused(read(&bytes), ErrorKind::Malformed, "not UTF-8");
}

#[test]
fn entries_of_the_wrong_form() {
    for entry in [
        "1",
        "null",
        "[]",
        "{}",
        r#"{"dtype":"F32","shape":[1]}"#,
        r#"{"dtype":"F32","data_offsets":[0,4]}"#,
        r#"{"shape":[1],"data_offsets":[0,4]}"#,
        r#"{"dtype":7,"shape":[1],"data_offsets":[0,4]}"#,
        r#"{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}"#,
        r#"{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}"#,
        r#"{"dtype":"F32","shape":[1],"data_offsets":[0]}"#,
        r#"{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}"#,
        r#"{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}"#,
        r#"{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]}"#,
    ] {
        refused(read(&file(&format!("{{\"w\":{entry}}}"), 4)), ErrorKind::Malformed, "not what the format asks for");
    }
    let rank = format!(r#"{{"w":{{"dtype":"U8","shape":[{}1],"data_offsets":[0,1]}}}}"#, "1,".repeat(16));
    refused(read(&file(&rank, 1)), ErrorKind::Malformed, "more than 16 dimensions");
    refused(read(&file(r#"{"__metadata__":{"a":1}}"#, 0)), ErrorKind::Malformed, "not what the format asks for");
}

/// A header of one tensor `w`.
fn one(element: &str, shape: &str, begin: u64, end: u64, data: usize) -> Vec<u8> {
    file(&format!(r#"{{"w":{{"dtype":"{element}","shape":{shape},"data_offsets":[{begin},{end}]}}}}"#), data)
}

#[test]
fn faults_of_one_tensor() {
    assert!(read(&one("F32", "[2]", 0, 8, 8)).is_ok());
    refused(read(&one("F4", "[2]", 0, 1, 1)), ErrorKind::Unsupported, "w: the element type F4");
    refused(read(&one("F32", "[2]", 8, 0, 8)), ErrorKind::Malformed, "w: the tensor's data ends at 0, before");
    refused(read(&one("F32", "[3]", 0, 8, 8)), ErrorKind::Malformed, "takes 12 bytes, the header gives it 8");
    refused(read(&one("F16", "[2]", 0, 8, 8)), ErrorKind::Malformed, "takes 4 bytes");
    refused(
        read(&one("F32", "[2]", 0, 8, 7)),
        ErrorKind::Truncated,
        "w: the file ends before the tensor's data (7 of 8",
    );
    refused(read(&one("F32", "[2]", 4, 12, 12)), ErrorKind::Malformed, "w: 4 unused bytes lie before");
    refused(read(&one("F32", "[2]", 0, 8, 9)), ErrorKind::Malformed, "1 bytes follow the last tensor");
    refused(read(&file("{}", 3)), ErrorKind::Malformed, "3 bytes follow the last tensor");
}

#[test]
fn shapes_that_overflow() {
    let sentence = "more elements than a file can hold";
    refused(read(&one("F32", "[4294967296,4294967296]", 0, 0, 0)), ErrorKind::Malformed, sentence);
    refused(read(&one("F64", "[2305843009213693952]", 0, 0, 0)), ErrorKind::Malformed, sentence);
    // Zero times anything is zero, but the product up to there must not wrap.
    refused(read(&one("F32", "[4294967296,4294967296,0]", 0, 0, 0)), ErrorKind::Malformed, sentence);
    refused(read(&one("U8", "[18446744073709551615]", 0, u64::MAX, 4)), ErrorKind::Truncated, "ends before");
}

#[test]
fn tensors_that_overlap_or_repeat() {
    let entry =
        |begin: u64, end: u64| format!(r#"{{"dtype":"U8","shape":[{}],"data_offsets":[{begin},{end}]}}"#, end - begin);
    let two = |first: String, second: String| format!(r#"{{"a":{first},"b":{second}}}"#);
    assert!(read(&file(&two(entry(4, 8), entry(0, 4)), 8)).is_ok());
    refused(read(&file(&two(entry(0, 4), entry(3, 8)), 8)), ErrorKind::Malformed, "b: the tensor overlaps");
    refused(read(&file(&two(entry(0, 4), entry(0, 4)), 4)), ErrorKind::Malformed, "b: the tensor overlaps");
    refused(read(&file(&two(entry(0, 4), entry(5, 8)), 8)), ErrorKind::Malformed, "b: 1 unused bytes");
    let repeated = format!(r#"{{"a":{},"a":{}}}"#, entry(0, 4), entry(4, 8));
    refused(read(&file(&repeated, 8)), ErrorKind::Malformed, "the name a occurs twice");
    refused(read(&file(r#"{"__metadata__":{},"__metadata__":{}}"#, 0)), ErrorKind::Malformed, "occurs twice");
    refused(read(&file(r#"{"__metadata__":{"k":"1","k":"2"}}"#, 0)), ErrorKind::Malformed, "the name k occurs twice");
}

#[test]
fn deep_json_does_not_overflow_the_stack() {
    let deep = format!(r#"{{"w":{}{}}}"#, "[".repeat(200_000), "]".repeat(200_000));
    refused(read(&file(&deep, 0)), ErrorKind::Malformed, "not what the format asks for");
    let unknown = format!(r#"{{"w":{{"x":{}{}}}}}"#, "[".repeat(200_000), "]".repeat(200_000));
    refused(read(&file(&unknown, 0)), ErrorKind::Malformed, "missing field `dtype`");
}

/// Whatever is accepted keeps the promises of `parse`, and the crate accepts it too.
#[test]
fn flipped_bytes_never_panic_and_never_lie() {
    let original = written();
    let header_end = 8 + u64::from_le_bytes(original[..8].try_into().unwrap()) as usize;
    let mut random = Random(20240607);
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..60_000 {
        let mut bytes = original.clone();
        for _ in 0..1 + random.below(3) {
            let place = random.below(header_end);
            bytes[place] = match random.below(4) {
                0 => bytes[place] ^ (1 << random.below(8)),
                1 => random.next() as u8,
                2 => b"0123456789{}[]\",:-"[random.below(18)],
                _ => bytes[random.below(header_end)],
            };
        }
        if random.below(8) == 0 {
            bytes.truncate(random.below(bytes.len() + 1));
        }
        match read(&bytes) {
            Ok(header) => {
                accepted += 1;
                safetensors::SafeTensors::deserialize(&bytes).expect("the crate refuses what we accept");
                for entry in header.tensors.values() {
                    assert!(entry.range.end <= bytes.len() as u64);
                    let elements: usize = entry.shape.iter().product();
                    assert_eq!(entry.range.end - entry.range.start, elements as u64 * entry.element.bytes());
                }
            }
            Err(Error { message, .. }) => {
                refused += 1;
                assert!(!message.is_empty());
            }
        }
    }
    assert!(accepted > 500 && refused > 10_000, "{accepted} accepted, {refused} refused");
}

#[test]
fn element_sizes_agree_with_the_crate() {
    for (element, reference) in
        [(ElementType::BF16, Dtype::BF16), (ElementType::F64, Dtype::F64), (ElementType::Bool, Dtype::BOOL)]
    {
        assert_eq!(element.name(), reference.to_string());
        assert_eq!(element.bytes() * 8, reference.bitsize() as u64);
    }
}

#[test]
fn an_index_names_plain_files_only() {
    let parse = |map: &str| {
        Index::parse("index", format!(r#"{{"metadata":{{"total_size":1}},"weight_map":{map}}}"#).as_bytes())
    };
    let index = parse(r#"{"a":"m-2.safetensors","b":"m-1.safetensors","c":"m-2.safetensors"}"#).unwrap();
    assert_eq!(index.parts().into_iter().collect::<Vec<_>>(), ["m-1.safetensors", "m-2.safetensors"]);
    for name in [
        "../m.safetensors",
        "a/m.safetensors",
        "/m.safetensors",
        r"..\\m.safetensors",
        "C:m.safetensors",
        "https://x/m.safetensors",
        "%2e%2e%2fm.safetensors",
        "m?.safetensors",
        ".safetensors",
        r"\u0000m.safetensors",
    ] {
        let error = parse(&format!(r#"{{"a":"{name}"}}"#)).expect_err(name);
        assert_eq!(error.kind, ErrorKind::Malformed, "{name}");
        assert!(error.message.contains("not a plain file name"), "{error}");
    }
    let kind = |map: &str| parse(map).unwrap_err().kind;
    assert_eq!(kind(r#"{"a":"m.bin"}"#), ErrorKind::Pickle);
    assert_eq!(kind(r#"{"a":"m.txt"}"#), ErrorKind::Unsupported);
    assert_eq!(kind(r#"{}"#), ErrorKind::Malformed);
    assert_eq!(kind(r#"{"a":1}"#), ErrorKind::Malformed);
    assert_eq!(kind(r#"{"a":"m.safetensors","a":"n.safetensors"}"#), ErrorKind::Malformed);
    assert_eq!(Index::parse("index", b"{}").unwrap_err().kind, ErrorKind::Malformed);
}

#[test]
fn json_with_bare_infinities() {
    let value =
        json::parse("scheduler", br#"{"a": -Infinity, "b": [Infinity, NaN, -1.5], "c": "a \"-Infinity\" NaN"}"#)
            .unwrap();
    assert_eq!(json::number(&value["a"]), Some(f64::NEG_INFINITY));
    assert_eq!(json::number(&value["b"][0]), Some(f64::INFINITY));
    assert!(json::number(&value["b"][1]).unwrap().is_nan());
    assert_eq!(json::number(&value["b"][2]), Some(-1.5));
    assert_eq!(value["c"], "a \"-Infinity\" NaN");
    assert_eq!(json::number(&value["c"]), None);
    let error = json::parse("unet/config.json", b"{\"a\": }").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Malformed);
    assert!(error.message.contains("unet/config.json") && error.message.contains("line 1"), "{error}");
    assert!(json::parse("x", b"{\"a\": Infinit}").is_err());
    assert!(json::parse("x", b"\xff").unwrap_err().message.contains("UTF-8"));
    assert!(json::parse("x", "[".repeat(100_000).as_bytes()).is_err());
}

#[test]
fn a_model_index_lists_the_parts_in_use() {
    let bytes = std::fs::read(golden("sdxl/model/model_index.json")).unwrap();
    let index = ModelIndex::parse("model_index.json", &bytes).unwrap();
    assert_eq!(index.class, "StableDiffusionXLPipeline");
    assert_eq!(index.component("text_encoder_2").unwrap().class, "CLIPTextModelWithProjection");
    assert_eq!(index.component("unet").unwrap().library, "diffusers");
    assert_eq!(index.settings["force_zeros_for_empty_prompt"], true);
    assert_eq!(index.component("image_encoder").unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(index.components.len(), 7);
}

#[test]
fn faults_of_a_model_index() {
    let message = |text: &str| ModelIndex::parse("model_index.json", text.as_bytes()).unwrap_err().message;
    assert!(message("[]").contains("must be an object"));
    assert!(message("{}").contains("_class_name"));
    assert!(message(r#"{"_class_name":"P","unet":["diffusers"]}"#).contains("unet is not a pair"));
    assert!(message(r#"{"_class_name":"P","unet":[1,2]}"#).contains("unet is not a pair"));
}
