/** Reads the PNG files that the page writes: eight bits, RGB, no interlacing; and the text in them. */

import { inflateSync } from "node:zlib";

export function readPng(bytes) {
  const png = Buffer.from(bytes);
  const packed = [];
  const texts = {};
  let width = 0;
  let height = 0;
  for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at)) {
    const type = png.toString("latin1", at + 4, at + 8);
    const data = png.subarray(at + 8, at + 8 + png.readUInt32BE(at));
    const keyword = data.subarray(0, data.indexOf(0)).toString("latin1");
    if (type === "IHDR") [width, height] = [data.readUInt32BE(0), data.readUInt32BE(4)];
    if (type === "IDAT") packed.push(data);
    if (type === "tEXt") texts[keyword] = data.subarray(keyword.length + 1).toString("latin1");
    if (type === "iTXt") texts[keyword] = data.subarray(keyword.length + 5).toString("utf8");
  }
  return { width, height, rgba: unfiltered(inflateSync(Buffer.concat(packed)), width, height), texts };
}

function unfiltered(rows, width, height) {
  const stride = width * 3;
  const rgba = Buffer.alloc(width * height * 4, 255);
  let above = Buffer.alloc(stride);
  for (let y = 0; y < height; y += 1) {
    const filter = rows[y * (stride + 1)];
    const row = Buffer.from(rows.subarray(y * (stride + 1) + 1, (y + 1) * (stride + 1)));
    for (let i = 0; i < stride; i += 1) {
      const left = i >= 3 ? row[i - 3] : 0;
      const corner = i >= 3 ? above[i - 3] : 0;
      row[i] = (row[i] + [0, left, above[i], (left + above[i]) >> 1, paeth(left, above[i], corner)][filter]) & 255;
    }
    for (let x = 0; x < width; x += 1) row.copy(rgba, (y * width + x) * 4, x * 3, x * 3 + 3);
    above = row;
  }
  return rgba;
}

function paeth(left, up, corner) {
  const guess = left + up - corner;
  const [a, b, c] = [left, up, corner].map((value) => Math.abs(guess - value));
  if (a <= b && a <= c) return left;
  return b <= c ? up : corner;
}
