//! CLIP's tokenizer: byte-level byte-pair encoding with an end-of-word mark, as `CLIPTokenizer` of `transformers`.
//!
//! Decision: own code. Rejected: `tokenizers` (its regex engine alone outweighs the engine's wasm) and `instant-clip-tokenizer`
//! (one fixed vocabulary and no special tokens within the text).
//!
//! Source: <https://github.com/openai/CLIP>, `simple_tokenizer.py`, and `transformers`' `tokenization_clip.py`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use unicode_normalization::char::is_combining_mark;

use crate::error::{Error, ErrorKind, Result};
use crate::text::cleaning::clean;
use crate::text::merges::{Merges, Vocabulary};

/// Tokens that a CLIP text encoder takes, where the configuration is silent.
const DEFAULT_LENGTH: usize = 77;
/// More than any text encoder takes; Python writes 1e30 for "no limit".
const MAX_LENGTH: u64 = 4096;
const BEGIN_WORD: &str = "<|startoftext|>";
const END_WORD: &str = "<|endoftext|>";

/// The files of a `tokenizer` folder.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClipTokenizerFiles<'a> {
    /// `vocab.json`
    pub vocabulary: &'a [u8],
    /// `merges.txt`
    pub merges: &'a [u8],
    /// `tokenizer_config.json`
    pub config: Option<&'a [u8]>,
    /// `special_tokens_map.json`
    pub special_tokens: Option<&'a [u8]>,
}

/// Token ids of a fixed number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Padded {
    /// Begin, the prompt, end, and padding.
    pub ids: Vec<u32>,
    /// Tokens of the prompt that did not fit.
    pub truncated: usize,
}

pub struct ClipTokenizer {
    merges: Merges,
    /// Tokens that are cut out of the text as they stand, longest first.
    specials: Vec<(String, u32)>,
    begin: u32,
    end: u32,
    padding: u32,
    length: usize,
}

impl ClipTokenizer {
    /// Reads the files; `Malformed` where one breaks its format.
    pub fn from_files(files: ClipTokenizerFiles<'_>) -> Result<Self> {
        let vocabulary: Vocabulary = serde_json::from_slice(files.vocabulary)
            .map_err(|error| malformed(format!("vocab.json is not a map of tokens to numbers: {error}")))?;
        let settings = Settings::read(files.config, files.special_tokens)?;
        let id_of = |token: &str| {
            let id = settings.added.get(token).or_else(|| vocabulary.get(token)).copied();
            id.ok_or_else(|| malformed(format!("the special token {token:?} is not in vocab.json")))
        };
        let (begin, end) = (id_of(&settings.begin)?, id_of(&settings.end)?);
        let (padding, unknown) = (id_of(&settings.padding)?, id_of(&settings.unknown)?);
        let mut specials = Vec::new();
        for token in settings.specials() {
            specials.push((token.clone(), id_of(token)?));
        }
        specials.sort_by(|(a, _), (b, _)| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));

        let merges = Merges::read(files.merges, vocabulary, unknown)?;
        let length = settings.length;
        Ok(Self { merges, specials, begin, end, padding, length })
    }

    /// Tokens that the text encoder takes, begin and end included.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The token that begins every prompt.
    pub fn begin(&self) -> u32 {
        self.begin
    }

    /// The token that ends every prompt.
    pub fn end(&self) -> u32 {
        self.end
    }

    /// The token that fills up to [`ClipTokenizer::length`].
    pub fn padding(&self) -> u32 {
        self.padding
    }

    /// All tokens of a text, with begin and end, however many.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let mut ids = vec![self.begin];
        ids.extend(self.encode_plain(text));
        ids.push(self.end);
        ids
    }

    /// The tokens of a text without begin and end, for prompts that are put together from pieces.
    pub fn encode_plain(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        let mut piece_start = 0;
        let mut place = 0;
        while let Some(rest) = text.get(place..).filter(|rest| !rest.is_empty()) {
            if let Some((token, id)) = self.specials.iter().find(|(token, _)| rest.starts_with(token.as_str())) {
                self.encode_piece(text.get(piece_start..place).unwrap_or_default(), &mut ids);
                ids.push(*id);
                place += token.len();
                piece_start = place;
            } else {
                place += rest.chars().next().map_or(1, char::len_utf8);
            }
        }
        self.encode_piece(text.get(piece_start..).unwrap_or_default(), &mut ids);
        ids
    }

    /// The tokens of a text, cut and filled up to [`ClipTokenizer::length`].
    pub fn encode_padded(&self, text: &str) -> Padded {
        let content = self.encode_plain(text);
        let kept = content.len().min(self.length.saturating_sub(2));
        let mut ids = vec![self.begin];
        ids.extend(content.iter().take(kept));
        ids.push(self.end);
        ids.resize(self.length.max(ids.len()), self.padding);
        Padded { ids, truncated: content.len() - kept }
    }

    /// Text between special tokens: cleaned, lower-cased, split into words, each word encoded.
    fn encode_piece(&self, text: &str, ids: &mut Vec<u32>) {
        if text.is_empty() {
            return;
        }
        let lower = collapse_whitespace(&clean(text)).to_lowercase();
        let mut rest = lower.as_str();
        while let Some((word, after)) = next_word(rest) {
            rest = after;
            match word {
                BEGIN_WORD => ids.push(self.begin),
                END_WORD => ids.push(self.end),
                _ => self.merges.encode(word, ids),
            }
        }
    }
}

/// What the two configuration files say.
struct Settings {
    begin: String,
    end: String,
    padding: String,
    unknown: String,
    /// Tokens with numbers of their own.
    added: BTreeMap<String, u32>,
    length: usize,
}

impl Settings {
    fn read(config: Option<&[u8]>, special_tokens: Option<&[u8]>) -> Result<Self> {
        let config = read_object("tokenizer_config.json", config)?;
        let special_tokens = read_object("special_tokens_map.json", special_tokens)?;
        let added = read_added(&config)?;
        // Newer configurations list all added tokens and stand alone; before, the map came first.
        let token = |key: &str| {
            let mapped = special_tokens.get(key).filter(|_| added.is_empty());
            mapped.and_then(token_text).or_else(|| config.get(key).and_then(token_text))
        };
        let end = token("eos_token").unwrap_or_else(|| END_WORD.to_owned());
        let length = config.get("model_max_length").and_then(Value::as_u64).filter(|length| *length <= MAX_LENGTH);
        let length = length.map_or(DEFAULT_LENGTH, |length| length as usize);
        if length < 2 {
            return Err(malformed(format!("tokenizer_config.json allows {length} tokens, too few for begin and end")));
        }
        Ok(Self {
            begin: token("bos_token").unwrap_or_else(|| BEGIN_WORD.to_owned()),
            padding: token("pad_token").unwrap_or_else(|| END_WORD.to_owned()),
            unknown: token("unk_token").unwrap_or_else(|| END_WORD.to_owned()),
            end,
            length,
            added,
        })
    }

    fn specials(&self) -> BTreeSet<&String> {
        let named = [&self.begin, &self.end, &self.padding, &self.unknown];
        self.added.keys().chain(named).filter(|token| !token.is_empty()).collect()
    }
}

fn read_object(name: &str, bytes: Option<&[u8]>) -> Result<Map<String, Value>> {
    bytes.map_or(Ok(Map::new()), |bytes| {
        serde_json::from_slice(bytes).map_err(|error| malformed(format!("{name} is not a JSON object: {error}")))
    })
}

fn read_added(config: &Map<String, Value>) -> Result<BTreeMap<String, u32>> {
    let mut added = BTreeMap::new();
    for (id, token) in config.get("added_tokens_decoder").and_then(Value::as_object).into_iter().flatten() {
        let place = || format!("tokenizer_config.json: the added token {id}");
        let number = id.parse().map_err(|_| malformed(format!("{} has no number", place())))?;
        let text = token_text(token).ok_or_else(|| malformed(format!("{} has no content", place())))?;
        let trims =
            ["lstrip", "rstrip", "single_word"].into_iter().find(|flag| token.get(flag) == Some(&Value::Bool(true)));
        if let Some(flag) = trims {
            return Err(Error::new(ErrorKind::Unsupported, format!("{} asks for {flag}", place())));
        }
        added.insert(text, number);
    }
    Ok(added)
}

/// A token is written as its text, or as an object with the text in `content`.
fn token_text(value: &Value) -> Option<String> {
    value.as_str().or_else(|| value.get("content")?.as_str()).map(str::to_owned)
}

fn malformed(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Malformed, message)
}

fn collapse_whitespace(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The next word of lower-case text and what follows it: a special token, an English ending, letters, one digit, or
/// other signs.
fn next_word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start_matches(is_gap);
    let first = text.chars().next()?;
    let fixed = [BEGIN_WORD, END_WORD].into_iter().find(|word| text.starts_with(word)).map(str::len);
    let length = if let Some(length) = fixed.or_else(|| contraction(text)) {
        length
    } else if is_letter(first) {
        text.find(|c| !is_letter(c)).unwrap_or(text.len())
    } else if first.is_numeric() {
        first.len_utf8()
    } else {
        text.find(|c: char| is_gap(c) || is_letter(c) || c.is_numeric()).unwrap_or(text.len())
    };
    text.split_at_checked(length)
}

/// Belongs to no word: white space, and the subscript iota, which the reference's pattern, as it ignores case, takes
/// neither for a letter nor for another sign.
fn is_gap(character: char) -> bool {
    character.is_whitespace() || character == '\u{345}'
}

/// Bytes of `'s`, `'t`, `'re`, `'ve`, `'m`, `'ll` or `'d` at the beginning.
fn contraction(text: &str) -> Option<usize> {
    // The long s is an s to a pattern that ignores case.
    ["'s", "'ſ", "'t", "'re", "'ve", "'m", "'ll", "'d"]
        .into_iter()
        .find(|ending| text.starts_with(ending))
        .map(str::len)
}

/// General category L. `is_alphabetic` also has letter numbers, vowel signs and letters in circles.
fn is_letter(character: char) -> bool {
    let circled = matches!(character, '\u{24b6}'..='\u{24e9}' | '\u{1f130}'..='\u{1f189}');
    character.is_alphabetic() && !character.is_numeric() && !is_combining_mark(character) && !circled
}
