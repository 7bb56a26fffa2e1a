// Attention for heads too wide for one invocation's registers: LANES invocations share a query row, each with every
// LANES-th vec4 of it. Partial scores meet in workgroup memory; the online softmax is then done alike by all of them.
import package::shared::element::{Element4};
import package::shared::attention::{
    params, query, key, value, result, LOWEST, query_start, key_start, value_start, result_start, visible_keys, masked,
    largest
};
@if(activations_f16) enable f16;

// Invocations on a row, vec4s of the row in each, and keys in a tile.
@if(head_160) const WORKGROUP = 128u;
@if(head_160) const LANES = 4u;
@if(head_160) const VECTORS = 10u;
@if(head_160) const KEYS = 8u;
@if(head_512) const WORKGROUP = 256u;
@if(head_512) const LANES = 16u;
@if(head_512) const VECTORS = 8u;
@if(head_512) const KEYS = 4u;

const ROWS = WORKGROUP / LANES;
const WIDTH = LANES * VECTORS;
const QUADS = KEYS / 4u;

// Keys, then the same keys' values.
var<workgroup> tile: array<Element4, KEYS * WIDTH>;
// [quad of keys][row][lane]
var<workgroup> partial: array<vec4<f32>, QUADS * WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn attention_split(
    @builtin(workgroup_id) group: vec3<u32>, // (query tile, head, batch)
    @builtin(local_invocation_index) local: u32,
) {
    let row = group.x * ROWS + local / LANES;
    let lane = local % LANES;
    var q: array<vec4<f32>, VECTORS>;
    var sum: array<vec4<f32>, VECTORS>;
    if row < params.query_tokens {
        let start = query_start(group.z, group.y, row);
        for (var j = 0u; j < VECTORS; j++) {
            let d = j * LANES + lane;
            if d < params.head_vectors {
                q[j] = params.scale * vec4<f32>(query[start + d]);
            }
        }
    }

    let visible = visible_keys(row);
    // What the workgroup's last row sees: the same for all invocations, as barriers demand.
    let end = visible_keys(group.x * ROWS + ROWS - 1u);
    var maximum = LOWEST;
    var weights = 0.0;
    for (var first = 0u; first < end; first += KEYS) {
        workgroupBarrier();
        for (var i = local; i < KEYS * WIDTH; i += WORKGROUP) {
            let token = first + i / WIDTH;
            let d = i % WIDTH;
            var k = Element4();
            if token < params.key_tokens && d < params.head_vectors {
                k = key[key_start(group.z, group.y, token) + d];
            }
            tile[i] = k;
        }
        workgroupBarrier();
        for (var quad = 0u; quad < QUADS; quad++) {
            var scores = vec4<f32>();
            for (var j = 0u; j < VECTORS; j++) {
                let at = quad * 4u * WIDTH + j * LANES + lane;
                scores += vec4(
                    dot(q[j], vec4<f32>(tile[at])),
                    dot(q[j], vec4<f32>(tile[at + WIDTH])),
                    dot(q[j], vec4<f32>(tile[at + 2u * WIDTH])),
                    dot(q[j], vec4<f32>(tile[at + 3u * WIDTH])),
                );
            }
            partial[quad * WORKGROUP + local] = scores;
        }
        workgroupBarrier();
        for (var i = local; i < KEYS * WIDTH; i += WORKGROUP) {
            let token = first + i / WIDTH;
            let d = i % WIDTH;
            var v = Element4();
            if token < params.key_tokens && d < params.head_vectors {
                v = value[value_start(group.z, group.y, token) + d];
            }
            tile[i] = v;
        }
        workgroupBarrier();
        for (var quad = 0u; quad < QUADS; quad++) {
            var scores = vec4<f32>();
            for (var other = 0u; other < LANES; other++) {
                scores += partial[quad * WORKGROUP + local - lane + other];
            }
            scores = masked(scores, first + quad * 4u, visible);
            let top = largest(scores);
            if top > maximum {
                let shrink = exp2(maximum - top);
                maximum = top;
                weights *= shrink;
                for (var j = 0u; j < VECTORS; j++) {
                    sum[j] *= shrink;
                }
            }
            let weight = exp2(scores - maximum);
            weights += weight.x + weight.y + weight.z + weight.w;
            for (var j = 0u; j < VECTORS; j++) {
                let at = quad * 4u * WIDTH + j * LANES + lane;
                sum[j] += weight.x * vec4<f32>(tile[at]) + weight.y * vec4<f32>(tile[at + WIDTH])
                    + weight.z * vec4<f32>(tile[at + 2u * WIDTH]) + weight.w * vec4<f32>(tile[at + 3u * WIDTH]);
            }
        }
    }

    if row < params.query_tokens {
        let start = result_start(group.z, group.y, row);
        for (var j = 0u; j < VECTORS; j++) {
            let d = j * LANES + lane;
            if d < params.head_vectors {
                result[start + d] = Element4(sum[j] / weights);
            }
        }
    }
}
