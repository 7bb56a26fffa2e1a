//! Byte-pair merging: a word's bytes are joined in the order in which the pairs were learned.
//!
//! Decision: strings become numbers once, when the files are read; a merge is then a search for two numbers. Rejected:
//! strings with a cache of words, as the reference has it, for a prompt's few words.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::error::{Error, ErrorKind, Result};

/// Merges that the reference reads at most: the entries of the published vocabulary less single bytes and specials.
const MAX_MERGES: usize = 49152 - 256 - 2;
/// Token ids by the text of the token.
pub type Vocabulary = HashMap<String, u32, BuildHasherDefault<ShortTextHasher>>;

/// FNV-1a: several times quicker on short text than the standard hasher. A vocabulary made to collide slows down the
/// page that opened it, and nothing else.
pub struct ShortTextHasher(u64);

impl Default for ShortTextHasher {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for ShortTextHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        // The table looks at the highest bits too, which short text leaves alike.
        self.0 ^ self.0.rotate_left(32)
    }
}

/// Two neighbours and what they become. Their numbers are one key, so that the list can be searched.
struct Merge {
    pair: u64,
    /// Earlier merges go first.
    rank: u32,
    symbol: u32,
}

fn pair(first: u32, second: u32) -> u64 {
    u64::from(first) << 32 | u64::from(second)
}

/// The merges of a vocabulary.
pub struct Merges {
    /// Symbol of each byte within a word, and at its end. A symbol is a token id, or a number above all of them.
    byte_symbols: Vec<[u32; 2]>,
    /// Sorted by pair: small, and quicker to make than a hash table.
    pairs: Vec<Merge>,
    /// Symbols from here on are no tokens, and become `unknown`.
    first_unlisted: u32,
    unknown: u32,
}

impl Merges {
    /// Reads `merges.txt`; `Malformed` where a line is not a pair.
    pub fn read(bytes: &[u8], vocabulary: Vocabulary, unknown: u32) -> Result<Self> {
        let mut symbols = Symbols::new(vocabulary)?;
        let first_unlisted = symbols.next;
        let byte_symbols = (0..=255).map(|byte| symbols.of_byte(byte)).collect();
        let pairs = read_pairs(bytes, &mut symbols)?;
        Ok(Self { byte_symbols, pairs, first_unlisted, unknown })
    }

    /// Appends the tokens of a word.
    pub fn encode(&self, word: &str, ids: &mut Vec<u32>) {
        let last = word.len().saturating_sub(1);
        let symbol = |(place, byte): (usize, u8)| {
            self.byte_symbols.get(usize::from(byte)).map(|[inner, end]| if place == last { *end } else { *inner })
        };
        let mut symbols: Vec<u32> = word.bytes().enumerate().filter_map(symbol).collect();
        while let Some(merge) = self.first_merge(&symbols) {
            symbols = merge_all(&symbols, merge);
        }
        ids.extend(symbols.iter().map(|symbol| if *symbol < self.first_unlisted { *symbol } else { self.unknown }));
    }

    /// The merge of two neighbours that was learned first.
    fn first_merge(&self, symbols: &[u32]) -> Option<&Merge> {
        let neighbours = symbols.iter().zip(symbols.iter().skip(1));
        let merges = neighbours.filter_map(|(first, second)| {
            let place = self.pairs.binary_search_by_key(&pair(*first, *second), |merge| merge.pair).ok()?;
            self.pairs.get(place)
        });
        merges.min_by_key(|merge| merge.rank)
    }
}

/// Merges every occurrence of a pair, from the left.
fn merge_all(symbols: &[u32], merge: &Merge) -> Vec<u32> {
    let mut merged = Vec::with_capacity(symbols.len());
    let mut rest = symbols;
    loop {
        match rest {
            [first, second, beyond @ ..] if pair(*first, *second) == merge.pair => {
                merged.push(merge.symbol);
                rest = beyond;
            }
            [first, beyond @ ..] => {
                merged.push(*first);
                rest = beyond;
            }
            [] => return merged,
        }
    }
}

/// Numbers for all strings that merging can meet: token ids, and numbers above them for strings that are no tokens.
struct Symbols {
    numbers: Vocabulary,
    next: u32,
}

impl Symbols {
    fn new(vocabulary: Vocabulary) -> Result<Self> {
        let highest = vocabulary.values().max().copied().unwrap_or(0);
        // Bytes and merges may add a few numbers each.
        let next = highest.checked_add(1).filter(|next| *next < u32::MAX - 4 * MAX_MERGES as u32);
        let next = next.ok_or_else(|| malformed(format!("vocab.json numbers a token {highest}, which is too high")))?;
        Ok(Self { numbers: vocabulary, next })
    }

    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = self.next;
        self.next += 1;
        self.numbers.insert(text.to_owned(), number);
        number
    }

    /// A byte within a word and at its end.
    fn of_byte(&mut self, byte: u8) -> [u32; 2] {
        let character = printable(byte);
        [self.number(&character.to_string()), self.number(&format!("{character}</w>"))]
    }
}

/// The character that stands for a byte in the vocabulary: itself where it is printable in Latin-1, else one from
/// U+0100 on, in the order of the bytes.
fn printable(byte: u8) -> char {
    let is_printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    if is_printable(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|other| !is_printable(*other)).count() as u32;
    char::from_u32(0x100 + before).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn read_pairs(bytes: &[u8], symbols: &mut Symbols) -> Result<Vec<Merge>> {
    let text = std::str::from_utf8(bytes).map_err(|_| malformed("merges.txt is not UTF-8 text"))?;
    let mut merges = Vec::new();
    let mut joined = String::new();
    // The first line is the version.
    for (rank, line) in (0..).zip(text.trim().lines().skip(1).take(MAX_MERGES)) {
        let mut parts = line.split_ascii_whitespace();
        let (Some(first), Some(second), None) = (parts.next(), parts.next(), parts.next()) else {
            return Err(malformed(format!("merges.txt: line {} is not a pair", rank + 2)));
        };
        joined.clear();
        joined.push_str(first);
        joined.push_str(second);
        let pair = pair(symbols.number(first), symbols.number(second));
        merges.push(Merge { pair, rank, symbol: symbols.number(&joined) });
    }
    // Of a repeated pair the last line counts, as in the reference.
    merges.sort_unstable_by_key(|merge| (merge.pair, std::cmp::Reverse(merge.rank)));
    merges.dedup_by_key(|merge| merge.pair);
    Ok(merges)
}

fn malformed(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Malformed, message)
}
