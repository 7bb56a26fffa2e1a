// softmax(scale · Q Kᵀ) V, one query row per invocation: its row of Q and of the result stay in registers, keys and
// values pass in tiles of workgroup memory, and the softmax is kept up to date as they come (Dao et al. 2022,
// "FlashAttention"). The division by the sum of the weights happens once, at the end.
import package::shared::element::{Element4};
import package::shared::attention::{
    params, query, key, value, result, LOWEST, query_start, key_start, value_start, result_start, visible_keys, totals,
    masked, largest
};
@if(activations_f16) enable f16;

const WORKGROUP = 128u;
// Keys in a tile: with the values' they take 5 KiB for the widest head in f32.
const KEYS = 16u;
// vec4s of a head in registers; smaller heads are padded with zeros.
@if(head_32) const VECTORS = 8u;
@if(head_40) const VECTORS = 10u;

// Nested, so that the bounds check that a browser adds falls on the uniform number of the key, once for all its vec4s.
var<workgroup> key_tile: array<array<Element4, VECTORS>, KEYS>;
var<workgroup> value_tile: array<array<Element4, VECTORS>, KEYS>;

@compute @workgroup_size(WORKGROUP)
fn attention(
    @builtin(workgroup_id) group: vec3<u32>, // (query tile, head, batch)
    @builtin(local_invocation_index) local: u32,
) {
    let row = group.x * WORKGROUP + local;
    var q: array<vec4<f32>, VECTORS>;
    var sum: array<vec4<f32>, VECTORS>;
    if row < params.query_tokens {
        let start = query_start(group.z, group.y, row);
        for (var d = 0u; d < VECTORS; d++) {
            if d < params.head_vectors {
                q[d] = params.scale * vec4<f32>(query[start + d]);
            }
        }
    }

    let visible = visible_keys(row);
    // What the workgroup's last row sees: the same for all invocations, as barriers demand.
    let end = visible_keys(group.x * WORKGROUP + WORKGROUP - 1u);
    var maximum = LOWEST;
    var weights = 0.0;
    for (var first = 0u; first < end; first += KEYS) {
        workgroupBarrier();
        for (var i = local; i < KEYS * VECTORS; i += WORKGROUP) {
            let token = first + i / VECTORS;
            let d = i % VECTORS;
            var k = Element4();
            var v = Element4();
            if token < params.key_tokens && d < params.head_vectors {
                k = key[key_start(group.z, group.y, token) + d];
                v = value[value_start(group.z, group.y, token) + d];
            }
            key_tile[i / VECTORS][d] = k;
            value_tile[i / VECTORS][d] = v;
        }
        workgroupBarrier();

        // Four keys at a time.
        for (var at = 0u; at < KEYS; at += 4u) {
            // Products of the same channel of four vec4s stay apart until the end: nothing but multiply-adds.
            var s0 = vec4<f32>();
            var s1 = vec4<f32>();
            var s2 = vec4<f32>();
            var s3 = vec4<f32>();
            for (var d = 0u; d < VECTORS; d++) {
                s0 = fma(q[d], vec4<f32>(key_tile[at][d]), s0);
                s1 = fma(q[d], vec4<f32>(key_tile[at + 1u][d]), s1);
                s2 = fma(q[d], vec4<f32>(key_tile[at + 2u][d]), s2);
                s3 = fma(q[d], vec4<f32>(key_tile[at + 3u][d]), s3);
            }
            let scores = masked(totals(s0, s1, s2, s3), first + at, visible);
            let top = largest(scores);
            // Rare after the first tiles.
            if top > maximum {
                let shrink = exp2(maximum - top);
                maximum = top;
                weights *= shrink;
                for (var d = 0u; d < VECTORS; d++) {
                    sum[d] *= shrink;
                }
            }
            let weight = exp2(scores - maximum);
            weights += weight.x + weight.y + weight.z + weight.w;
            for (var d = 0u; d < VECTORS; d++) {
                var part = fma(vec4(weight.x), vec4<f32>(value_tile[at][d]), sum[d]);
                part = fma(vec4(weight.y), vec4<f32>(value_tile[at + 1u][d]), part);
                part = fma(vec4(weight.z), vec4<f32>(value_tile[at + 2u][d]), part);
                sum[d] = fma(vec4(weight.w), vec4<f32>(value_tile[at + 3u][d]), part);
            }
        }
    }

    if row < params.query_tokens {
        let start = result_start(group.z, group.y, row);
        for (var d = 0u; d < VECTORS; d++) {
            if d < params.head_vectors {
                result[start + d] = Element4(sum[d] / weights);
            }
        }
    }
}
