/**
 * The settings of a picture in the text form that AUTOMATIC1111's web UI writes under the keyword `parameters`, and
 * that galleries and other tools read: prompt, negative prompt, then one line of `Key: value` pairs.
 */

import type { PictureRecord } from "../studio/picture.ts";

/** Ours are called by their technical names; the line carries the names its readers know, and the schedule apart. */
const knownSamplers: Record<string, { sampler: string; schedule?: string }> = {
  euler: { sampler: "Euler" },
  euler_ancestral: { sampler: "Euler a" },
  ddim: { sampler: "DDIM" },
  dpmpp_2m: { sampler: "DPM++ 2M", schedule: "Uniform" },
  dpmpp_2m_karras: { sampler: "DPM++ 2M", schedule: "Karras" },
};

export function infotext(record: PictureRecord): string {
  const { settings, modelName } = record;
  const known = knownSamplers[settings.sampler];
  const pairs: [string, string | number | undefined][] = [
    ["Steps", settings.steps],
    ["Sampler", known?.sampler ?? record.samplerName],
    ["Schedule type", known?.schedule],
    ["CFG scale", settings.guidance],
    ["Seed", settings.seed],
    ["Size", `${settings.width}x${settings.height}`],
    ["Model", modelName],
    ["Eta", settings.eta],
    ["RNG", "CPU"],
    ["Quantization", record.quantization],
    ["Version", "Darkroom"],
  ];
  const line = pairs.flatMap(([key, value]) => (value === undefined ? [] : [`${key}: ${quoted(String(value))}`])).join(", ");
  const negative = settings.negativePrompt.trim() === "" ? [] : [`Negative prompt: ${settings.negativePrompt}`];
  return [settings.prompt, ...negative, line].join("\n");
}

function quoted(value: string): string {
  return /[,:\n]/.test(value) ? JSON.stringify(value) : value;
}
