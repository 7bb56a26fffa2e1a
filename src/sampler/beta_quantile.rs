//! Quantiles of the symmetric beta distribution, for "beta" noise levels.

/// The `x` with `P(X ≤ x) = probability` for `X ~ Beta(shape, shape)`, to f64 precision.
pub(super) fn beta_quantile(probability: f64, shape: f64) -> f64 {
    if probability > 0.5 {
        return 1.0 - beta_quantile(1.0 - probability, shape);
    }
    // The lower half alone, in the logarithm: the density has a pole at 0, so x may be tiny.
    let (mut low, mut high) = (-700f64, 0.5f64.ln());
    if probability <= 0.0 {
        return 0.0;
    }
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if lower_share(middle.exp(), shape) < probability { low = middle } else { high = middle }
    }
    (0.5 * (low + high)).exp()
}

/// The regularised incomplete beta function for `x ≤ 1/2` and equal shapes: the hypergeometric series
/// `xᵃ/a · Σ (1−a)ₙ xⁿ / (n! (a+n)) · a`, divided by its value at 1/2, where the share is one half.
fn lower_share(x: f64, shape: f64) -> f64 {
    0.5 * series(x, shape) / series(0.5, shape)
}

fn series(x: f64, shape: f64) -> f64 {
    let (mut term, mut sum) = (1.0, 1.0 / shape);
    for n in 1..200 {
        term *= (f64::from(n) - shape) / f64::from(n) * x;
        sum += term / (shape + f64::from(n));
    }
    x.powf(shape) * sum
}
