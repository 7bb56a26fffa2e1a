//! Token ids of the CLIP tokenizer. Rows on which the reference's tokenizers disagree count by the slow one with ftfy,
//! which is what the pipelines ran with.

use std::fs;

use darkroom::text::clip_tokenizer::{ClipTokenizer, ClipTokenizerFiles};
use serde_json::Value;

use crate::case::Case;
use crate::comparison::Bar;
use crate::report::{Report, Way};
use crate::{Result, Settings};

pub fn run(_settings: &Settings, case: &Case, report: &mut Report) -> Result<()> {
    let folder = case.path("tokenizer")?;
    let merges = folder.join("merges.txt");
    if !merges.is_file() {
        report.unsupported("the engine has no unigram tokenizer yet");
        return Ok(());
    }
    let (vocabulary, merges) = (fs::read(folder.join("vocab.json"))?, fs::read(merges)?);
    let optional = |name: &str| fs::read(folder.join(name)).ok();
    let (config, special_tokens) = (optional("tokenizer_config.json"), optional("special_tokens_map.json"));
    let tokenizer = ClipTokenizer::from_files(ClipTokenizerFiles {
        vocabulary: &vocabulary,
        merges: &merges,
        config: config.as_deref(),
        special_tokens: special_tokens.as_deref(),
    })?;
    for (index, prompt) in case.value("prompts")?.as_array().ok_or("prompts is no list")?.iter().enumerate() {
        let text = prompt.get("text").and_then(Value::as_str).ok_or("a prompt has no text")?;
        let expected = ids(prompt.get("ids").or_else(|| prompt.get("slow_ftfy")))?;
        let actual = tokenizer.encode(text);
        let name = format!("prompt.{index}");
        report.compare(&name, Way::EndToEnd, &[expected.len()], (&expected, &actual), Bar::Equal);
        if let padded @ Some(_) = prompt.get("padded77") {
            let expected = ids(padded)?;
            let actual = tokenizer.encode_padded(text).ids;
            let name = format!("{name}.padded77");
            report.compare(&name, Way::EndToEnd, &[expected.len()], (&expected, &actual), Bar::Equal);
        }
    }
    Ok(())
}

fn ids(value: Option<&Value>) -> Result<Vec<u32>> {
    let list = value.and_then(Value::as_array).ok_or("a prompt has no ids")?;
    list.iter().map(|id| Ok(u32::try_from(id.as_u64().ok_or("an id is no number")?)?)).collect()
}
