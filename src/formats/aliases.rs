//! One name per tensor: older spellings become those of today's `diffusers` and `transformers`.
//!
//! Decision: names are rewritten once, when a checkpoint is opened and all of them are known; models then ask for one
//! name. Rejected: trying alternatives at every lookup, which spreads the history of two libraries over all models.

use std::collections::BTreeSet;

/// What a tensor is called today. `names` are all names of the checkpoint, `name` is one of them. A name whose new
/// spelling is also present stays as it is.
pub fn canonical(name: &str, names: &BTreeSet<&str>) -> String {
    let renamed = [attention_projection(name), text_model(name, names), shared_embedding(name)];
    let renamed = renamed.into_iter().flatten().next();
    renamed.filter(|new| !names.contains(new.as_str())).unwrap_or_else(|| name.to_owned())
}

/// `AttentionBlock` of `diffusers` before 0.17 (autoencoders and unconditional UNets):
/// `….attentions.0.query.weight` → `….attentions.0.to_q.weight`.
fn attention_projection(name: &str) -> Option<String> {
    let (path, kind) = name.rsplit_once('.')?;
    let (block, projection) = path.rsplit_once('.')?;
    let (parents, number) = block.rsplit_once('.')?;
    let in_attention = parents == "attentions" || parents.ends_with(".attentions");
    if !in_attention || number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let projection = match projection {
        "query" => "to_q",
        "key" => "to_k",
        "value" => "to_v",
        "proj_attn" => "to_out.0",
        _ => return None,
    };
    Some(format!("{block}.{projection}.{kind}"))
}

/// CLIP text encoders exported without their outer module: `embeddings.…` → `text_model.embeddings.…`. Other networks
/// have an `encoder.layers` too, so the token embedding decides.
fn text_model(name: &str, names: &BTreeSet<&str>) -> Option<String> {
    const INNER: [&str; 3] = ["embeddings.", "encoder.layers.", "final_layer_norm."];
    let bare = names.contains("embeddings.token_embedding.weight");
    (bare && INNER.iter().any(|inner| name.starts_with(inner))).then(|| format!("text_model.{name}"))
}

/// T5's token table is tied and stored under either name.
fn shared_embedding(name: &str) -> Option<String> {
    (name == "encoder.embed_tokens.weight").then(|| "shared.weight".to_owned())
}
