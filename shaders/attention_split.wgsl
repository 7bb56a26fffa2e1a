// Attention for heads too wide for one invocation's registers: LANES invocations share a query row, each with every
// LANES-th vec4 of it. Partial scores meet in workgroup memory; the online softmax is then done alike by all of them.
import package::shared::element::{Element4};
import package::shared::attention::{
    params, query, key, value, result, LOWEST, query_start, key_start, value_start, result_start, visible_keys, totals,
    masked, largest
};
@if(activations_f16) enable f16;

// Invocations on a row, vec4s of the row in each, and keys in a tile.
@if(head_512) const WORKGROUP = 256u;
@if(!head_512) const WORKGROUP = 128u;
@if(head_64 || head_80) const LANES = 2u;
@if(head_160) const LANES = 4u;
@if(head_512) const LANES = 16u;
@if(head_64 || head_512) const VECTORS = 8u;
@if(head_80 || head_160) const VECTORS = 10u;
@if(!head_512) const KEYS = 8u;
@if(head_512) const KEYS = 4u;

const ROWS = WORKGROUP / LANES;
const WIDTH = LANES * VECTORS;
const QUADS = KEYS / 4u;

// Keys, then the same keys' values. Nested, so that of the bounds checks that a browser adds those on the key and on the
// lane serve many reads and the one in the middle is on a constant.
var<workgroup> tile: array<array<array<Element4, LANES>, VECTORS>, KEYS>;
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
            tile[i / WIDTH][d / LANES][d % LANES] = k;
        }
        workgroupBarrier();
        for (var quad = 0u; quad < QUADS; quad++) {
            let at = quad * 4u;
            var s0 = vec4<f32>();
            var s1 = vec4<f32>();
            var s2 = vec4<f32>();
            var s3 = vec4<f32>();
            for (var j = 0u; j < VECTORS; j++) {
                s0 = fma(q[j], vec4<f32>(tile[at][j][lane]), s0);
                s1 = fma(q[j], vec4<f32>(tile[at + 1u][j][lane]), s1);
                s2 = fma(q[j], vec4<f32>(tile[at + 2u][j][lane]), s2);
                s3 = fma(q[j], vec4<f32>(tile[at + 3u][j][lane]), s3);
            }
            partial[quad * WORKGROUP + local] = totals(s0, s1, s2, s3);
        }
        workgroupBarrier();
        for (var i = local; i < KEYS * WIDTH; i += WORKGROUP) {
            let token = first + i / WIDTH;
            let d = i % WIDTH;
            var v = Element4();
            if token < params.key_tokens && d < params.head_vectors {
                v = value[value_start(group.z, group.y, token) + d];
            }
            tile[i / WIDTH][d / LANES][d % LANES] = v;
        }
        workgroupBarrier();
        for (var quad = 0u; quad < QUADS; quad++) {
            let at = quad * 4u;
            var scores = vec4<f32>();
            for (var other = 0u; other < LANES; other++) {
                scores += partial[quad * WORKGROUP + local - lane + other];
            }
            scores = masked(scores, first + at, visible);
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
                var part = fma(vec4(weight.x), vec4<f32>(tile[at][j][lane]), sum[j]);
                part = fma(vec4(weight.y), vec4<f32>(tile[at + 1u][j][lane]), part);
                part = fma(vec4(weight.z), vec4<f32>(tile[at + 2u][j][lane]), part);
                sum[j] = fma(vec4(weight.w), vec4<f32>(tile[at + 3u][j][lane]), part);
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
