//! `cargo xtask synth`: a checkpoint of the full published size and layout with random weights, so that memory, load
//! times and kernels at real shapes can be measured without a download.
//!
//! Decision: names and shapes are derived here from the configuration, apart from the engine's own loader, so that the
//! two check each other. Values are scaled by fan-in, so that activations stay near one through the whole network and
//! f16 is as accurate as with trained weights. Every tensor's values follow from its name and the seed alone.

mod layout;
mod random;
mod stock;

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use half::f16;
use serde_json::{Map, Value, json};

use crate::process::root;
use layout::{Kind, Tensor};
use random::Random;
use stock::Stock;

/// Writes the model folder; fails where the folder holds anything already.
pub fn write(model: &str, folder: &Path, seed: u64) -> Result<()> {
    let stock = Stock::named(model)?;
    if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!("{} is not empty; name a new folder", folder.display());
    }
    let start = Instant::now();
    write_json(&folder.join("model_index.json"), &stock.model_index())?;
    write_json(&folder.join("scheduler/scheduler_config.json"), &stock.scheduler)?;
    copy_tokenizer(&folder.join("tokenizer"), stock.padding)?;
    let mut total = 0;
    for (part, file, config, tensors) in [
        ("text_encoder", "model", &stock.text_encoder, layout::clip_text(&stock.text_encoder)?),
        ("unet", "diffusion_pytorch_model", &stock.unet, layout::unet(&stock.unet)?),
        ("vae", "diffusion_pytorch_model", &stock.vae, layout::vae(&stock.vae)?),
    ] {
        write_json(&folder.join(part).join("config.json"), config)?;
        let bytes = write_tensors(&folder.join(part).join(format!("{file}.safetensors")), &tensors, seed)?;
        let elements: usize = tensors.iter().map(Tensor::elements).sum();
        println!("{part}: {} tensors, {elements} weights, {bytes} bytes", tensors.len());
        total += bytes;
    }
    println!("{}: {total} bytes in {:.0} s", folder.display(), start.elapsed().as_secs_f64());
    Ok(())
}

fn create(path: &Path) -> Result<BufWriter<File>> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    }
    let file = File::create(path).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(BufWriter::with_capacity(1 << 20, file))
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    let mut file = create(path)?;
    serde_json::to_writer_pretty(&mut file, value)?;
    Ok(file.flush()?)
}

/// The full CLIP vocabulary, from the built-in model, with the padding token of the checkpoint.
fn copy_tokenizer(folder: &Path, padding: &str) -> Result<()> {
    let source = root().join("models/emoji/tokenizer");
    let read =
        |name: &str| fs::read(source.join(name)).with_context(|| format!("{name} of the built-in model is missing"));
    for name in ["vocab.json", "merges.txt"] {
        create(&folder.join(name))?.write_all(&read(name)?)?;
    }
    for name in ["tokenizer_config.json", "special_tokens_map.json"] {
        let mut config: Map<String, Value> = serde_json::from_slice(&read(name)?)?;
        config.insert("pad_token".into(), json!(padding));
        write_json(&folder.join(name), &Value::Object(config))?;
    }
    Ok(())
}

/// Streams a safetensors file of f16 values; its length in bytes.
fn write_tensors(path: &Path, tensors: &[Tensor], seed: u64) -> Result<usize> {
    let mut header = Map::new();
    header.insert("__metadata__".into(), json!({ "format": "pt" }));
    let mut end = 0;
    for tensor in tensors {
        let start = end;
        end += tensor.elements() * size_of::<f16>();
        let entry = json!({ "dtype": "F16", "shape": tensor.shape, "data_offsets": [start, end] });
        if header.insert(tensor.name.clone(), entry).is_some() {
            bail!("{} appears twice", tensor.name);
        }
    }
    let mut header = serde_json::to_vec(&header)?;
    // The reference pads with spaces, so that the data is aligned.
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = create(path)?;
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(&header)?;
    for tensor in tensors {
        write_values(&mut file, tensor, seed)?;
    }
    file.flush()?;
    Ok(8 + header.len() + end)
}

fn write_values(file: &mut impl Write, tensor: &Tensor, seed: u64) -> Result<()> {
    let mut random = Random::for_tensor(seed, &tensor.name);
    let (centre, spread) = match tensor.kind {
        Kind::Weight => (0.0, 0.7 / (tensor.fan_in() as f32).sqrt()),
        Kind::Scale => (1.0, 0.1),
        Kind::Shift => (0.0, 0.05),
        // The first norm brings them to one, whatever they are; published ones are about this large.
        Kind::Embedding => (0.0, 0.02),
    };
    let mut chunk = [0; 2 * 4096];
    let mut left = tensor.elements();
    while left > 0 {
        let count = left.min(4096);
        for bytes in chunk.as_chunks_mut::<2>().0.iter_mut().take(count) {
            *bytes = f16::from_f32(centre + spread * random.normal()).to_le_bytes();
        }
        file.write_all(chunk.get(..2 * count).unwrap_or_default())?;
        left -= count;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Kind, Tensor, fs, write_tensors};

    #[test]
    fn the_file_holds_what_its_header_says() {
        let path = std::env::temp_dir().join(format!("darkroom-synth-{}.safetensors", std::process::id()));
        let tensors = [
            Tensor { name: "a.weight".into(), shape: vec![40, 100], kind: Kind::Weight },
            Tensor { name: "norm.weight".into(), shape: vec![1000], kind: Kind::Scale },
        ];
        let length = write_tensors(&path, &tensors, 1).unwrap();
        let bytes = fs::read(&path).unwrap();
        let again = write_tensors(&path, &tensors, 1).map(|_| fs::read(&path).unwrap()).unwrap();
        let other = write_tensors(&path, &tensors, 2).map(|_| fs::read(&path).unwrap()).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(bytes.len(), length);
        assert_eq!(bytes, again);
        assert_ne!(bytes, other);

        let header_length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + header_length]).unwrap();
        assert_eq!(header["norm.weight"]["data_offsets"], serde_json::json!([8000, 10000]));
        assert_eq!(length, 8 + header_length + 10000);
        let values: Vec<f64> = bytes[8 + header_length..]
            .as_chunks::<2>()
            .0
            .iter()
            .map(|&pair| half::f16::from_le_bytes(pair).into())
            .collect();
        let spread = |values: &[f64], centre: f64| {
            (values.iter().map(|value| (value - centre).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
        };
        assert!((spread(&values[..4000], 0.0) - 0.07).abs() < 0.004);
        assert!((spread(&values[4000..], 1.0) - 0.1).abs() < 0.01);
    }
}
