// softmax(scale · Q Kᵀ) V, one query row per invocation: its row of Q and of the result stay in registers, keys and
// values pass in tiles of workgroup memory, and the softmax is kept up to date as they come (Dao et al. 2022,
// "FlashAttention"). The division by the sum of the weights happens once, at the end.
import package::shared::element::{Element4};
import package::shared::attention::{
    params, query, key, value, result, LOWEST, query_start, key_start, value_start, result_start, visible_keys, masked,
    largest
};
@if(activations_f16) enable f16;

const WORKGROUP = 128u;
// Keys in a tile: with the values' they take 10 KiB for the widest head in f32.
const KEYS = 16u;
// vec4s of a head in registers; smaller heads are padded with zeros.
@if(head_32) const VECTORS = 8u;
@if(head_40) const VECTORS = 10u;
@if(head_64) const VECTORS = 16u;
@if(head_80) const VECTORS = 20u;

var<workgroup> key_tile: array<Element4, KEYS * VECTORS>;
var<workgroup> value_tile: array<Element4, KEYS * VECTORS>;

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
            key_tile[i] = k;
            value_tile[i] = v;
        }
        workgroupBarrier();

        // Four keys at a time.
        for (var tile = 0u; tile < KEYS * VECTORS; tile += 4u * VECTORS) {
            var scores = vec4<f32>();
            for (var d = 0u; d < VECTORS; d++) {
                scores += vec4(
                    dot(q[d], vec4<f32>(key_tile[tile + d])),
                    dot(q[d], vec4<f32>(key_tile[tile + VECTORS + d])),
                    dot(q[d], vec4<f32>(key_tile[tile + 2u * VECTORS + d])),
                    dot(q[d], vec4<f32>(key_tile[tile + 3u * VECTORS + d])),
                );
            }
            scores = masked(scores, first + tile / VECTORS, visible);
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
                sum[d] += weight.x * vec4<f32>(value_tile[tile + d])
                    + weight.y * vec4<f32>(value_tile[tile + VECTORS + d])
                    + weight.z * vec4<f32>(value_tile[tile + 2u * VECTORS + d])
                    + weight.w * vec4<f32>(value_tile[tile + 3u * VECTORS + d]);
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
