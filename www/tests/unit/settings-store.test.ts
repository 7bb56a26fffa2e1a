import { expect, test } from "vitest";
import type { ModelInfo } from "../../src/engine/contract.ts";
import { SettingsStore } from "../../src/studio/settings-store.ts";

const model: ModelInfo = {
  name: "m",
  family: "f",
  sampleSize: [512, 768],
  sizeStep: 64,
  defaultSteps: 25,
  defaultGuidance: 7.5,
  defaultSampler: "euler",
  samplers: [
    { id: "euler", name: "Euler" },
    { id: "ddim", name: "DDIM" },
  ],
  promptTokens: 77,
  supportsNegative: true,
  weightsBytes: 1,
};

test("the first model brings its defaults, but not over what the visitor has set", () => {
  const store = new SettingsStore("a cat", "1");
  store.set({ steps: 7 });
  store.adopt(model);
  expect(store.values).toMatchObject({ prompt: "a cat", steps: 7, guidance: 7.5, sampler: "euler", width: 512, height: 768 });
  store.adopt({ ...model, defaultSteps: 1 });
  expect(store.values.steps).toBe(1);
});

test("values are brought into their ranges", () => {
  const store = new SettingsStore("", "1");
  store.adopt(model);
  store.set({ steps: 0.4, guidance: 1000, width: 100, height: 99999 });
  expect(store.values).toMatchObject({ steps: 1, guidance: 30, width: 128, height: 2048 });
  store.set({ steps: Number.NaN, width: Number.NaN, guidance: -2, height: 1 });
  expect(store.values).toMatchObject({ steps: 1, guidance: 0, width: 128, height: 64 });
  store.set({ sampler: "ddim" });
  store.set({ sampler: "unknown" });
  expect(store.values.sampler).toBe("euler");
});

test("seeds have 64 bits and keep every digit", () => {
  const store = new SettingsStore("", "1");
  store.set({ seed: " 9007199254740993 " });
  expect(store.values.seed).toBe("9007199254740993");
  store.set({ seed: "99999999999999999999999" });
  expect(store.values.seed).toBe("18446744073709551615");
  store.set({ seed: "-4" });
  store.set({ seed: "abc" });
  expect(store.values.seed).toBe("18446744073709551615");
});

test("an unlocked seed serves once, a locked one always", () => {
  const store = new SettingsStore("", "41");
  expect(store.take().seed).toBe("41");
  const next = store.take().seed;
  expect(next).not.toBe("41");
  store.rollSeed();
  const rolled = store.values.seed;
  expect(store.take().seed).toBe(rolled);
  store.lockSeed(true);
  expect(store.take().seed).toBe(rolled);
  expect(store.take().seed).toBe(rolled);
});

test("restoring a picture's settings locks its seed", () => {
  const store = new SettingsStore("", "1");
  store.adopt(model);
  store.restore({ ...store.values, seed: "77", prompt: "again" });
  expect(store.take()).toMatchObject({ seed: "77", prompt: "again" });
  expect(store.take().seed).toBe("77");
});

test("sides swap, and go back to the model's size", () => {
  const store = new SettingsStore("", "1");
  store.adopt(model);
  store.swapSides();
  expect([store.values.width, store.values.height]).toEqual([768, 512]);
  store.resetSides();
  expect([store.values.width, store.values.height]).toEqual([512, 768]);
});
