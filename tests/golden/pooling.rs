//! CLIP's pooled output: the hidden state at the end of the text.

use darkroom::models::config::ClipTextConfig;

use crate::case::Expected;

/// Rows of `hidden` at the end token. Old configurations say `eos_token_id` 2 and mean the largest id.
pub fn pooled(config: &ClipTextConfig, ids: &Expected, hidden: &[f32]) -> Vec<f32> {
    let length = ids.shape.last().copied().unwrap_or(1);
    let end_of = |row: &[f64]| match config.eos_token_id {
        None | Some(2) => {
            let most = row.iter().copied().fold(f64::MIN, f64::max);
            row.iter().position(|&id| id == most)
        }
        Some(end) => row.iter().position(|&id| id == f64::from(end)),
    };
    let rows = ids.values.chunks_exact(length).enumerate();
    rows.flat_map(|(batch, row)| {
        let place = batch * length + end_of(row).unwrap_or(0);
        hidden[place * config.hidden_size..][..config.hidden_size].to_vec()
    })
    .collect()
}
