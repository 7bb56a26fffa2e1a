/**
 * Writes a picture as PNG, with text chunks.
 *
 * Rejected: `canvas.toBlob`, which some browsers disturb on purpose against fingerprinting and which takes no text, so
 * a saved picture would be neither the one that was drawn nor say how. The format: PNG specification, third edition.
 */

import type { Pixels } from "../engine/contract.ts";
import { Failure } from "../bridge/failure.ts";

export interface PngText {
  keyword: string;
  text: string;
}

const signature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

export async function encodePng(pixels: Pixels, texts: PngText[]): Promise<Uint8Array<ArrayBuffer>> {
  const { width, height, rgba } = pixels;
  if (rgba.length !== width * height * 4) throw new Failure("internal", `${width} x ${height} pixels in ${rgba.length} bytes.`);
  const rows = await deflate(filterRows(pixels));
  return joined([
    Uint8Array.from(signature),
    chunk("IHDR", header(width, height)),
    ...texts.map(textChunk),
    chunk("IDAT", rows),
    chunk("IEND", new Uint8Array()),
  ]);
}

/** Eight bits a channel, RGB without alpha: what the engine draws is opaque. */
function header(width: number, height: number): Uint8Array {
  const bytes = new Uint8Array(13);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  bytes.set([8, 2, 0, 0, 0], 8);
  return bytes;
}

/** `tEXt` where the text is Latin-1, else `iTXt` in UTF-8: what readers of the `parameters` chunk expect. */
function textChunk({ keyword, text }: PngText): Uint8Array {
  if (/^[\n\x20-\x7e\xa0-\xff]*$/.test(text)) {
    return chunk("tEXt", joined([latin1(keyword), Uint8Array.of(0), latin1(text)]));
  }
  // after the keyword: end, uncompressed, method 0, no language, no translated keyword
  return chunk("iTXt", joined([latin1(keyword), Uint8Array.of(0, 0, 0, 0, 0), new TextEncoder().encode(text)]));
}

function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** Every row with the filter whose differences are smallest in sum, the heuristic that the specification recommends. */
function filterRows({ width, height, rgba }: Pixels): Uint8Array {
  const stride = width * 3;
  const out = new Uint8Array((stride + 1) * height);
  let above = new Uint8Array(stride);
  for (let y = 0; y < height; y += 1) {
    const row = new Uint8Array(stride);
    for (let x = 0; x < width; x += 1) row.set(rgba.subarray((y * width + x) * 4, (y * width + x) * 4 + 3), x * 3);
    const best = filters
      .map((filter, number) => filtered(row, above, filter, number))
      .reduce((least, candidate) => (candidate.weight < least.weight ? candidate : least));
    out[y * (stride + 1)] = best.number;
    out.set(best.bytes, y * (stride + 1) + 1);
    above = row;
  }
  return out;
}

/** Predictions from the bytes to the left, above, and above left; the index is the filter's number. */
const filters: ((left: number, up: number, corner: number) => number)[] = [
  () => 0,
  (left) => left,
  (_, up) => up,
  (left, up) => (left + up) >> 1,
  paeth,
];

function paeth(left: number, up: number, corner: number): number {
  const toLeft = Math.abs(up - corner);
  const toUp = Math.abs(left - corner);
  const toCorner = Math.abs(left + up - 2 * corner);
  if (toLeft <= toUp && toLeft <= toCorner) return left;
  return toUp <= toCorner ? up : corner;
}

function filtered(row: Uint8Array, above: Uint8Array, filter: (typeof filters)[number], number: number) {
  const bytes = new Uint8Array(row.length);
  let weight = 0;
  for (let i = 0; i < row.length; i += 1) {
    const difference = ((row[i] ?? 0) - filter(row[i - 3] ?? 0, above[i] ?? 0, above[i - 3] ?? 0)) & 0xff;
    bytes[i] = difference;
    weight += difference < 128 ? difference : 256 - difference;
  }
  return { bytes, weight, number };
}

async function deflate(bytes: Uint8Array): Promise<Uint8Array> {
  const packed = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(packed).arrayBuffer());
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(data.length + 12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  bytes.set(latin1(type), 4);
  bytes.set(data, 8);
  view.setUint32(data.length + 8, crc32(bytes.subarray(4, data.length + 8)));
  return bytes;
}

const crcTable = Uint32Array.from({ length: 256 }, (_, value) => {
  let rest = value;
  for (let bit = 0; bit < 8; bit += 1) rest = rest & 1 ? 0xedb88320 ^ (rest >>> 1) : rest >>> 1;
  return rest;
});

export function crc32(bytes: Uint8Array): number {
  let rest = 0xffffffff;
  for (const byte of bytes) rest = (crcTable[(rest ^ byte) & 0xff] ?? 0) ^ (rest >>> 8);
  return (rest ^ 0xffffffff) >>> 0;
}

function joined(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let position = 0;
  for (const part of parts) {
    bytes.set(part, position);
    position += part.length;
  }
  return bytes;
}
