//! Repairs of a prompt's text before it is split, as CLIP's tokenizer makes them through the Python library `ftfy`.
//!
//! Decision: the repairs that prompts meet (references, widths, ligatures, curled quotes, line breaks, control
//! characters, composition), and of wrongly decoded text the one case that copying makes: UTF-8 read as Windows-1252 or
//! Latin-1. Rejected: `ftfy`'s search through ten encodings and its table of unlikely neighbours.

use unicode_normalization::char::{canonical_combining_class, compose, decompose_canonical};

use crate::text::entities::{unescape, windows_1252};

/// The text with every repair applied until nothing changes, line by line.
pub fn clean(text: &str) -> String {
    // A '<' means that this is markup, and references are meant to stay from this line on.
    let mut unescaping = true;
    let mut cleaned = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        unescaping = unescaping && !line.contains('<');
        cleaned.push_str(&clean_line(line, unescaping));
    }
    cleaned
}

fn clean_line(line: &str, unescaping: bool) -> String {
    let mut text = line.to_owned();
    loop {
        let mut next = if unescaping { unescape(&text) } else { text.clone() };
        while let Some(repaired) = decode_again(&next) {
            next = repaired;
        }
        let replaced: String = next.chars().fold(String::with_capacity(next.len()), push_replacement);
        let broken = replaced.replace("\r\n", "\n").replace(['\r', '\u{2028}', '\u{2029}'], "\n");
        let visible: String = remove_terminal_escapes(&broken).chars().filter(|c| !is_control(*c)).collect();
        let composed = normalise(&visible);
        // Every round shortens, decodes or normalises, so this ends.
        if composed == text {
            return text;
        }
        text = composed;
    }
}

/// Latin ligatures, wide and narrow forms, curled quotes, and the controls that Windows-1252 has letters for.
fn push_replacement(mut text: String, character: char) -> String {
    match character {
        '\u{80}'..='\u{9f}' => text.push(windows_1252(character as u32 as u8)),
        '\u{2bc}' | '\u{2018}'..='\u{201b}' => text.push('\''),
        '\u{201c}'..='\u{201f}' => text.push('"'),
        '\u{3000}' => text.push(' '),
        '\u{ff01}'..='\u{ff5e}' => text.extend(char::from_u32(character as u32 - 0xfee0)),
        // The one form with two characters in its place: a macron over nothing.
        '\u{ffe3}' => text.push_str(" \u{304}"),
        '\u{ff5f}'..='\u{ffee}' => text.push(standard_width(character)),
        _ => match LIGATURES.iter().find(|(ligature, _)| *ligature == character) {
            Some((_, letters)) => text.push_str(letters),
            None => text.push(character),
        },
    }
    text
}

const LIGATURES: [(char, &str); 22] = [
    ('Ĳ', "IJ"),
    ('ĳ', "ij"),
    // The apostrophe is a quote that would be uncurled in the next round.
    ('ŉ', "'n"),
    ('Ǳ', "DZ"),
    ('ǲ', "Dz"),
    ('ǳ', "dz"),
    ('Ǆ', "DŽ"),
    ('ǅ', "Dž"),
    ('ǆ', "dž"),
    ('Ǉ', "LJ"),
    ('ǈ', "Lj"),
    ('ǉ', "lj"),
    ('Ǌ', "NJ"),
    ('ǋ', "Nj"),
    ('ǌ', "nj"),
    ('ﬀ', "ff"),
    ('ﬁ', "fi"),
    ('ﬂ', "fl"),
    ('ﬃ', "ffi"),
    ('ﬄ', "ffl"),
    ('ﬅ', "ſt"),
    ('ﬆ', "st"),
];

/// The compatibility characters of U+FF5F to U+FFEE in their usual width; unassigned ones stay.
fn standard_width(character: char) -> char {
    // One character per code point; '-' where there is none.
    const FORMS: &str = "⦅⦆。「」、・ヲァィゥェォャュョッーアイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワン\
        \u{3099}\u{309a}\u{1160}\u{1100}\u{1101}\u{11aa}\u{1102}\u{11ac}\u{11ad}\u{1103}\u{1104}\u{1105}\u{11b0}\u{11b1}\
        \u{11b2}\u{11b3}\u{11b4}\u{11b5}\u{111a}\u{1106}\u{1107}\u{1108}\u{1121}\u{1109}\u{110a}\u{110b}\u{110c}\u{110d}\
        \u{110e}\u{110f}\u{1110}\u{1111}\u{1112}---\u{1161}\u{1162}\u{1163}\u{1164}\u{1165}\u{1166}--\u{1167}\u{1168}\
        \u{1169}\u{116a}\u{116b}\u{116c}--\u{116d}\u{116e}\u{116f}\u{1170}\u{1171}\u{1172}--\u{1173}\u{1174}\u{1175}---\
        ¢£¬-¦¥₩-│←↑→↓■○";
    let index = (character as usize).wrapping_sub(0xff5f);
    FORMS.chars().nth(index).filter(|form| *form != '-').unwrap_or(character)
}

/// ANSI sequences such as `ESC [ 0 m`.
fn remove_terminal_escapes(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("\u{1b}[") {
        let (before, sequence) = rest.split_at(start);
        kept.push_str(before);
        let parameters = sequence.get(2..).unwrap_or_default();
        let after = parameters.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
        match after.strip_prefix(|c: char| c.is_ascii_alphabetic()) {
            Some(after) => rest = after,
            None => {
                // The escape character itself goes with the other controls.
                kept.push('[');
                rest = parameters;
            }
        }
    }
    kept.push_str(rest);
    kept
}

/// Controls without a place in text: not tab, line feed and form feed, nor the joiners of emoji and scripts.
fn is_control(character: char) -> bool {
    matches!(character,
        '\0'..='\u{8}' | '\u{b}' | '\u{e}'..='\u{1f}' | '\u{7f}' | '\u{206a}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffc}')
}

/// Unicode's normalisation form C. Written out, because the crate's iterators keep the compatibility tables too.
fn normalise(text: &str) -> String {
    // Nothing below U+0300 decomposes and stays apart, or combines.
    if text.chars().all(|character| character < '\u{300}') {
        return text.to_owned();
    }
    let mut decomposed = Vec::with_capacity(text.len());
    for character in text.chars() {
        decompose_canonical(character, |part| decomposed.push((canonical_combining_class(part), part)));
    }
    // Marks between two starters are put in order.
    for marks in decomposed.split_mut(|(class, _)| *class == 0) {
        marks.sort_by_key(|(class, _)| *class);
    }
    let mut composed: Vec<char> = Vec::with_capacity(decomposed.len());
    // Where the last starter is, and the class of what stands between it and here.
    let mut starter: Option<usize> = None;
    let mut between: Option<u8> = None;
    for (class, character) in decomposed {
        let blocked = between.is_some_and(|between| between >= class || between == 0);
        let base = starter.and_then(|place| composed.get_mut(place)).filter(|_| !blocked);
        if let Some(base) = base
            && let Some(joined) = compose(*base, character)
        {
            *base = joined;
            continue;
        }
        if class == 0 {
            starter = Some(composed.len());
            between = None;
        } else {
            between = Some(class);
        }
        composed.push(character);
    }
    composed.into_iter().collect()
}

/// Text that is UTF-8 read as Windows-1252 or Latin-1 (`cafÃ©` for `café`), decoded as what it is: the whole, or else
/// the stretches that are; none where there are none.
fn decode_again(text: &str) -> Option<String> {
    if text.is_ascii() || !looks_wrongly_decoded(text) {
        return None;
    }
    let whole: Option<Vec<u8>> = text.chars().map(windows_1252_byte).collect();
    let whole = whole.and_then(|bytes| String::from_utf8(bytes).ok());
    whole.or_else(|| decode_stretches(text)).filter(|decoded| decoded != text)
}

fn decode_stretches(text: &str) -> Option<String> {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (length, bytes) = leading_sequences(rest);
        let (stretch, after) = rest.split_at_checked(length.max(first.len_utf8()))?;
        match String::from_utf8(bytes) {
            Ok(letters) if looks_wrongly_decoded(stretch) && length > 0 => decoded.push_str(&letters),
            _ => decoded.push_str(stretch),
        }
        rest = after;
    }
    Some(decoded)
}

/// The bytes of the UTF-8 sequences beyond ASCII that a text begins with, and the length of that beginning.
fn leading_sequences(text: &str) -> (usize, Vec<u8>) {
    let (mut length, mut bytes) = (0, Vec::new());
    let mut rest = text;
    loop {
        let lead = rest.chars().next().and_then(windows_1252_byte);
        let count = match lead {
            Some(0xc2..=0xdf) => 2,
            Some(0xe0..=0xef) => 3,
            Some(0xf0..=0xf4) => 4,
            _ => return (length, bytes),
        };
        let sequence: Option<Vec<u8>> = rest.chars().take(count).map(windows_1252_byte).collect();
        let Some(sequence) = sequence.filter(|sequence| std::str::from_utf8(sequence).is_ok()) else {
            return (length, bytes);
        };
        length += rest.chars().take(count).map(char::len_utf8).sum::<usize>();
        bytes.extend(sequence);
        rest = text.get(length..).unwrap_or_default();
    }
}

/// Pairs that no writer means: the first byte of a sequence as a letter, then a sign.
fn looks_wrongly_decoded(text: &str) -> bool {
    let is_sign = |c: char| {
        !c.is_alphabetic() && !c.is_ascii()
            || matches!(c, 'ƒ' | 'Š' | 'š' | 'Œ' | 'œ' | 'Ž' | 'ž' | 'Ÿ' | 'ª' | 'º' | 'µ')
    };
    let pairs = text.chars().zip(text.chars().skip(1));
    let mut triples = pairs.zip(text.chars().skip(2));
    let two = text
        .chars()
        .zip(text.chars().skip(1))
        .any(|(first, second)| matches!(first, 'Â' | 'Ã' | 'Î' | 'Ð') && is_sign(second));
    two || triples.any(|((first, second), third)| matches!(first, 'à'..='ô') && is_sign(second) && is_sign(third))
}

fn windows_1252_byte(character: char) -> Option<u8> {
    match u8::try_from(u32::from(character)) {
        Ok(byte) => Some(byte),
        Err(_) => (0x80..=0x9f).find(|byte| windows_1252(*byte) == character),
    }
}
