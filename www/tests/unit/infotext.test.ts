import { expect, test } from "vitest";
import { infotext } from "../../src/picture/infotext.ts";
import { fileName, type PictureRecord } from "../../src/studio/picture.ts";

const record: PictureRecord = {
  settings: {
    prompt: "a red apple,\nnoto style",
    negativePrompt: "",
    steps: 20,
    guidance: 4.5,
    sampler: "dpm++2m-karras",
    seed: "18446744073709551615",
    width: 64,
    height: 96,
  },
  modelName: "Emoji",
  samplerName: "DPM++ 2M Karras",
  quantization: "q8_0",
  timings: { text: 0, denoise: 1, decode: 0, total: 1 },
  retriedInF32: false,
};

test("prompt, then one line of pairs in the usual order", () => {
  expect(infotext(record)).toBe(
    "a red apple,\nnoto style\nSteps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 4.5, Seed: 18446744073709551615, " +
      "Size: 64x96, Model: Emoji, RNG: CPU, Quantization: q8_0, Version: Darkroom",
  );
});

test("a negative prompt has its line, unknown samplers their own name, and commas are quoted", () => {
  const settings = { ...record.settings, prompt: "x", negativePrompt: "blurry", sampler: "new", eta: 0.5 };
  expect(infotext({ ...record, settings, samplerName: "New, better", modelName: 'my "model": 2' })).toBe(
    'x\nNegative prompt: blurry\nSteps: 20, Sampler: "New, better", CFG scale: 4.5, Seed: 18446744073709551615, Size: 64x96, ' +
      'Model: "my \\"model\\": 2", Eta: 0.5, RNG: CPU, Quantization: q8_0, Version: Darkroom',
  );
});

test.each([
  ["a red apple, noto style", "darkroom-7-a-red-apple-noto-style.png"],
  ["../../etc/passwd <script>", "darkroom-7-etc-passwd-script.png"],
  ["红苹果", "darkroom-7-红苹果.png"],
  ["", "darkroom-7.png"],
  ["x".repeat(300), `darkroom-7-${"x".repeat(40)}.png`],
])("the file for %j", (prompt, name) => {
  expect(fileName({ ...record, settings: { ...record.settings, prompt, seed: "7" } })).toBe(name);
});
