//! The comparer: what the report says about two lists of numbers.
//!
//! Decision: distances are taken relative to the root mean square of the expected values, so that one bar serves a
//! latent and a text embedding; a tolerance that is wider than the values cannot be written down. Rejected: absolute
//! tolerances, under which zeros pass for small outputs.

use std::fmt;

/// Differences between expected and actual values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    pub count: usize,
    /// The largest difference; infinite where one side alone is not finite.
    pub max_abs: f64,
    /// Where it is.
    pub index: usize,
    pub mean: f64,
    /// Root mean square of the differences over that of the expected values.
    pub relative_rms: f64,
    /// Root mean square of the differences.
    rms: f64,
}

/// What a comparison has to keep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bar {
    /// Every value is the same.
    Equal,
    RelativeRms(f64),
    MaxAbs(f64),
    /// Decibels at least, for pictures of 8-bit values.
    SignalToNoise(f64),
}

impl Comparison {
    /// Fails where there is nothing to compare or the lengths differ.
    pub fn new<E: Copy + Into<f64>, A: Copy + Into<f64>>(expected: &[E], actual: &[A]) -> Result<Self, String> {
        if expected.len() != actual.len() {
            return Err(format!("{} values instead of {}", actual.len(), expected.len()));
        }
        if expected.is_empty() {
            return Err("there are no values to compare".into());
        }
        let count = expected.len();
        let mut worst = (0.0, 0);
        let (mut sum, mut squares, mut expected_squares) = (0.0, 0.0, 0.0);
        for (index, (&expected, &actual)) in expected.iter().zip(actual).enumerate() {
            let (expected, actual): (f64, f64) = (expected.into(), actual.into());
            let difference = difference(expected, actual);
            if difference > worst.0 {
                worst = (difference, index);
            }
            sum += difference;
            squares += difference * difference;
            if expected.is_finite() {
                expected_squares += expected * expected;
            }
        }
        // Zeros that were expected and found differ by nothing; any other value is infinitely far from them.
        let relative = if squares == 0.0 { 0.0 } else { (squares / expected_squares).sqrt() };
        let (max_abs, index) = worst;
        let count_as_float = count as f64;
        let rms = (squares / count_as_float).sqrt();
        Ok(Self { count, max_abs, index, mean: sum / count_as_float, relative_rms: relative, rms })
    }

    /// Peak signal to noise of 8-bit values, in decibels; infinite for equal pictures.
    pub fn signal_to_noise(&self) -> f64 {
        20.0 * (255.0 / self.rms).log10()
    }

    pub fn keeps(&self, bar: Bar) -> bool {
        match bar {
            Bar::Equal => self.max_abs == 0.0,
            Bar::RelativeRms(most) => self.relative_rms <= most,
            Bar::MaxAbs(most) => self.max_abs <= most,
            Bar::SignalToNoise(least) => self.signal_to_noise() >= least,
        }
    }
}

/// Equal infinities differ by nothing; a NaN differs infinitely from anything but a NaN that was expected.
fn difference(expected: f64, actual: f64) -> f64 {
    if expected == actual || (expected.is_nan() && actual.is_nan()) {
        0.0
    } else if expected.is_finite() && actual.is_finite() {
        (expected - actual).abs()
    } else {
        f64::INFINITY
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "max abs {:.2e} at {} of {}  relative RMS {:.2e}",
            self.max_abs, self.index, self.count, self.relative_rms
        )
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equal => write!(formatter, "equal"),
            Self::RelativeRms(most) => write!(formatter, "relative RMS ≤ {most:.1e}"),
            Self::MaxAbs(most) => write!(formatter, "max abs ≤ {most:.1e}"),
            Self::SignalToNoise(least) => write!(formatter, "PSNR ≥ {least} dB"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Bar, Comparison};

    const EXPECTED: [f32; 4] = [1.0, -2.0, 2.0, 0.0];

    #[test]
    fn measures_what_it_says() {
        let comparison = Comparison::new(&EXPECTED, &[1.0f32, -2.0, 2.5, 0.25]).unwrap();
        assert_eq!((comparison.count, comparison.max_abs, comparison.index), (4, 0.5, 2));
        assert!((comparison.mean - 0.1875).abs() < 1e-12);
        // Differences 0.5 and 0.25: 0.3125 of 9.
        assert!((comparison.relative_rms - (0.3125f64 / 9.0).sqrt()).abs() < 1e-12);
        let picture = Comparison::new(&[0u8, 255], &[0u8, 0]).unwrap();
        assert!((picture.signal_to_noise() - 3.0103).abs() < 1e-4);
    }

    #[test]
    fn equal_values_keep_every_bar() {
        let same = Comparison::new(&EXPECTED, &EXPECTED).unwrap();
        for bar in [Bar::Equal, Bar::RelativeRms(1e-9), Bar::MaxAbs(1e-9), Bar::SignalToNoise(99.0)] {
            assert!(same.keeps(bar), "{bar}");
        }
        let infinities = Comparison::new(&[f64::INFINITY, 1.0], &[f64::INFINITY, 1.0]).unwrap();
        assert!(infinities.keeps(Bar::Equal));
    }

    /// The comparer must be able to fail: each of these is wrong in one place.
    #[test]
    fn wrong_values_keep_no_bar() {
        for (index, wrong) in [(0, 1.1), (3, 0.5), (1, 2.0), (2, f32::NAN), (2, f32::INFINITY), (1, f32::NEG_INFINITY)]
        {
            let mut actual = EXPECTED;
            actual[index] = wrong;
            let comparison = Comparison::new(&EXPECTED, &actual).unwrap();
            assert_eq!(comparison.index, index, "{wrong}");
            for bar in [Bar::Equal, Bar::RelativeRms(1e-3), Bar::MaxAbs(1e-3), Bar::SignalToNoise(80.0)] {
                assert!(!comparison.keeps(bar), "{wrong} at {index} keeps {bar}");
            }
        }
    }

    #[test]
    fn zeros_do_not_pass_for_small_values() {
        let small = [1e-6, -2e-6];
        assert!(!Comparison::new(&small, &[0.0, 0.0]).unwrap().keeps(Bar::RelativeRms(1e-2)));
        let nothing = Comparison::new(&[0.0, 0.0], &[0.0, 1e-9]).unwrap();
        assert!(!nothing.keeps(Bar::RelativeRms(1e-2)), "{nothing}");
    }

    #[test]
    fn other_lengths_and_nothing_are_refused() {
        assert!(Comparison::new(&EXPECTED, &EXPECTED[..3]).unwrap_err().contains("3 values instead of 4"));
        assert!(Comparison::new::<f32, f32>(&[], &[]).is_err());
    }
}
