//! The comparer: count, mean, maximum and index of the differences, against a tolerance that scales with the values.

use libtest_mimic::{Failed, Trial};

/// Compares element by element. `relative` is a fraction of the expected values' root mean square.
pub fn compare(expected: &[f32], actual: &[f32], relative: f32) -> Result<(), Failed> {
    if expected.len() != actual.len() {
        return Err(format!("{} values instead of {}", actual.len(), expected.len()).into());
    }
    let square = expected.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>();
    let tolerance = (square / expected.len().max(1) as f64).sqrt() * f64::from(relative);
    let mut wrong = 0;
    let mut worst = (0, 0.0f64);
    let mut sum = 0.0;
    for (index, (e, a)) in expected.iter().zip(actual).enumerate() {
        let difference =
            if e.is_finite() && a.is_finite() { (f64::from(*e) - f64::from(*a)).abs() } else { f64::INFINITY };
        sum += difference;
        // Large values may differ by a fraction of themselves: rounding to f16 scales with the value.
        if difference > tolerance + f64::from(e.abs()) * f64::from(relative) {
            wrong += 1;
        }
        if difference > worst.1 {
            worst = (index, difference);
        }
    }
    if wrong == 0 {
        return Ok(());
    }
    let (index, difference) = worst;
    Err(format!(
        "{wrong} of {} values differ, mean {:.3e}, most {difference:.3e} at {index}: {} instead of {} (tolerance {:.3e})",
        expected.len(),
        sum / expected.len() as f64,
        actual[index],
        expected[index],
        tolerance,
    )
    .into())
}

/// The comparer itself must be able to fail.
pub fn trials() -> Vec<Trial> {
    vec![Trial::test("comparer_fails_when_it_must", || {
        let expected = [1.0f32, -2.0, 3.0, 0.0];
        compare(&expected, &expected, 1e-6)?;
        for (index, wrong) in [(0, 1.01), (3, 0.01), (1, f32::NAN), (2, f32::INFINITY)] {
            let mut actual = expected;
            actual[index] = wrong;
            if compare(&expected, &actual, 1e-4).is_ok() {
                return Err(format!("{wrong} at {index} passed").into());
            }
        }
        if compare(&expected, &expected[..3], 1.0).is_ok() {
            return Err("a short result passed".into());
        }
        Ok(())
    })]
}
