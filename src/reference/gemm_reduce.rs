//! Twin of `shaders/gemm_reduce.wgsl`.

use crate::error::Result;
use crate::record::catalogue::parameters::GemmParams;
use crate::reference::Invocation;
use crate::reference::epilogue::Epilogue;

/// y = epilogue(Σ_split partial_sums[split, row, column])
pub fn gemm_reduce(invocation: &mut Invocation) -> Result<()> {
    let params: GemmParams = invocation.parameters()?;
    let partial_sums = invocation.floats("partial_sums")?;
    let mut epilogue = Epilogue::new(invocation, params)?;
    let [rows, columns] = [params.end_row as usize, params.columns as usize * 4];
    for row in 0..rows {
        let sums: Vec<f32> = (0..columns)
            .map(|column| {
                let part = |split| f64::from(partial_sums[(split * rows + row) * columns + column]);
                (0..params.splits as usize).map(part).sum::<f64>() as f32
            })
            .collect();
        epilogue.finish(row, &sums);
    }
    epilogue.store(invocation)
}
