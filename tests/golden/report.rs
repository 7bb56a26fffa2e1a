//! Rows as they are found, the closing line, and the same as JSON.
//!
//! What is counted is cases: one passes when every row of it does.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::case::Case;
use crate::comparison::{Bar, Comparison};
use crate::{Failure, Result, Settings};

/// How a tensor came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// One call, fed with the stored inputs.
    Call,
    /// The whole run, from the prompt and the seed alone.
    EndToEnd,
}

impl Way {
    const fn name(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::EndToEnd => "end to end",
        }
    }
}

struct Row {
    tensor: String,
    way: Way,
    shape: Vec<usize>,
    /// The differences, or why there is nothing to compare.
    comparison: std::result::Result<Comparison, String>,
    bar: Bar,
}

impl Row {
    fn passed(&self) -> bool {
        self.comparison.as_ref().is_ok_and(|comparison| comparison.keeps(self.bar))
    }

    fn print(&self, case: &str) {
        let shape: Vec<String> = self.shape.iter().map(usize::to_string).collect();
        let measured = match (&self.comparison, self.bar) {
            (Err(fault), _) => fault.clone(),
            (Ok(found), Bar::SignalToNoise(_)) => format!("{found}  PSNR {:.1} dB", found.signal_to_noise()),
            (Ok(found), _) => found.to_string(),
        };
        let verdict = if self.passed() { "pass".into() } else { format!("FAIL (bar: {})", self.bar) };
        let (way, shape, tensor) = (self.way.name(), shape.join("×"), &self.tensor);
        println!("{case:36} {way:10} {tensor:34} {shape:16} {measured}  {verdict}");
    }

    fn to_json(&self) -> Value {
        let mut row = json!({
            "tensor": self.tensor,
            "way": self.way.name(),
            "shape": self.shape,
            "bar": self.bar.to_string(),
            "passed": self.passed(),
        });
        match (&self.comparison, row.as_object_mut()) {
            (Ok(found), Some(fields)) => {
                // JSON has no infinity.
                let number = |value: f64| if value.is_finite() { json!(value) } else { json!(value.to_string()) };
                fields.insert("count".into(), json!(found.count));
                fields.insert("max_abs".into(), number(found.max_abs));
                fields.insert("index".into(), json!(found.index));
                fields.insert("mean".into(), number(found.mean));
                fields.insert("relative_rms".into(), number(found.relative_rms));
                if matches!(self.bar, Bar::SignalToNoise(_)) {
                    fields.insert("psnr_db".into(), number(found.signal_to_noise()));
                }
            }
            (Err(fault), Some(fields)) => {
                fields.insert("fault".into(), json!(fault));
            }
            (_, None) => {}
        }
        row
    }
}

enum Outcome {
    Passed,
    Failed,
    Skipped(String),
}

struct Entry {
    name: String,
    folder: String,
    time: Duration,
    rows: Vec<Row>,
    /// What kept the case from being compared in full.
    fault: Option<String>,
    outcome: Outcome,
}

/// What was found so far.
#[derive(Default)]
pub struct Report {
    brief: bool,
    entries: Vec<Entry>,
    current: Option<(Entry, Instant)>,
}

impl Report {
    /// `brief` prints a line per case, and rows only where they fail.
    pub fn new(brief: bool) -> Self {
        Self { brief, ..Self::default() }
    }

    /// Starts a case; its rows follow.
    pub fn begin(&mut self, case: &Case) {
        self.current = Some((Entry::new(&case.name, &case.folder), Instant::now()));
    }

    /// Compares a tensor of the case and prints the row.
    pub fn compare<E: Copy + Into<f64>, A: Copy + Into<f64>>(
        &mut self,
        tensor: &str,
        way: Way,
        shape: &[usize],
        (expected, actual): (&[E], &[A]),
        bar: Bar,
    ) {
        let comparison = Comparison::new(expected, actual);
        let row = Row { tensor: tensor.into(), way, shape: shape.into(), comparison, bar };
        if let Some((entry, _)) = &mut self.current {
            if !self.brief || !row.passed() {
                row.print(&entry.name);
            }
            entry.rows.push(row);
        }
    }

    /// Says what part of the case is not compared, and why.
    pub fn leave_out(&self, part: &str, why: &str) {
        if let Some((entry, _)) = &self.current {
            println!("{:36} not compared: {part}: {why}", entry.name);
        }
    }

    /// The case turned out to be one that the engine does not support.
    pub fn unsupported(&mut self, why: &str) {
        if let Some((entry, _)) = &mut self.current {
            entry.outcome = Outcome::Skipped(why.into());
        }
    }

    /// Ends the case: it passed where it has rows and all of them do.
    pub fn end(&mut self, result: Result<()>) {
        let Some((mut entry, start)) = self.current.take() else { return };
        entry.time = start.elapsed();
        entry.fault = match result {
            Err(error) => Some(error.to_string()),
            Ok(()) if entry.rows.is_empty() && !matches!(entry.outcome, Outcome::Skipped(_)) => {
                Some("nothing was compared".into())
            }
            Ok(()) => None,
        };
        if let Some(fault) = &entry.fault {
            println!("{:36} FAIL: {fault}", entry.name);
        }
        if entry.fault.is_some() || !entry.rows.iter().all(Row::passed) {
            entry.outcome = Outcome::Failed;
        }
        match &entry.outcome {
            Outcome::Skipped(why) => println!("{:36} skipped: {why}", entry.name),
            Outcome::Passed if self.brief => {
                println!("{:36} {} tensors pass, {:.1} s", entry.name, entry.rows.len(), entry.time.as_secs_f64());
            }
            _ => {}
        }
        self.entries.push(entry);
    }

    /// Leaves a whole case out.
    pub fn skip(&mut self, case: &Case, why: &str) {
        self.begin(case);
        self.unsupported(why);
        self.end(Ok(()));
    }

    /// A case that cannot be read is a failed one.
    pub fn unreadable(&mut self, folder: &Path, error: &Failure) {
        let name = folder.display().to_string();
        self.current = Some((Entry::new(&name, folder), Instant::now()));
        self.end(Err(error.to_string().into()));
    }

    fn counts(&self) -> (usize, usize, usize) {
        self.entries.iter().fold((0, 0, 0), |(passed, failed, skipped), entry| match entry.outcome {
            Outcome::Passed => (passed + 1, failed, skipped),
            Outcome::Failed => (passed, failed + 1, skipped),
            Outcome::Skipped(_) => (passed, failed, skipped + 1),
        })
    }

    /// Prints the closing line; whether nothing failed.
    pub fn close(&self) -> bool {
        let (passed, failed, skipped) = self.counts();
        println!("{passed} passed, {failed} failed, {skipped} skipped");
        failed == 0
    }

    pub fn to_json(&self, settings: &Settings) -> Value {
        let (passed, failed, skipped) = self.counts();
        json!({
            "adapter": settings.adapter,
            "activations": settings.activations.name(),
            "passed": passed,
            "failed": failed,
            "skipped": skipped,
            "cases": self.entries.iter().map(Entry::to_json).collect::<Vec<_>>(),
        })
    }
}

impl Entry {
    fn new(name: &str, folder: &Path) -> Self {
        Self {
            name: name.into(),
            folder: folder.display().to_string(),
            time: Duration::ZERO,
            rows: Vec::new(),
            fault: None,
            outcome: Outcome::Passed,
        }
    }

    fn to_json(&self) -> Value {
        let (outcome, why) = match &self.outcome {
            Outcome::Passed => ("passed", None),
            Outcome::Failed => ("failed", self.fault.as_deref()),
            Outcome::Skipped(why) => ("skipped", Some(why.as_str())),
        };
        json!({
            "case": self.name,
            "folder": self.folder,
            "outcome": outcome,
            "why": why,
            "seconds": self.time.as_secs_f64(),
            "rows": self.rows.iter().map(Row::to_json).collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Report, Way};
    use crate::case::Case;
    use crate::comparison::Bar;

    fn case(name: &str) -> Case {
        Case::for_tests(name)
    }

    fn counts(run: impl FnOnce(&mut Report) -> crate::Result<()>) -> (usize, usize, usize) {
        let mut report = Report::default();
        report.begin(&case("a/b"));
        let result = run(&mut report);
        report.end(result);
        report.counts()
    }

    fn row(report: &mut Report, actual: f64) {
        report.compare("x", Way::Call, &[1], (&[1.0], &[actual]), Bar::RelativeRms(1e-5));
    }

    #[test]
    fn a_case_passes_only_with_rows_that_all_pass() {
        let rows = |values: &'static [f64]| {
            counts(move |report| {
                values.iter().for_each(|&value| row(report, value));
                Ok(())
            })
        };
        assert_eq!(rows(&[1.0]), (1, 0, 0));
        assert_eq!(rows(&[1.0, 1.1, 1.0]), (0, 1, 0));
        assert_eq!(counts(|_| Ok(())), (0, 1, 0));
        assert_eq!(
            counts(|report| {
                row(report, 1.0);
                Err("broke".into())
            }),
            (0, 1, 0)
        );
    }

    #[test]
    fn skipping_is_not_passing_and_hides_no_failure() {
        assert_eq!(
            counts(|report| {
                report.unsupported("not yet");
                Ok(())
            }),
            (0, 0, 1)
        );
        assert_eq!(
            counts(|report| {
                row(report, 2.0);
                report.unsupported("not yet");
                Ok(())
            }),
            (0, 1, 0)
        );
    }
}
