/** Putting pixels on a canvas: previews of the latent, and the grain of paper that has no picture yet. */

import type { Pixels } from "../engine/contract.ts";

/**
 * A preview has one pixel per latent pixel. Each becomes a small square here, and the browser smooths only the squares'
 * edges when it enlarges the canvas: smoothing from the single pixels would blur the forming picture to fog.
 */
const squarePixels = 4;

export function drawPreview(canvas: HTMLCanvasElement, preview: Pixels): void {
  const { width, height } = preview;
  const small = new OffscreenCanvas(width, height);
  small.getContext("2d")?.putImageData(imageData(preview), 0, 0);
  resize(canvas, width * squarePixels, height * squarePixels);
  const context = canvas.getContext("2d");
  if (!context) return;
  context.imageSmoothingEnabled = false;
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
}

/** Grey noise in the proportions of the picture to come; the same for the same seed. Only a sight, not the engine's noise. */
export function drawGrain(canvas: HTMLCanvasElement, seed: string, width: number, height: number): void {
  const long = 48;
  const scale = long / Math.max(width, height);
  const columns = Math.max(1, Math.round(width * scale));
  const rows = Math.max(1, Math.round(height * scale));
  resize(canvas, columns, rows);
  const rgba = new Uint8Array(columns * rows * 4);
  const next = randomNumbers(Number(BigInt(seed) % 0xffffffffn));
  for (let i = 0; i < rgba.length; i += 4) {
    const dark = next() < 0.5;
    rgba.fill(dark ? 0 : 255, i, i + 3);
    rgba[i + 3] = Math.floor(next() * 22);
  }
  canvas.getContext("2d")?.putImageData(imageData({ width: columns, height: rows, rgba }), 0, 0);
}

function imageData({ width, height, rgba }: Pixels): ImageData {
  return new ImageData(new Uint8ClampedArray(rgba), width, height);
}

function resize(canvas: HTMLCanvasElement, width: number, height: number): void {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
}

/** Marsaglia's xorshift with 32 bits: numbers in 0..1. */
function randomNumbers(seed: number): () => number {
  let state = (seed ^ 0x9e3779b9) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 0x1_0000_0000;
  };
}
