/**
 * The settings of a picture in the text form that AUTOMATIC1111's web UI writes under the keyword `parameters`, and
 * that galleries and other tools read: prompt, negative prompt, then one line of `Key: value` pairs.
 */

import type { PictureRecord } from "../studio/picture.ts";
import { namesOf } from "../studio/samplers.ts";

export function infotext(record: PictureRecord): string {
  const { settings, modelName } = record;
  const { sampler, schedule } = namesOf(record.samplerName);
  const pairs: [string, string | number | undefined][] = [
    ["Steps", settings.steps],
    ["Sampler", sampler],
    ["Schedule type", schedule],
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
