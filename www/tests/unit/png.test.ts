import { inflateSync } from "node:zlib";
import { expect, test } from "vitest";
import { crc32, encodePng } from "../../src/picture/png.ts";

test("the check sum is that of the specification", () => {
  expect(crc32(new TextEncoder().encode("123456789"))).toBe(0xcbf43926);
});

interface Chunk {
  type: string;
  data: Buffer;
}

function chunks(png: Uint8Array): Chunk[] {
  const bytes = Buffer.from(png);
  expect([...bytes.subarray(0, 8)]).toEqual([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const found: Chunk[] = [];
  for (let at = 8; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at);
    expect(bytes.readUInt32BE(at + 8 + length)).toBe(crc32(bytes.subarray(at + 4, at + 8 + length)));
    found.push({ type: bytes.toString("latin1", at + 4, at + 8), data: bytes.subarray(at + 8, at + 8 + length) });
    at += 12 + length;
  }
  return found;
}

/** An independent reader: undoes the filters as the specification states them. */
function rgb(png: Uint8Array, width: number, height: number): number[] {
  const rows = inflateSync(Buffer.concat(chunks(png).filter(({ type }) => type === "IDAT").map(({ data }) => data)));
  const stride = width * 3;
  expect(rows.length).toBe((stride + 1) * height);
  const out = new Array<number>(stride * height).fill(0);
  for (let y = 0; y < height; y += 1) {
    const filter = rows[y * (stride + 1)];
    for (let i = 0; i < stride; i += 1) {
      const a = i >= 3 ? (out[y * stride + i - 3] ?? 0) : 0;
      const b = y > 0 ? (out[(y - 1) * stride + i] ?? 0) : 0;
      const c = i >= 3 && y > 0 ? (out[(y - 1) * stride + i - 3] ?? 0) : 0;
      const p = a + b - c;
      const nearest = Math.abs(p - a) <= Math.abs(p - b) && Math.abs(p - a) <= Math.abs(p - c) ? a : Math.abs(p - b) <= Math.abs(p - c) ? b : c;
      const guess = [0, a, b, Math.floor((a + b) / 2), nearest][filter ?? 9] ?? Number.NaN;
      out[y * stride + i] = ((rows[y * (stride + 1) + 1 + i] ?? 0) + guess) % 256;
    }
  }
  return out;
}

test.each([
  [1, 1, "noise"],
  [7, 5, "noise"],
  [64, 64, "slope"],
  [33, 20, "flat"],
])("%i x %i pixels of %s come back as they were", async (width, height, kind) => {
  const rgba = new Uint8Array(width * height * 4);
  for (let i = 0; i < rgba.length; i += 1) {
    rgba[i] = i % 4 === 3 ? 255 : kind === "noise" ? (i * 2_654_435_761) >>> 24 : kind === "slope" ? i >> 6 : 200;
  }
  const png = await encodePng({ width, height, rgba }, []);
  expect(rgb(png, width, height)).toEqual([...rgba].filter((_, i) => i % 4 !== 3));
  const [header, ...rest] = chunks(png);
  expect(header).toMatchObject({ type: "IHDR" });
  expect([header?.data.readUInt32BE(0), header?.data.readUInt32BE(4), header?.data[8], header?.data[9]]).toEqual([width, height, 8, 2]);
  expect(rest.at(-1)?.type).toBe("IEND");
  if (kind !== "noise") expect(png.length).toBeLessThan(width * height);
});

test("text is Latin-1 where it can be and UTF-8 elsewhere", async () => {
  const pixel = { width: 1, height: 1, rgba: Uint8Array.of(1, 2, 3, 255) };
  const latin = chunks(await encodePng(pixel, [{ keyword: "parameters", text: "café\nSteps: 20" }]))[1];
  expect(latin?.type).toBe("tEXt");
  expect(latin?.data.toString("latin1")).toBe("parameters\0café\nSteps: 20");
  const other = chunks(await encodePng(pixel, [{ keyword: "parameters", text: "红苹果" }]))[1];
  expect(other?.type).toBe("iTXt");
  expect(other?.data.toString("utf8")).toBe("parameters\0\0\0\0\0红苹果");
});

test("pixels that do not fill the picture are refused", async () => {
  await expect(encodePng({ width: 2, height: 2, rgba: new Uint8Array(15) }, [])).rejects.toMatchObject({ code: "internal" });
});
