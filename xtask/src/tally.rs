//! Counts of tests, read from the closing lines of the runners that this project uses.

use std::fmt;
use std::ops::AddAssign;

/// Tests by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub passed: usize,
    pub failed: usize,
    pub skipped: usize,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

impl Tally {
    /// Adds up every closing line in the output.
    pub fn read(output: &str) -> Self {
        let mut sum = Self::default();
        for line in output.lines() {
            sum += Self::read_line(strip_colours(line).trim());
        }
        sum
    }

    /// One closing line, in any of these forms:
    /// `test result: ok. 3 passed; 0 failed; 1 ignored; …` (libtest), `Tests  1 failed | 3 passed | 1 skipped (5)`
    /// (vitest), `ℹ pass 3` or `# pass 3` (node), and the plain `3 passed, 0 failed, 1 skipped`.
    fn read_line(line: &str) -> Self {
        if let Some(rest) = line.strip_prefix("test result:") {
            return Self::counts(rest.split_once(". ").map_or(rest, |(_, counts)| counts), ';');
        }
        if let Some(rest) = line.strip_prefix("Tests ") {
            return Self::counts(rest.split('(').next().unwrap_or(rest), '|');
        }
        if let Some(rest) = line.strip_prefix("ℹ ").or_else(|| line.strip_prefix("# ")) {
            return match rest.split_once(' ').map(|(word, count)| (word, count.trim().parse())) {
                Some(("pass", Ok(passed))) => Self { passed, ..Self::default() },
                Some(("fail", Ok(failed))) => Self { failed, ..Self::default() },
                Some(("skipped", Ok(skipped))) => Self { skipped, ..Self::default() },
                _ => Self::default(),
            };
        }
        let is_plain = line.split(", ").count() >= 2
            && line
                .split(", ")
                .all(|part| part.split_once(' ').is_some_and(|(count, _)| count.parse::<usize>().is_ok()));
        if is_plain { Self::counts(line, ',') } else { Self::default() }
    }

    fn counts(text: &str, separator: char) -> Self {
        let mut tally = Self::default();
        for part in text.split(separator) {
            let Some((count, word)) = part.trim().split_once(' ') else { continue };
            let Ok(count) = count.parse::<usize>() else { continue };
            match word.trim() {
                "passed" => tally.passed += count,
                "failed" => tally.failed += count,
                "skipped" | "ignored" | "todo" => tally.skipped += count,
                _ => {}
            }
        }
        tally
    }
}

fn strip_colours(line: &str) -> String {
    let mut plain = String::new();
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            // A colour is ESC [ digits m.
            characters.by_ref().find(|&end| end == 'm');
        } else {
            plain.push(character);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::Tally;

    fn tally(passed: usize, failed: usize, skipped: usize) -> Tally {
        Tally { passed, failed, skipped }
    }

    #[test]
    fn closing_lines_of_every_runner() {
        let libtest = "running 5 tests\ntest a ... ok\n\
            test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.00s\n";
        assert_eq!(Tally::read(libtest), tally(3, 0, 1));
        assert_eq!(Tally::read("test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured"), tally(3, 2, 0));
        let vitest = " Test Files  1 failed | 2 passed (3)\n\u{1b}[2m      Tests \u{1b}[22m 1 failed | 8 passed (9)\n";
        assert_eq!(Tally::read(vitest), tally(8, 1, 0));
        assert_eq!(Tally::read("ℹ tests 5\nℹ pass 4\nℹ fail 1\nℹ cancelled 0\nℹ skipped 0"), tally(4, 1, 0));
        assert_eq!(Tally::read("# tests 5\n# pass 3\n# fail 0\n# skipped 2"), tally(3, 0, 2));
        assert_eq!(Tally::read("12 passed, 0 failed, 3 skipped"), tally(12, 0, 3));
        assert_eq!(Tally::read("12 passed, 1 failed"), tally(12, 1, 0));
    }

    #[test]
    fn other_lines_count_nothing() {
        let talk = "we passed, 3 failed to come\n3 passed by\nresult: 3 passed, 0 failed\ntest x ... ok\n5, 6 passed";
        assert_eq!(Tally::read(talk), Tally::default());
    }

    #[test]
    fn several_runs_add_up() {
        assert_eq!(Tally::read("1 passed, 0 failed, 1 skipped\n2 passed, 1 failed, 0 skipped"), tally(3, 1, 1));
    }
}
