// Attention without workgroup memory or barriers, one query row per invocation, for adapters that run on a CPU: there a
// barrier saves and restores every invocation's registers, and the caches do a tile's work.
import package::shared::element::{Element4};
import package::shared::attention::{
    params, query, key, value, result, LOWEST, query_start, key_start, value_start, result_start, visible_keys, masked,
    largest
};
@if(activations_f16) enable f16;

const WORKGROUP = 32u;
// vec4s of the widest head.
const VECTORS = 128u;

@compute @workgroup_size(WORKGROUP)
fn attention_direct(
    @builtin(workgroup_id) group: vec3<u32>, // (query tile, head, batch)
    @builtin(local_invocation_index) local: u32,
) {
    let row = params.first_query + group.x * WORKGROUP + local;
    if row >= params.end_query {
        return;
    }
    let size = min(params.head_vectors, VECTORS);
    let start = query_start(group.z, group.y, row);
    var q: array<vec4<f32>, VECTORS>;
    var sum: array<vec4<f32>, VECTORS>;
    for (var d = 0u; d < size; d++) {
        q[d] = params.scale * vec4<f32>(query[start + d]);
    }

    // Every row goes to the end of its workgroup, so that all read the same keys at the same time.
    let visible = visible_keys(row);
    let end = visible_keys(params.first_query + group.x * WORKGROUP + WORKGROUP - 1u);
    let last = params.key_tokens - 1u;
    var maximum = LOWEST;
    var weights = 0.0;
    for (var token = 0u; token < end; token += 4u) {
        // Beyond the last key its neighbours repeat it; they are masked.
        let k0 = key_start(group.z, group.y, token);
        let k1 = key_start(group.z, group.y, min(token + 1u, last));
        let k2 = key_start(group.z, group.y, min(token + 2u, last));
        let k3 = key_start(group.z, group.y, min(token + 3u, last));
        var scores = vec4<f32>();
        for (var d = 0u; d < size; d++) {
            scores += vec4(
                dot(q[d], vec4<f32>(key[k0 + d])),
                dot(q[d], vec4<f32>(key[k1 + d])),
                dot(q[d], vec4<f32>(key[k2 + d])),
                dot(q[d], vec4<f32>(key[k3 + d])),
            );
        }
        scores = masked(scores, token, visible);
        let top = max(maximum, largest(scores));
        let shrink = exp2(maximum - top);
        let weight = exp2(scores - top);
        maximum = top;
        weights = weights * shrink + weight.x + weight.y + weight.z + weight.w;
        let v0 = value_start(group.z, group.y, token);
        let v1 = value_start(group.z, group.y, min(token + 1u, last));
        let v2 = value_start(group.z, group.y, min(token + 2u, last));
        let v3 = value_start(group.z, group.y, min(token + 3u, last));
        for (var d = 0u; d < size; d++) {
            sum[d] = shrink * sum[d] + weight.x * vec4<f32>(value[v0 + d]) + weight.y * vec4<f32>(value[v1 + d])
                + weight.z * vec4<f32>(value[v2 + d]) + weight.w * vec4<f32>(value[v3 + d]);
        }
    }

    let out = result_start(group.z, group.y, row);
    for (var d = 0u; d < size; d++) {
        result[out + d] = Element4(sum[d] / weights);
    }
}
