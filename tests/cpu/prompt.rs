//! Weights in prompts, and the windows that long prompts fill.

use darkroom::text::clip_tokenizer::{ClipTokenizer, ClipTokenizerFiles};
use darkroom::text::prompt::{Chunk, Segment, chunks, parse};

use crate::golden::golden;
use crate::random::Random;

#[track_caller]
fn expect(prompt: &str, expected: &[(&str, f64)]) {
    let parsed: Vec<(String, f64)> = parse(prompt)
        .into_iter()
        .map(|segment| match segment {
            Segment::Text { text, weight } => (text, weight),
            Segment::Break => ("BREAK".into(), f64::NEG_INFINITY),
        })
        .collect();
    let close = |a: f64, b: f64| a == b || (a - b).abs() < 1e-12;
    let same = parsed.len() == expected.len()
        && parsed
            .iter()
            .zip(expected)
            .all(|((text, weight), (other, factor))| text == other && close(*weight, *factor));
    assert!(same, "{prompt:?} is {parsed:?}, not {expected:?}");
}

const BREAK: (&str, f64) = ("BREAK", f64::NEG_INFINITY);

#[test]
fn brackets_weigh() {
    expect("normal text", &[("normal text", 1.0)]);
    expect("", &[("", 1.0)]);
    expect("an (important) word", &[("an ", 1.0), ("important", 1.1), (" word", 1.0)]);
    expect("[less] more", &[("less", 1.0 / 1.1), (" more", 1.0)]);
    expect("(unbalanced", &[("unbalanced", 1.1)]);
    expect("[unbalanced", &[("unbalanced", 1.0 / 1.1)]);
    expect("closed) only]", &[("closed) only]", 1.0)]);
    expect("(unnecessary)(brackets)", &[("unnecessarybrackets", 1.1)]);
    expect("((twice))", &[("twice", 1.1 * 1.1)]);
    expect(
        "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
        &[
            ("a ", 1.0),
            ("house", 1.3 * 1.1 * 1.1),
            (" ", 1.1),
            ("on", 1.0),
            (" a ", 1.1),
            ("hill", 0.5 * 1.1),
            (", sun, ", 1.1),
            ("sky", 1.1_f64.powi(4)),
            (".", 1.1),
        ],
    );
}

#[test]
fn numbers_weigh() {
    expect("(word:1.25)", &[("word", 1.25)]);
    expect("(word: -0.5 )", &[("word", -0.5)]);
    expect("(word:+.5)", &[("word", 0.5)]);
    // Only a number that closes a bracket is one.
    expect("at 16:9", &[("at 16:9", 1.0)]);
    expect("word:1.2)", &[("word:1.2)", 1.0)]);
    expect("(a:b)", &[("a:b", 1.1)]);
    expect("(a:1.2.3)", &[("a:1.2.3", 1.1)]);
    expect("(a:)", &[("a:", 1.1)]);
    expect(&format!("(a:1{})", "0".repeat(400)), &[(&format!("a:1{}", "0".repeat(400)), 1.1)]);
    expect("[a:1.2]", &[("a:1.2", 1.0 / 1.1)]);
}

#[test]
fn backslashes_escape() {
    expect(r"\(literal\]", &[("(literal]", 1.0)]);
    expect(r"(a \(b\))", &[("a (b)", 1.1)]);
    expect(r"a\\b \c\", &[(r"a\b c", 1.0)]);
}

#[test]
fn breaks_divide() {
    expect("a BREAK b", &[("a", 1.0), BREAK, ("b", 1.0)]);
    expect("BREAK", &[BREAK]);
    expect("a\nBREAK\nBREAK b", &[("a", 1.0), BREAK, BREAK, ("b", 1.0)]);
    expect("BREAKING news, BREAKs, aBREAK, break", &[("BREAKING news, BREAKs, aBREAK, break", 1.0)]);
    expect("(a BREAK b:2)", &[("a", 2.0), BREAK, ("b", 2.0)]);
}

fn tokenizer() -> ClipTokenizer {
    let read = |name: &str| std::fs::read(golden(&format!("tokenizer/clip/{name}"))).unwrap();
    ClipTokenizer::from_files(ClipTokenizerFiles {
        vocabulary: &read("vocab.json"),
        merges: &read("merges.txt"),
        ..Default::default()
    })
    .unwrap()
}

/// Tokens of a window without begin, end and padding.
fn content(tokenizer: &ClipTokenizer, chunk: &Chunk) -> usize {
    assert_eq!((chunk.ids.len(), chunk.weights.len()), (77, 77));
    assert_eq!(chunk.ids[0], tokenizer.begin());
    let end = chunk.ids.iter().position(|id| *id == tokenizer.end()).unwrap();
    assert!(chunk.ids[end..].iter().all(|id| *id == tokenizer.padding()));
    assert!(chunk.weights[end..].iter().all(|weight| *weight == 1.0));
    end - 1
}

#[test]
fn a_short_prompt_is_one_window_as_without_weights() {
    let tokenizer = tokenizer();
    for prompt in ["", "a photo of a cat, best quality"] {
        let windows = chunks(&tokenizer, prompt);
        assert_eq!(windows.len(), 1);
        assert_eq!(windows[0].ids, tokenizer.encode_padded(prompt).ids);
        assert!(windows[0].weights.iter().all(|weight| *weight == 1.0));
    }
    let weighted = chunks(&tokenizer, "a (red:1.5) cat");
    assert_eq!(weighted[0].ids, tokenizer.encode_padded("a red cat").ids);
    assert_eq!(weighted[0].weights[..5], [1.0, 1.0, 1.5, 1.0, 1.0]);
}

#[test]
fn long_prompts_fill_several_windows() {
    let tokenizer = tokenizer();
    let sizes = |prompt: &str| -> Vec<usize> {
        chunks(&tokenizer, prompt).iter().map(|chunk| content(&tokenizer, chunk)).collect()
    };
    assert_eq!(sizes(&"cat ".repeat(75)), [75]);
    assert_eq!(sizes(&"cat ".repeat(76)), [75, 1]);
    assert_eq!(sizes(&"cat ".repeat(200)), [75, 75, 50]);
    assert_eq!(sizes("a BREAK b c"), [1, 2]);
    assert_eq!(sizes("a BREAK BREAK b"), [1, 0, 1]);
    // A comma as the 61st token: what follows it moves to the next window together.
    let near = format!("{}, {}", "cat ".repeat(60), "dog ".repeat(20));
    assert_eq!(sizes(&near), [61, 20]);
    // As the 55th it is too far back.
    let far = format!("{}, {}", "cat ".repeat(54), "dog ".repeat(30));
    assert_eq!(sizes(&far), [75, 10]);
    // At the very end nothing moves, and beyond the end the comma does.
    assert_eq!(sizes(&format!("{}, dog", "cat ".repeat(74))), [75, 1]);
    assert_eq!(sizes(&format!("{}, dog", "cat ".repeat(75))), [75, 2]);
}

#[test]
fn any_prompt_is_parsed() {
    let pieces = ["(", ")", "[", "]", ":", "\\", "1.2", "-", " ", "BREAK", "é", "word", "_", "\n"];
    let mut random = Random(5);
    for _ in 0..20_000 {
        let prompt: String = (0..random.below(25)).map(|_| pieces[random.below(pieces.len())]).collect();
        let segments = parse(&prompt);
        assert!(!segments.is_empty());
        for segment in segments {
            if let Segment::Text { weight, .. } = segment {
                assert!(weight.is_finite(), "{prompt:?}");
            }
        }
    }
}
