//! Prompts with weights, in the notation of AUTOMATIC1111's web UI, and their division over a text encoder's windows.
//!
//! `(word)` weighs 1.1 times as much, `[word]` 1.1 times less, `(word:1.3)` 1.3 times; brackets nest and multiply;
//! `\(` is a bracket of the text; `BREAK` begins a new window.
//!
//! Decision: this notation, because prompts are shared in it. It is asked for and never assumed: plain pipelines pass
//! brackets on to the tokenizer. Rejected: a notation of our own.
//!
//! Source: `modules/prompt_parser.py` and `modules/sd_hijack_clip.py` of
//! <https://github.com/AUTOMATIC1111/stable-diffusion-webui>.

use crate::text::clip_tokenizer::ClipTokenizer;

/// Factor of a pair of round brackets; square ones divide by it.
const BRACKET_FACTOR: f64 = 1.1;
/// A window that would end within this many tokens after a comma ends at the comma.
const COMMA_REACH: usize = 20;

/// A stretch of a prompt.
#[derive(Clone, Debug, PartialEq)]
pub enum Segment {
    Text { text: String, weight: f64 },
    Break,
}

/// One window of a text encoder.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    /// As many as the encoder takes, with begin, end and padding.
    pub ids: Vec<u32>,
    /// A factor for each token's embedding; 1 for begin, end and padding.
    pub weights: Vec<f32>,
}

/// The stretches of a prompt, each with its weight; neighbours have different weights. Never empty.
pub fn parse(prompt: &str) -> Vec<Segment> {
    let mut parser = Parser::default();
    let mut rest = prompt;
    while let Some(first) = rest.chars().next() {
        let length = parser.step(first, rest).max(first.len_utf8());
        rest = rest.get(length..).unwrap_or_default();
    }
    parser.finish()
}

#[derive(Default)]
struct Parser {
    segments: Vec<Segment>,
    /// Where brackets opened: the number of segments before them.
    round: Vec<usize>,
    square: Vec<usize>,
}

impl Parser {
    /// Takes what `rest` begins with and says how many bytes that was.
    fn step(&mut self, first: char, rest: &str) -> usize {
        match first {
            '\\' => return self.escaped(rest),
            '(' => self.round.push(self.segments.len()),
            '[' => self.square.push(self.segments.len()),
            ')' => match self.round.pop() {
                Some(start) => self.multiply(start, BRACKET_FACTOR),
                None => self.push_text(")"),
            },
            ']' => match self.square.pop() {
                Some(start) => self.multiply(start, 1.0 / BRACKET_FACTOR),
                None => self.push_text("]"),
            },
            ':' => {
                if let Some((weight, length)) = closing_weight(rest)
                    && let Some(start) = self.round.pop()
                {
                    self.multiply(start, weight);
                    return length;
                }
                self.push_text(":");
            }
            _ => {
                let length = rest.find(['\\', '(', ')', '[', ']', ':']).unwrap_or(rest.len());
                self.push_with_breaks(rest.get(..length).unwrap_or_default());
                return length;
            }
        }
        first.len_utf8()
    }

    fn escaped(&mut self, rest: &str) -> usize {
        match rest.chars().nth(1).filter(|second| matches!(second, '(' | ')' | '[' | ']' | '\\')) {
            Some(second) => {
                self.push_text(second.encode_utf8(&mut [0; 4]));
                2
            }
            // A lone backslash stands for nothing.
            None => 1,
        }
    }

    fn push_text(&mut self, text: &str) {
        if !text.is_empty() {
            self.segments.push(Segment::Text { text: text.to_owned(), weight: 1.0 });
        }
    }

    fn push_with_breaks(&mut self, text: &str) {
        let mut rest = text;
        while let Some((before, after)) = split_at_break(rest) {
            self.push_text(before.trim_end());
            self.segments.push(Segment::Break);
            rest = after.trim_start();
        }
        self.push_text(rest);
    }

    fn multiply(&mut self, start: usize, factor: f64) {
        for segment in self.segments.iter_mut().skip(start) {
            if let Segment::Text { weight, .. } = segment {
                *weight *= factor;
            }
        }
    }

    fn finish(mut self) -> Vec<Segment> {
        // Brackets that were never closed reach to the end.
        for start in std::mem::take(&mut self.round) {
            self.multiply(start, BRACKET_FACTOR);
        }
        for start in std::mem::take(&mut self.square) {
            self.multiply(start, 1.0 / BRACKET_FACTOR);
        }
        let mut merged: Vec<Segment> = Vec::new();
        for segment in self.segments {
            match (merged.last_mut(), segment) {
                (Some(Segment::Text { text, weight }), Segment::Text { text: more, weight: same })
                    if *weight == same =>
                {
                    text.push_str(&more);
                }
                (_, segment) => merged.push(segment),
            }
        }
        if merged.is_empty() {
            merged.push(Segment::Text { text: String::new(), weight: 1.0 });
        }
        merged
    }
}

/// `:1.2)`, with spaces or a sign allowed: the weight and the bytes it takes.
fn closing_weight(text: &str) -> Option<(f64, usize)> {
    let (inner, _) = text.strip_prefix(':')?.split_once(')')?;
    let number = inner.trim();
    let digits = number.strip_prefix(['+', '-']).unwrap_or(number);
    if digits.is_empty() || !digits.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let weight = number.parse().ok().filter(|weight: &f64| weight.is_finite())?;
    Some((weight, inner.len() + 2))
}

/// The text before and after the first `BREAK` that is a word of its own.
fn split_at_break(text: &str) -> Option<(&str, &str)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices("BREAK").find_map(|(start, word)| {
        let (before, after) = (text.get(..start)?, text.get(start + word.len()..)?);
        let alone = !before.ends_with(is_word) && !after.starts_with(is_word);
        alone.then_some((before, after))
    })
}

/// The windows that a prompt with weights fills. A full window ends at a comma where one is near.
pub fn chunks(tokenizer: &ClipTokenizer, prompt: &str) -> Vec<Chunk> {
    let room = tokenizer.length().saturating_sub(2).max(1);
    let comma = match tokenizer.encode_plain(",").as_slice() {
        [comma] => Some(*comma),
        _ => None,
    };
    let mut full = Vec::new();
    let mut current: Vec<(u32, f32)> = Vec::new();
    for segment in parse(prompt) {
        let Segment::Text { text, weight } = segment else {
            full.push(std::mem::take(&mut current));
            continue;
        };
        for id in tokenizer.encode_plain(&text) {
            if current.len() == room {
                let after_comma = current.iter().rposition(|(id, _)| Some(*id) == comma).map(|place| place + 1);
                let near = after_comma.filter(|after| Some(id) != comma && room + 1 - after <= COMMA_REACH);
                let next = current.split_off(near.unwrap_or(room));
                full.push(std::mem::replace(&mut current, next));
            }
            current.push((id, weight as f32));
        }
    }
    if !current.is_empty() || full.is_empty() {
        full.push(current);
    }
    full.into_iter().map(|content| window(tokenizer, &content)).collect()
}

fn window(tokenizer: &ClipTokenizer, content: &[(u32, f32)]) -> Chunk {
    let mut ids = vec![tokenizer.begin()];
    let mut weights = vec![1.0];
    ids.extend(content.iter().map(|(id, _)| id));
    weights.extend(content.iter().map(|(_, weight)| weight));
    ids.push(tokenizer.end());
    ids.resize(tokenizer.length().max(ids.len()), tokenizer.padding());
    weights.resize(ids.len(), 1.0);
    Chunk { ids, weights }
}
