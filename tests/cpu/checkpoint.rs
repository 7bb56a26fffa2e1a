//! Finding and reading weights as published folders hold them.

use std::path::PathBuf;
use std::rc::Rc;

use darkroom::error::{ErrorKind, Result};
use darkroom::formats::gguf::TensorType;
use darkroom::formats::json;
use darkroom::formats::ldm::Part;
use darkroom::formats::safetensors::ElementType;
use darkroom::models::checkpoint::{Checkpoint, read_config};
use darkroom::models::stored::Storage;
use darkroom::source::{
    ByteSource, DirectoryFolder, FileSource, Folder, LocalFuture, MemoryFolder, MemorySource, check_relative, read_all,
};
use half::{bf16, f16};
use pollster::block_on;
use safetensors::tensor::{Dtype, TensorView};

use crate::golden::golden;

/// A file of f32 tensors; each holds 0, 1, 2… plus `first`.
fn weights(tensors: &[(&str, &[usize])], first: f32) -> Vec<u8> {
    let data: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, shape)| (0..shape.iter().product()).flat_map(|i: usize| (i as f32 + first).to_le_bytes()).collect())
        .collect();
    let views = tensors
        .iter()
        .zip(&data)
        .map(|((name, shape), data)| (*name, TensorView::new(Dtype::F32, shape.to_vec(), data).unwrap()));
    safetensors::serialize(views, None).unwrap()
}

fn folder(files: &[(&str, Vec<u8>)]) -> MemoryFolder {
    let mut folder = MemoryFolder::new("model");
    for (path, bytes) in files {
        folder.insert(*path, bytes.clone());
    }
    folder
}

fn open(files: &[(&str, Vec<u8>)], component: &str) -> Result<Checkpoint> {
    block_on(Checkpoint::open(&folder(files), component))
}

#[test]
fn every_spelling_of_the_file_name_is_found() {
    let file = weights(&[("w", &[2])], 0.0);
    let index = |part: &str| format!(r#"{{"weight_map":{{"w":"{part}"}}}}"#).into_bytes();
    for (component, name) in [
        ("unet", "unet/diffusion_pytorch_model.safetensors"),
        ("unet", "unet/diffusion_pytorch_model.fp16.safetensors"),
        ("unet", "unet/diffusion_pytorch_model.bf16.safetensors"),
        ("unet", "unet/model.safetensors"),
        ("text_encoder", "text_encoder/model.safetensors"),
        ("text_encoder_2", "text_encoder_2/model.fp16.safetensors"),
        ("text_encoder", "text_encoder/pytorch_model.safetensors"),
        ("", "diffusion_pytorch_model.safetensors"),
    ] {
        let checkpoint = open(&[(name, file.clone())], component).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(block_on(checkpoint.read("w")).unwrap(), [0.0, 1.0], "{name}");
        assert_eq!(checkpoint.name(), format!("model/{name}"));
    }
    for (component, name, part) in [
        ("unet", "unet/diffusion_pytorch_model.safetensors.index.json", "d-00001-of-00001.safetensors"),
        ("unet", "unet/diffusion_pytorch_model.fp16.safetensors.index.json", "d.fp16-1.safetensors"),
        ("unet", "unet/diffusion_pytorch_model.safetensors.index.fp16.json", "d.fp16-1.safetensors"),
        ("text_encoder_3", "text_encoder_3/model.safetensors.index.fp16.json", "m.fp16-1.safetensors"),
        ("text_encoder_3", "text_encoder_3/model.safetensors.index.json", "m-1.safetensors"),
    ] {
        let part_path = format!("{component}/{part}");
        let checkpoint = open(&[(name, index(part)), (&part_path, file.clone())], component).unwrap();
        assert_eq!(block_on(checkpoint.read("w")).unwrap(), [0.0, 1.0], "{name}");
    }
}

#[test]
fn the_plain_file_comes_first_unless_another_is_preferred() {
    let files = folder(&[
        ("unet/diffusion_pytorch_model.safetensors", weights(&[("w", &[1])], 1.0)),
        ("unet/diffusion_pytorch_model.fp16.safetensors", weights(&[("w", &[1])], 2.0)),
        ("unet/diffusion_pytorch_model.bf16.safetensors", weights(&[("w", &[1])], 3.0)),
    ]);
    let value = |checkpoint: Checkpoint| block_on(checkpoint.read("w")).unwrap()[0];
    assert_eq!(value(block_on(Checkpoint::open(&files, "unet")).unwrap()), 1.0);
    assert_eq!(value(block_on(Checkpoint::open_preferring(&files, "unet", &["bf16", "fp16", ""])).unwrap()), 3.0);
    assert_eq!(value(block_on(Checkpoint::open_preferring(&files, "unet", &["absent", "fp16"])).unwrap()), 2.0);
}

#[test]
fn parts_are_merged_and_the_index_decides() {
    let index = br#"{"weight_map":{"a":"1.safetensors","b":"2.safetensors"}}"#.to_vec();
    let checkpoint = open(
        &[
            ("unet/diffusion_pytorch_model.safetensors.index.json", index),
            ("unet/1.safetensors", weights(&[("a", &[2]), ("b", &[1])], 10.0)),
            ("unet/2.safetensors", weights(&[("b", &[1]), ("stray", &[1])], 20.0)),
        ],
        "unet",
    )
    .unwrap();
    assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(block_on(checkpoint.read("b")).unwrap(), [20.0]);
}

#[test]
fn faults_of_split_checkpoints() {
    let index = "unet/diffusion_pytorch_model.safetensors.index.json";
    let map = |text: &str| format!(r#"{{"weight_map":{text}}}"#).into_bytes();
    let error = open(&[(index, map(r#"{"a":"1.safetensors"}"#))], "unet").err().unwrap();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(error.message.contains("1.safetensors"), "{error}");
    let files = [(index, map(r#"{"a":"1.safetensors"}"#)), ("unet/1.safetensors", weights(&[("b", &[1])], 0.0))];
    assert_eq!(open(&files, "unet").err().unwrap().kind, ErrorKind::TensorMissing);
    let files = [(index, map(r#"{"a":"../vae/1.safetensors"}"#)), ("vae/1.safetensors", weights(&[("a", &[1])], 0.0))];
    assert_eq!(open(&files, "unet").err().unwrap().kind, ErrorKind::Malformed);
}

#[test]
fn pickles_are_refused_and_absence_is_told_apart() {
    for name in ["unet/diffusion_pytorch_model.bin", "unet/diffusion_pytorch_model.fp16.bin", "unet/pytorch_model.bin"]
    {
        let error = open(&[(name, b"PK\x03\x04".to_vec())], "unet").err().unwrap();
        assert_eq!(error.kind, ErrorKind::Pickle, "{name}");
        assert!(error.message.contains(name) && error.message.contains("can run code"), "{error}");
    }
    // A pickle under a safetensors name.
    let disguised = [("unet/diffusion_pytorch_model.safetensors", b"PK\x03\x04\0\0\x08\x08data".to_vec())];
    assert_eq!(open(&disguised, "unet").err().unwrap().kind, ErrorKind::Pickle);
    let error = open(&[], "unet").err().unwrap();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(error.message.contains("unet/"), "{error}");
}

#[test]
fn a_damaged_header_names_its_file() {
    let mut bytes = weights(&[("w", &[4])], 0.0);
    bytes.pop();
    let error = open(&[("vae/diffusion_pytorch_model.safetensors", bytes)], "vae").err().unwrap();
    assert_eq!(error.kind, ErrorKind::Truncated);
    assert!(error.message.starts_with("model/vae/diffusion_pytorch_model.safetensors: w: "), "{error}");
}

#[test]
fn tensors_are_read_whole_or_in_rows_and_checked() {
    let file = weights(&[("w", &[4, 3, 1, 1]), ("scalar", &[])], 0.0);
    let checkpoint = open(&[("unet/model.safetensors", file)], "unet").unwrap();
    assert_eq!(block_on(checkpoint.read("w")).unwrap(), (0..12).map(|i| i as f32).collect::<Vec<_>>());
    assert_eq!(block_on(checkpoint.read_rows("w", 1..3)).unwrap(), [3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    assert!(block_on(checkpoint.read_rows("w", 4..4)).unwrap().is_empty());
    assert_eq!(block_on(checkpoint.read("scalar")).unwrap(), [0.0]);
    for rows in [3..5, 5..5, usize::MAX - 1..usize::MAX] {
        assert_eq!(block_on(checkpoint.read_rows("w", rows)).unwrap_err().kind, ErrorKind::TensorShape);
    }
    let backwards = std::ops::Range { start: 3, end: 1 };
    assert_eq!(block_on(checkpoint.read_rows("w", backwards)).unwrap_err().kind, ErrorKind::TensorShape);
    assert_eq!(block_on(checkpoint.read_rows("scalar", 0..1)).unwrap_err().kind, ErrorKind::TensorShape);

    assert_eq!(checkpoint.shape("w").unwrap(), [4, 3, 1, 1]);
    assert_eq!(checkpoint.storage("w").unwrap(), Storage::Elements(ElementType::F32));
    assert_eq!(checkpoint.stored_bytes("w").unwrap(), 48);
    assert!(checkpoint.expect_shape("w", &[4, 3]).is_ok());
    assert!(checkpoint.expect_shape("w", &[4, 3, 1, 1]).is_ok());
    let error = checkpoint.expect_shape("w", &[3, 4]).unwrap_err();
    assert_eq!(error.kind, ErrorKind::TensorShape);
    assert!(error.message.contains("[4, 3, 1, 1]") && error.message.contains("[3, 4]"), "{error}");
    let error = block_on(checkpoint.read("absent")).unwrap_err();
    assert_eq!(error.kind, ErrorKind::TensorMissing);
    assert!(error.message.contains("absent"), "{error}");
}

fn widen(element: ElementType, bytes: &[u8]) -> Result<Vec<f32>> {
    Storage::Elements(element).decode(bytes)
}

#[test]
fn every_floating_type_is_widened_exactly() {
    let values = [0.0_f32, -0.0, 1.0, -2.5, 65504.0, 6.0e-8, f32::INFINITY, f32::NEG_INFINITY];
    let halves: Vec<u8> = values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect();
    let expected: Vec<f32> = values.iter().map(|v| f16::from_f32(*v).to_f32()).collect();
    assert_eq!(widen(ElementType::F16, &halves).unwrap(), expected);
    assert_eq!(widen(ElementType::F16, &[0x01, 0x00]).unwrap(), [2.0_f32.powi(-24)]);
    let brains: Vec<u8> = values.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect();
    assert_eq!(widen(ElementType::BF16, &brains).unwrap()[3..5], [-2.5, 65536.0]);
    assert_eq!(widen(ElementType::F32, &1.5_f32.to_le_bytes()).unwrap(), [1.5]);
    assert_eq!(widen(ElementType::F64, &0.1_f64.to_le_bytes()).unwrap(), [0.1]);
    assert!(widen(ElementType::F16, &0x7e00_u16.to_le_bytes()).unwrap()[0].is_nan());
    for element in [ElementType::I64, ElementType::U8, ElementType::F8E4M3, ElementType::Bool] {
        assert_eq!(Storage::Elements(element).decode(&[0; 8]).unwrap_err().kind, ErrorKind::Unsupported);
    }
}

/// Both spellings of the same network have the same names once opened.
#[test]
fn legacy_attention_names_become_todays() {
    for (old, new, component) in [
        ("sd15/vae-legacy-attention-keys", "sd15/model", "vae"),
        ("ddpm/unet-legacy-attention-keys", "ddpm/model", "unet"),
    ] {
        let old = block_on(Checkpoint::open(&DirectoryFolder::new(golden(old)), "")).unwrap();
        let new = block_on(Checkpoint::open(&DirectoryFolder::new(golden(new)), component)).unwrap();
        let names: Vec<&str> = new.names().collect();
        assert!(names.iter().any(|name| name.contains("attentions.0.to_out.0.weight")));
        assert_eq!(old.names().collect::<Vec<_>>(), names);
        for name in names {
            assert_eq!(old.shape(name).unwrap(), new.shape(name).unwrap(), "{name}");
            let (a, b) = (block_on(old.read(name)).unwrap(), block_on(new.read(name)).unwrap());
            assert_eq!(a, b, "{name}");
        }
    }
}

#[test]
fn names_without_the_outer_module_get_it() {
    let names: &[(&str, &[usize])] = &[
        ("embeddings.token_embedding.weight", &[1]),
        ("encoder.layers.0.mlp.fc1.bias", &[2]),
        ("final_layer_norm.weight", &[3]),
        ("text_projection.weight", &[4]),
    ];
    let checkpoint = open(&[("text_encoder/model.safetensors", weights(names, 0.0))], "text_encoder").unwrap();
    assert_eq!(
        checkpoint.names().collect::<Vec<_>>(),
        [
            "text_model.embeddings.token_embedding.weight",
            "text_model.encoder.layers.0.mlp.fc1.bias",
            "text_model.final_layer_norm.weight",
            "text_projection.weight",
        ]
    );
    assert_eq!(checkpoint.shape("text_model.final_layer_norm.weight").unwrap(), [3]);
    assert_eq!(checkpoint.shape("text_projection.weight").unwrap(), [4]);
}

#[test]
fn other_networks_keep_their_names() {
    let names: &[(&str, &[usize])] = &[
        ("a.attentions.0.query.weight", &[1]),
        ("a.attentions.0.to_q.weight", &[1]),
        ("a.attentions.x.key.weight", &[1]),
        ("a.layers.0.key.weight", &[1]),
        ("encoder.layers.0.weight", &[1]),
    ];
    let checkpoint = open(&[("vae/model.safetensors", weights(names, 0.0))], "vae").unwrap();
    assert_eq!(checkpoint.names().collect::<Vec<_>>(), names.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    let tied: &[(&str, &[usize])] = &[("encoder.embed_tokens.weight", &[1])];
    let checkpoint = open(&[("text_encoder/model.safetensors", weights(tied, 0.0))], "text_encoder").unwrap();
    assert!(checkpoint.contains("shared.weight"));
}

/// Every part with weights of every reference folder opens, and each of its floating tensors has the right length.
#[test]
fn all_reference_folders_open() {
    let mut parts = 0;
    for model in ["sd15", "sd15_inpaint", "sd21", "sd_turbo", "sdxl", "lcm", "dit", "sd3", "ddpm", "pixart", "flux"] {
        for folder in std::fs::read_dir(golden(model)).unwrap().map(|entry| entry.unwrap().path()) {
            if !folder.join("model_index.json").exists() {
                continue;
            }
            let source = DirectoryFolder::new(&folder);
            for part in ["unet", "transformer", "vae", "text_encoder", "text_encoder_2", "text_encoder_3"] {
                if folder.join(part).exists() {
                    open_part(&source, part);
                    parts += 1;
                }
            }
        }
    }
    assert!(parts > 40, "{parts} parts");
}

fn open_part(folder: &DirectoryFolder, part: &str) {
    let checkpoint = block_on(Checkpoint::open(folder, part)).unwrap();
    for name in checkpoint.names() {
        let values = block_on(checkpoint.read(name)).unwrap();
        assert_eq!(values.len(), checkpoint.shape(name).unwrap().iter().product::<usize>(), "{name}");
        assert!(values.iter().all(|value| value.is_finite()), "{name}");
    }
    let config = block_on(read_config(folder, &format!("{part}/config.json"))).unwrap();
    assert!(config.is_object());
}

#[test]
fn scheduler_configurations_with_bare_infinities_are_read() {
    let folder = DirectoryFolder::new(golden("sd15/model"));
    assert!(block_on(read_config(&folder, "scheduler/scheduler_config.json")).unwrap().is_object());
    let bytes = br#"{"lambda_min_clipped": -Infinity}"#.to_vec();
    let memory = self::folder(&[("scheduler/scheduler_config.json", bytes)]);
    let config = block_on(read_config(&memory, "scheduler/scheduler_config.json")).unwrap();
    assert_eq!(json::number(&config["lambda_min_clipped"]), Some(f64::NEG_INFINITY));
    let error = block_on(read_config(&memory, "unet/config.json")).unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(error.message.contains("unet/config.json"), "{error}");
}

#[test]
fn a_single_file_opens() {
    let path = golden("single_file/sd15_tiny_ldm_f16.safetensors");
    let checkpoint = block_on(Checkpoint::from_file(Rc::new(FileSource::open(&path).unwrap()))).unwrap();
    assert!(checkpoint.contains("first_stage_model.decoder.conv_in.weight"));
    assert_eq!(
        checkpoint.storage("first_stage_model.decoder.conv_in.weight").unwrap(),
        Storage::Elements(ElementType::F16)
    );
}

/// The single file holds the same weights as the folder, under other names.
#[test]
fn a_single_file_equals_its_folder() {
    let path = golden("single_file/sd15_tiny_ldm_f16.safetensors");
    let folder = DirectoryFolder::new(golden("sd15/model"));
    for part in [Part::Unet, Part::Vae, Part::TextEncoder] {
        let file = Rc::new(FileSource::open(&path).unwrap());
        let single = block_on(Checkpoint::from_single_file(file, part)).unwrap();
        let parted = block_on(Checkpoint::open(&folder, part.name())).unwrap();
        // The table of positions 0 to 76 is no weight.
        let names: Vec<&str> = single.names().filter(|name| !name.ends_with("position_ids")).collect();
        assert_eq!(names, parted.names().filter(|name| !name.ends_with("position_ids")).collect::<Vec<_>>());
        for name in names {
            single.expect_shape(name, parted.shape(name).unwrap()).unwrap();
            assert_eq!(block_on(single.read(name)).unwrap(), block_on(parted.read(name)).unwrap(), "{name}");
        }
    }
    let file = Rc::new(FileSource::open(&path).unwrap());
    let error = block_on(Checkpoint::from_single_file(file, Part::TextEncoder2)).err().unwrap();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(error.message.contains("text_encoder_2"), "{error}");
}

/// A quantised UNet has the folder's names and shapes, and its values to the precision of its blocks.
#[test]
fn a_gguf_file_equals_its_folder_nearly() {
    let folder = DirectoryFolder::new(golden("sd15/model"));
    let parted = block_on(Checkpoint::open(&folder, "unet")).unwrap();
    for (kind, tensor_type, step) in [("Q8_0", TensorType::Q8_0, 1.0 / 127.0), ("Q4_0", TensorType::Q4_0, 1.0 / 8.0)] {
        let file = Rc::new(FileSource::open(&golden(&format!("gguf/sd15_unet_{kind}.gguf"))).unwrap());
        let single = block_on(Checkpoint::from_single_file(file, Part::Unet)).unwrap();
        assert_eq!(single.names().collect::<Vec<_>>(), parted.names().collect::<Vec<_>>());
        let mut quantised = 0;
        for name in single.names() {
            single.expect_shape(name, parted.shape(name).unwrap()).unwrap();
            let (values, exact) = (block_on(single.read(name)).unwrap(), block_on(parted.read(name)).unwrap());
            let largest = exact.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
            // Q8_0 is off by half a step, Q4_0 by a whole one at the end of its range.
            let allowed = match single.storage(name).unwrap() {
                Storage::Blocks(stored) if stored == tensor_type => {
                    quantised += 1;
                    largest * step * 1.01
                }
                _ => largest * 1e-3,
            };
            let furthest = values.iter().zip(&exact).fold(0.0_f32, |far, (a, b)| far.max((a - b).abs()));
            assert!(values.len() == exact.len() && furthest <= allowed, "{kind} {name}: {furthest} of {largest}");
            let rows = parted.shape(name).unwrap()[0];
            let some = block_on(single.read_rows(name, 1..rows)).unwrap();
            assert_eq!(some, values[values.len() / rows..], "{name}");
        }
        assert!(quantised > 50, "{quantised} quantised tensors");
    }
}

/// A convolution that was flattened to fit the blocks gets back its shape, and rows that are parts of blocks are read.
#[test]
fn a_flattened_tensor_has_its_noted_shape() {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
    let shape: Vec<u8> = [4_i32, 2, 2, 2].iter().flat_map(|dimension| dimension.to_le_bytes()).collect();
    let mut file = [
        &b"GGUF\x03\0\0\0"[..],
        &1_u64.to_le_bytes(),
        &1_u64.to_le_bytes(),
        &text("comfy.gguf.orig_shape.w"),
        &9_u32.to_le_bytes(),
        &5_u32.to_le_bytes(),
        &4_u64.to_le_bytes(),
        &shape,
        &text("w"),
        &1_u32.to_le_bytes(),
        &32_u64.to_le_bytes(),
        &8_u32.to_le_bytes(),
        &0_u64.to_le_bytes(),
    ]
    .concat();
    file.resize(file.len().next_multiple_of(32), 0);
    file.extend(f16::from_f32(0.5).to_le_bytes());
    file.extend(0..32_u8);
    let checkpoint = block_on(Checkpoint::from_file(Rc::new(MemorySource::new("file", file)))).unwrap();
    assert_eq!(checkpoint.shape("w").unwrap(), [4, 2, 2, 2]);
    let expected: Vec<f32> = (0..32).map(|value| value as f32 / 2.0).collect();
    assert_eq!(block_on(checkpoint.read("w")).unwrap(), expected);
    assert_eq!(block_on(checkpoint.read_rows("w", 1..3)).unwrap(), expected[8..24]);
    let error = Storage::Blocks(TensorType::Q4K).decode(&[0; 144]).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unsupported);
    assert!(error.message.contains("Q4_K"), "{error}");
}

#[test]
fn open_clip_encoders_are_taken_apart() {
    let names: &[(&str, &[usize])] = &[
        ("conditioner.embedders.1.model.ln_final.bias", &[2]),
        ("conditioner.embedders.1.model.logit_scale", &[]),
        ("conditioner.embedders.1.model.positional_embedding", &[7, 2]),
        ("conditioner.embedders.1.model.text_projection", &[2, 3]),
        ("conditioner.embedders.1.model.token_embedding.weight", &[9, 2]),
        ("conditioner.embedders.1.model.transformer.resblocks.0.attn.in_proj_bias", &[6]),
        ("conditioner.embedders.1.model.transformer.resblocks.0.attn.in_proj_weight", &[6, 2]),
        ("conditioner.embedders.1.model.transformer.resblocks.0.attn.out_proj.weight", &[2, 2]),
        ("conditioner.embedders.1.model.transformer.resblocks.0.ln_1.weight", &[2]),
        ("conditioner.embedders.1.model.transformer.resblocks.0.ln_2.weight", &[2]),
        ("conditioner.embedders.1.model.transformer.resblocks.0.mlp.c_fc.weight", &[8, 2]),
        ("conditioner.embedders.1.model.transformer.resblocks.0.mlp.c_proj.weight", &[2, 8]),
    ];
    let source = Rc::new(MemorySource::new("xl", weights(names, 0.0)));
    let checkpoint = block_on(Checkpoint::from_single_file(source, Part::TextEncoder2)).unwrap();
    let layer = |name: &str| format!("text_model.encoder.layers.0.{name}");
    let read = |name: &str| block_on(checkpoint.read(name)).unwrap();
    assert_eq!(checkpoint.names().count(), 15);
    assert_eq!(read(&layer("self_attn.q_proj.weight")), [0.0, 1.0, 2.0, 3.0]);
    assert_eq!(read(&layer("self_attn.k_proj.weight")), [4.0, 5.0, 6.0, 7.0]);
    assert_eq!(read(&layer("self_attn.v_proj.weight")), [8.0, 9.0, 10.0, 11.0]);
    assert_eq!(read(&layer("self_attn.v_proj.bias")), [4.0, 5.0]);
    assert_eq!(checkpoint.shape(&layer("self_attn.k_proj.weight")).unwrap(), [2, 2]);
    for name in
        ["layer_norm1.weight", "layer_norm2.weight", "mlp.fc1.weight", "mlp.fc2.weight", "self_attn.out_proj.weight"]
    {
        assert!(checkpoint.contains(&layer(name)), "{name}");
    }
    // Stored as 2×3 by columns of the result.
    assert_eq!(checkpoint.shape("text_projection.weight").unwrap(), [3, 2]);
    assert_eq!(read("text_projection.weight"), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    assert_eq!(block_on(checkpoint.read_rows("text_projection.weight", 1..3)).unwrap(), [1.0, 4.0, 2.0, 5.0]);
    assert_eq!(checkpoint.shape("text_model.embeddings.position_embedding.weight").unwrap(), [7, 2]);
    assert!(checkpoint.contains("text_model.final_layer_norm.bias"));

    let odd: &[(&str, &[usize])] = &[("cond_stage_model.model.transformer.resblocks.0.attn.in_proj_bias", &[7])];
    let source = Rc::new(MemorySource::new("odd", weights(odd, 0.0)));
    let error = block_on(Checkpoint::from_single_file(source, Part::TextEncoder)).err().unwrap();
    assert_eq!(error.kind, ErrorKind::TensorShape);
}

/// The names of XL's extra layers, which the reference file lacks.
#[test]
fn extra_layers_of_xl_are_named() {
    let names: &[(&str, &[usize])] = &[
        ("model.diffusion_model.input_blocks.0.0.weight", &[1]),
        ("model.diffusion_model.label_emb.0.0.weight", &[1]),
        ("model.diffusion_model.label_emb.0.2.bias", &[1]),
        ("conditioner.embedders.0.transformer.text_model.final_layer_norm.bias", &[1]),
    ];
    let source = Rc::new(MemorySource::new("xl", weights(names, 0.0)));
    let unet = block_on(Checkpoint::from_single_file(Rc::clone(&source) as _, Part::Unet)).unwrap();
    assert_eq!(
        unet.names().collect::<Vec<_>>(),
        ["add_embedding.linear_1.weight", "add_embedding.linear_2.bias", "conv_in.weight"]
    );
    let text = block_on(Checkpoint::from_single_file(source, Part::TextEncoder)).unwrap();
    assert_eq!(text.names().collect::<Vec<_>>(), ["text_model.final_layer_norm.bias"]);
}

/// A directory of its own for a test, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("darkroom-{name}-{}", std::process::id()));
        std::fs::create_dir_all(path.join("inside/sub")).unwrap();
        std::fs::write(path.join("secret"), b"secret").unwrap();
        std::fs::write(path.join("inside/sub/file"), b"0123456789").unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn a_directory_is_not_left() {
    let scratch = Scratch::new("leave");
    let folder = DirectoryFolder::new(scratch.0.join("inside"));
    assert!(block_on(folder.open("sub/file")).unwrap().is_some());
    assert!(block_on(folder.open("sub/absent")).unwrap().is_none());
    assert!(block_on(folder.open("absent/file")).unwrap().is_none());
    assert!(block_on(folder.open("sub")).unwrap().is_none(), "a directory is no file");
    for path in
        ["../secret", "sub/../../secret", "/etc/hostname", "", ".", "sub//file", r"..\secret", "C:secret", "a\0"]
    {
        assert_eq!(check_relative(path).unwrap_err().kind, ErrorKind::Malformed, "{path:?}");
        assert_eq!(block_on(folder.open(path)).err().unwrap().kind, ErrorKind::Malformed, "{path:?}");
    }
}

#[test]
fn a_file_is_read_by_ranges() {
    let scratch = Scratch::new("ranges");
    let path = scratch.0.join("inside/sub/file");
    let file = FileSource::open(&path).unwrap();
    let memory = MemorySource::new("memory", b"0123456789".to_vec());
    let sources: [&dyn ByteSource; 2] = [&file, &memory];
    for source in sources {
        assert_eq!(source.length(), 10);
        assert_eq!(block_on(source.read(2..5)).unwrap(), b"234");
        assert_eq!(block_on(source.read(0..10)).unwrap(), b"0123456789");
        assert_eq!(block_on(source.read(10..10)).unwrap(), b"");
        let backwards = std::ops::Range { start: 5, end: 2 };
        for range in [5..11, 11..12, backwards, 0..u64::MAX, u64::MAX - 1..u64::MAX] {
            assert_eq!(block_on(source.read(range.clone())).unwrap_err().kind, ErrorKind::Truncated, "{range:?}");
        }
        assert_eq!(block_on(read_all(source, 9)).unwrap_err().kind, ErrorKind::Malformed);
        assert_eq!(block_on(read_all(source, 10)).unwrap().len(), 10);
    }
    // A file that shrinks while it is open.
    std::fs::write(&path, b"01").unwrap();
    assert_eq!(block_on(file.read(0..5)).unwrap_err().kind, ErrorKind::Truncated);
    assert_eq!(FileSource::open(&scratch.0.join("none")).err().unwrap().kind, ErrorKind::NotFound);
}

/// A server that sends less than was asked for.
struct ShortSource(MemorySource);

impl ByteSource for ShortSource {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn length(&self) -> u64 {
        self.0.length()
    }

    fn read(&self, range: std::ops::Range<u64>) -> LocalFuture<'_, Result<Vec<u8>>> {
        self.0.read(range.start..range.end - 1)
    }
}

#[test]
fn a_source_that_sends_too_little_is_noticed() {
    let short = ShortSource(MemorySource::new("short", weights(&[("w", &[2])], 0.0)));
    let error = block_on(Checkpoint::from_file(Rc::new(short))).err().unwrap();
    assert_eq!(error.kind, ErrorKind::Truncated);
    assert!(error.message.contains("short"), "{error}");
}
