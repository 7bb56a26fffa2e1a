//! CLIP's tokenizer against the reference's ids, and its files against faults.

use std::time::Instant;

use darkroom::error::{Error, ErrorKind, Result};
use darkroom::text::cleaning::clean;
use darkroom::text::clip_tokenizer::{ClipTokenizer, ClipTokenizerFiles};
use serde_json::Value;

use crate::golden::golden;
use crate::random::Random;

fn load(folder: &str) -> ClipTokenizer {
    let read = |name: &str| std::fs::read(golden(&format!("{folder}/{name}"))).unwrap();
    ClipTokenizer::from_files(ClipTokenizerFiles {
        vocabulary: &read("vocab.json"),
        merges: &read("merges.txt"),
        config: Some(&read("tokenizer_config.json")),
        special_tokens: Some(&read("special_tokens_map.json")),
    })
    .unwrap()
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

/// All rows: those on which the reference's tokenizers agree, and on the others the one that the pipelines use.
fn agrees(kind: &str) {
    let tokenizer = load(&format!("tokenizer/{kind}"));
    let case: Value =
        serde_json::from_slice(&std::fs::read(golden(&format!("tokenizer/cases/{kind}/case.json"))).unwrap()).unwrap();
    let prompts = case["prompts"].as_array().unwrap();
    let mut padded = 0;
    let mut differing = Vec::new();
    for prompt in prompts {
        let text = prompt["text"].as_str().unwrap();
        let expected = ids(prompt.get("ids").unwrap_or(&prompt["slow_ftfy"]));
        let actual = tokenizer.encode(text);
        if actual != expected {
            differing.push(format!("{text:?}\n  is  {actual:?}\n  not {expected:?}"));
        }
        if let Some(expected) = prompt.get("padded77") {
            let actual = tokenizer.encode_padded(text);
            assert_eq!(actual.ids, ids(expected), "{text:?}");
            assert_eq!(actual.truncated, tokenizer.encode(text).len().saturating_sub(77), "{text:?}");
            padded += 1;
        }
    }
    assert!(differing.is_empty(), "{} of {} differ:\n{}", differing.len(), prompts.len(), differing.join("\n"));
    assert_eq!(prompts.len(), 200);
    assert!(padded >= 10, "{padded} padded rows");
}

#[test]
fn the_full_vocabulary_agrees_with_the_reference() {
    agrees("clip");
}

#[test]
fn a_cut_vocabulary_agrees_with_the_reference() {
    agrees("clip_small");
}

/// Ids of the reference (`CLIPTokenizer` with `ftfy`) for texts that need a repair or meet an edge of the pattern.
#[test]
fn repairs_and_edges_agree_with_the_reference() {
    let tokenizer = load("tokenizer/clip");
    let cases: [(&str, &[u32]); 9] = [
        ("\u{130}\u{17f}'\u{17f}", &[328, 16384, 129, 379, 6, 129, 379]),
        (
            "caf\u{e9} \u{fb01}sh &eacute;&#39; \u{e2}\u{20ac}\u{153}quoted\u{e2}\u{20ac}\u{9d}",
            &[15304, 2759, 4166, 262, 257, 27706, 257],
        ),
        ("x<y &amp;\nz &amp;", &[343, 283, 344, 261, 6259, 282, 345, 261, 6259, 282]),
        ("don\u{2019}t \u{ff57}\u{ff49}\u{ff44}\u{ff45}", &[847, 713, 3184]),
        ("\u{65e5}\u{672c} \u{ff8a}\u{ff9f}\u{ff9d}", &[39121, 19277, 361, 2429, 239, 26875]),
        ("\u{1b}[1;31mred\u{1b}[0m \u{1b}[x", &[736]),
        ("a\u{345}", &[320]),
        ("\u{2167}\u{bd}", &[158, 227, 371, 33613]),
        ("&THETA;&nope;&#59;&#x110000;", &[138, 372, 261, 15625, 26, 5, 258, 276, 280, 26, 39802]),
    ];
    for (text, expected) in cases {
        assert_eq!(tokenizer.encode_plain(text), expected, "{text:?}");
    }
}

/// Stable Diffusion 2 pads with "!", which makes every "!" in a prompt that token.
#[test]
fn a_padding_token_is_cut_out_of_the_text() {
    let tokenizer = load("sd21/model/tokenizer");
    assert_eq!(tokenizer.encode("a cat! wow!!"), [1712, 320, 66, 536, 0, 1613, 342, 0, 0, 1713]);
    let padded = tokenizer.encode_padded("photo");
    assert_eq!(padded.ids.len(), 77);
    assert_eq!(padded.ids[..4], [1712, 1125, 1713, 0]);
    assert_eq!((tokenizer.begin(), tokenizer.end(), tokenizer.padding(), tokenizer.length()), (1712, 1713, 0, 77));
}

const VOCABULARY: &str =
    r#"{"a":0,"b":1,"a</w>":2,"b</w>":3,"ab</w>":4,"<|startoftext|>":5,"<|endoftext|>":6,"<pad>":7}"#;

fn small(vocabulary: &str, merges: &str, config: Option<&str>, special: Option<&str>) -> Result<ClipTokenizer> {
    ClipTokenizer::from_files(ClipTokenizerFiles {
        vocabulary: vocabulary.as_bytes(),
        merges: merges.as_bytes(),
        config: config.map(str::as_bytes),
        special_tokens: special.map(str::as_bytes),
    })
}

#[test]
fn a_vocabulary_without_configuration_has_the_usual_tokens() {
    let tokenizer = small(VOCABULARY, "#version\na b</w>\n", None, None).unwrap();
    assert_eq!(tokenizer.encode("AB ba"), [5, 4, 1, 2, 6]);
    // A byte that the vocabulary lacks is the unknown token.
    assert_eq!(tokenizer.encode("z"), [5, 6, 6]);
    assert_eq!(tokenizer.length(), 77);
    assert_eq!(tokenizer.encode(""), [5, 6]);
}

#[test]
fn both_forms_of_configuration_are_read() {
    let plain = r#"{"pad_token":"<pad>","model_max_length":5}"#;
    let objects = r#"{"pad_token":{"content":"<pad>","lstrip":false},"model_max_length":5}"#;
    let map = r#"{"pad_token":"<pad>"}"#;
    let length = r#"{"pad_token":"a","model_max_length":5}"#;
    for (config, special) in [(plain, None), (objects, None), (length, Some(map))] {
        let tokenizer = small(VOCABULARY, "#version", Some(config), special).unwrap();
        let padded = tokenizer.encode_padded("b");
        assert_eq!(padded.ids, [5, 3, 6, 7, 7], "{config}");
        assert_eq!(padded.truncated, 0);
        let cut = tokenizer.encode_padded("b b b b b");
        assert_eq!(cut.ids, [5, 3, 3, 3, 6]);
        assert_eq!(cut.truncated, 2);
    }
    // Python's "no limit".
    let unlimited = r#"{"model_max_length":1000000000000000019884624838656}"#;
    assert_eq!(small(VOCABULARY, "#version", Some(unlimited), None).unwrap().length(), 77);
    // An added token has the number that the configuration gives it.
    let added = r#"{"added_tokens_decoder":{"9":{"content":"<new>"}}}"#;
    assert_eq!(small(VOCABULARY, "#version", Some(added), None).unwrap().encode("a<new>b"), [5, 2, 9, 3, 6]);
}

#[test]
fn faults_of_the_files() {
    let fault = |vocabulary: &str, merges: &str, config: Option<&str>| {
        small(vocabulary, merges, config, None).err().unwrap_or_else(|| panic!("{vocabulary} {merges} {config:?}"))
    };
    let expect = |error: Error, kind: ErrorKind, sentence: &str| {
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.contains(sentence), "{:?} does not say {sentence:?}", error.message);
    };
    expect(fault("[]", "", None), ErrorKind::Malformed, "vocab.json");
    expect(fault(r#"{"a":-1}"#, "", None), ErrorKind::Malformed, "vocab.json");
    expect(fault(r#"{"a":0}"#, "", None), ErrorKind::Malformed, "<|startoftext|>");
    let high = VOCABULARY.replace(":7", ":4294967295");
    expect(fault(&high, "", None), ErrorKind::Malformed, "too high");
    expect(fault(VOCABULARY, "#version\na b c", None), ErrorKind::Malformed, "line 2 is not a pair");
    expect(fault(VOCABULARY, "#version\na b\na", None), ErrorKind::Malformed, "line 3 is not a pair");
    expect(fault(VOCABULARY, "", Some("{")), ErrorKind::Malformed, "tokenizer_config.json");
    expect(fault(VOCABULARY, "", Some(r#"{"pad_token":"none"}"#)), ErrorKind::Malformed, "\"none\"");
    expect(fault(VOCABULARY, "", Some(r#"{"model_max_length":1}"#)), ErrorKind::Malformed, "too few");
    let id = r#"{"added_tokens_decoder":{"x":{"content":"<new>"}}}"#;
    expect(fault(VOCABULARY, "", Some(id)), ErrorKind::Malformed, "has no number");
    let content = r#"{"added_tokens_decoder":{"9":{}}}"#;
    expect(fault(VOCABULARY, "", Some(content)), ErrorKind::Malformed, "has no content");
    let strip = r#"{"added_tokens_decoder":{"9":{"content":"<new>","lstrip":true}}}"#;
    expect(fault(VOCABULARY, "", Some(strip)), ErrorKind::Unsupported, "lstrip");
    let bytes = ClipTokenizerFiles { vocabulary: VOCABULARY.as_bytes(), merges: b"\xff", ..Default::default() };
    expect(ClipTokenizer::from_files(bytes).err().unwrap(), ErrorKind::Malformed, "merges.txt is not UTF-8");
    expect(small(VOCABULARY, "", None, Some("1")).err().unwrap(), ErrorKind::Malformed, "special_tokens_map.json");
}

/// Random text, with pieces that repairs look for, neither panics nor hangs.
#[test]
fn any_text_is_encoded() {
    let tokenizer = load("tokenizer/clip_small");
    let pieces = [
        "&",
        "#",
        ";",
        "&#",
        "\u{1b}[",
        "\u{c3}",
        "\u{a9}",
        "\u{e2}\u{20ac}",
        "<|",
        "|>",
        "\n",
        "'",
        "\u{ffe3}",
        "a",
        "7",
    ];
    let mut random = Random(11);
    for _ in 0..4000 {
        let text: String = (0..random.below(30))
            .map(|_| match random.below(2) {
                0 => pieces[random.below(pieces.len())].to_owned(),
                _ => char::from_u32(random.below(0x11_0000) as u32).unwrap_or('?').to_string(),
            })
            .collect();
        let ids = tokenizer.encode(&text);
        assert_eq!((ids.first(), ids.last()), (Some(&tokenizer.begin()), Some(&tokenizer.end())), "{text:?}");
        // Cleaning once is cleaning for good.
        let cleaned = clean(&text);
        assert!(text.contains('<') || clean(&cleaned) == cleaned || cleaned.contains('<'), "{text:?} {cleaned:?}");
    }
}

/// A word of thousands of letters and thousands of wrongly decoded ones end in no time.
#[test]
fn long_words_are_encoded_quickly() {
    let tokenizer = load("tokenizer/clip_small");
    let start = Instant::now();
    assert!(tokenizer.encode(&"xy".repeat(2000)).len() > 1000);
    assert!(!clean(&format!("猫{}â€œ", "É»".repeat(20_000))).is_empty());
    assert!(start.elapsed().as_secs() < 10);
}
