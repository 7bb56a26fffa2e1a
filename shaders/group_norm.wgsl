// Group normalisation over the channels of `x` and, behind them, of `second`, with an activation.
// `whole`: one dispatch; a workgroup does a slab of channels of one image. For large images two: `statistics` writes each
// chunk's moments, `apply` merges them and normalises. A slab is a few vec4 columns that hold whole groups, so groups
// need not be aligned to vec4s; an invocation keeps to one column, so it sums channels apart and needs no group number.
import package::shared::element::{Element4};
import package::shared::activation::{activate};
import package::shared::group_norm::{params, WORKGROUP, sums, group_moments, load, sum_groups};
@if(activations_f16) enable f16;

@if(!statistics) @group(0) @binding(3) var<storage, read> scale: array<vec4<f32>>; // [columns + second_columns]
@if(!statistics) @group(0) @binding(4) var<storage, read> shift: array<vec4<f32>>; // [columns + second_columns]
// Mean and sum of squared deviations from it.
@if(statistics) @group(0) @binding(3) var<storage, read_write> moments: array<vec2<f32>>; // [batch][moment_chunks][groups]
@if(apply) @group(0) @binding(5) var<storage, read> moments: array<vec2<f32>>; // [batch][moment_chunks][groups]
@if(whole) @group(0) @binding(5) var<storage, read_write> y: array<Element4>; // [batch][positions][columns + second_columns]
@if(apply) @group(0) @binding(6) var<storage, read_write> y: array<Element4>; // [batch][positions][columns + second_columns]

@compute @workgroup_size(WORKGROUP)
fn group_norm(
    @builtin(workgroup_id) group: vec3<u32>, // (slab, chunk, batch)
    @builtin(local_invocation_index) local: u32,
) {
    let lanes = WORKGROUP / params.slab_columns;
    let lane = local / params.slab_columns;
    let column = group.x * params.slab_columns + local % params.slab_columns;
    let all_columns = params.columns + params.second_columns;
    let first = group.y * params.chunk_positions;
    let end = min(first + params.chunk_positions, params.positions);
    let rows = group.z * params.positions;
    let busy = lane < lanes && column < all_columns;
    let slab_groups = params.slab_columns * 4u / params.group_channels;
    let first_group = group.x * slab_groups;

    @if(!apply) {
        // Each channel's own first value is taken off, so that a mean far from zero cancels no digits.
        var count = 0.0;
        var start = vec4<f32>();
        var sum = vec4<f32>();
        var squares = vec4<f32>();
        if busy && first + lane < end {
            start = load(rows + first + lane, column);
            for (var position = first + lane; position < end; position += lanes) {
                let difference = load(rows + position, column) - start;
                count += 1.0;
                sum += difference;
                squares += difference * difference;
            }
        }
        let mean = start + sum / max(count, 1.0);
        let total = f32((end - first) * params.group_channels);
        let group_sum = sum_groups(local, lanes, count * mean);
        if local < slab_groups {
            group_moments[local] = vec2(group_sum / total, 0.0);
        }
        workgroupBarrier();
        // Chan, Golub & LeVeque 1979: deviations from the common mean, out of those from each one's own.
        var means = vec4<f32>();
        for (var i = 0u; i < 4u; i++) {
            means[i] = group_moments[((local % params.slab_columns) * 4u + i) / params.group_channels].x;
        }
        let off = mean - means;
        let deviations = sum_groups(local, lanes, squares - sum * sum / max(count, 1.0) + count * off * off);
        @if(whole) {
            if local < slab_groups {
                group_moments[local].y = inverseSqrt(deviations / total + params.epsilon);
            }
            workgroupBarrier();
        }
        @if(statistics) {
            if local < slab_groups && first_group + local < params.groups {
                let at = (group.z * params.moment_chunks + group.y) * params.groups + first_group + local;
                moments[at] = vec2(group_moments[local].x, deviations);
            }
        }
    }
    @if(apply) merge(local, group.z * params.moment_chunks * params.groups + first_group, slab_groups, first_group);
    @if(!statistics) {
        if busy {
            var means = vec4<f32>();
            var factors = scale[column];
            for (var i = 0u; i < 4u; i++) {
                let own = group_moments[((local % params.slab_columns) * 4u + i) / params.group_channels];
                means[i] = own.x;
                factors[i] *= own.y;
            }
            let offsets = shift[column];
            for (var position = first + lane; position < end; position += lanes) {
                let value = (load(rows + position, column) - means) * factors + offsets;
                y[(rows + position) * all_columns + column] = Element4(activate(params.activation, value));
            }
        }
    }
}

// Merges the chunks' moments of the slab's groups into `group_moments`.
@if(apply) fn merge(local: u32, start: u32, slab_groups: u32, first_group: u32) {
    let lanes = min(16u, WORKGROUP / slab_groups);
    let own = local % slab_groups;
    let used = local < lanes * slab_groups && first_group + own < params.groups;
    var sum = 0.0;
    var squares = 0.0;
    var origin = 0.0;
    if used {
        // Differences from one chunk's mean keep the digits.
        origin = moments[start + own].x;
        for (var chunk = local / slab_groups; chunk < params.moment_chunks; chunk += lanes) {
            let part = moments[start + chunk * params.groups + own];
            let positions = min(params.moment_positions, params.positions - chunk * params.moment_positions);
            let count = f32(positions * params.group_channels);
            let off = part.x - origin;
            sum += count * off;
            squares += part.y + count * off * off;
        }
    }
    sums[local] = vec4(sum, squares, 0.0, 0.0);
    workgroupBarrier();
    if local < slab_groups {
        var all = vec4<f32>();
        for (var i = local; i < lanes * slab_groups; i += slab_groups) {
            all += sums[i];
        }
        let total = f32(params.positions * params.group_channels);
        let off = all.x / total;
        let variance = max(all.y / total - off * off, 0.0);
        group_moments[local] = vec2(origin + off, inverseSqrt(variance + params.epsilon));
    }
    workgroupBarrier();
}
