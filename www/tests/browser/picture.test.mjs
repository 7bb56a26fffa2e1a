/**
 * The main road: the page opens, the built-in model loads by itself, one press gives a picture.
 *
 * With `DARKROOM_PICTURE=FILE` the picture's RGBA bytes are written to FILE and its settings to FILE.json, so that the
 * native engine's picture for the same settings can be compared with it.
 */

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { test } from "node:test";
import { generate, modelReady, openPage, patience, setSeed, setSteps, withSite } from "./site.mjs";

const seed = process.env.DARKROOM_SEED ?? "20";
const steps = Number(process.env.DARKROOM_STEPS ?? 3);
const prompt = process.env.DARKROOM_PROMPT ?? "a red apple, noto style";

test("a fixed seed gives a picture, the same one every time, with its settings in the file", async () => {
  await withSite(async ({ browser, address }) => {
    const { page, complaints } = await openPage(browser, address);
    await modelReady(page);
    await page.getByLabel("Prompt", { exact: true }).fill(prompt);
    await setSteps(page, steps);
    await setSeed(page, seed);
    const first = await generate(page);
    const { width, height, rgba } = first;
    assert.deepEqual([width, height], [64, 64]);
    assert.ok(spread(rgba) > 5, `the picture is nearly one colour: spread ${spread(rgba)}`);
    const told = first.texts.parameters;
    assert.ok(told.startsWith(`${prompt}\nSteps: ${steps}, Sampler: `), told);
    assert.ok(told.includes(`Seed: ${seed}, Size: 64x64`), told);

    const again = await generate(page);
    assert.ok(again.rgba.equals(rgba), "the same seed gave another picture");
    await setSeed(page, String(Number(seed) + 1));
    assert.ok(!(await generate(page)).rgba.equals(rgba), "another seed gave the same picture");

    if (process.env.DARKROOM_PICTURE) {
      const settings = await page.evaluate(() => document.querySelector("darkroom-page").renderRoot.querySelector("dr-settings-form").studio.gallery.pictures[0]);
      await writeFile(process.env.DARKROOM_PICTURE, rgba);
      const { settings: used, quantization, modelName } = settings;
      await writeFile(`${process.env.DARKROOM_PICTURE}.json`, JSON.stringify({ width, height, quantization, modelName, ...used }, null, 2));
    }
    assert.deepEqual(complaints, []);
  });
});

test("one press is enough, and the model need not be there yet", async () => {
  await withSite(async ({ browser, address }) => {
    const { page } = await openPage(browser, address);
    await setSteps(page, 2);
    await page.getByRole("button", { name: "Generate" }).click();
    await page.locator("dr-progress-line").getByText("Waiting for the model").waitFor();
    await page.getByText(/step \d+ of 2/).waitFor({ timeout: patience.picture });
    await page.getByRole("link", { name: "Save PNG" }).waitFor({ timeout: patience.picture });
    await page.locator("dr-picture-stage img").evaluate((image) => image.decode());
  });
});

test("another precision loads again and changes the picture only a little", async () => {
  await withSite(async ({ browser, address }) => {
    const { page } = await openPage(browser, address);
    await modelReady(page);
    await setSteps(page, 1);
    await setSeed(page, seed);
    const eight = await generate(page);
    await page.getByRole("radio", { name: "16-bit" }).check();
    await page.getByRole("button", { name: "Stop" }).waitFor();
    await modelReady(page);
    const sixteen = await generate(page);
    assert.ok(sixteen.texts.parameters.includes("Quantization: f16"));
    const difference = Math.sqrt(eight.rgba.reduce((sum, value, i) => sum + (value - sixteen.rgba[i]) ** 2, 0) / eight.rgba.length);
    assert.ok(difference < 40, `root mean square difference ${difference}`);
  });
});

/** Standard deviation of the colour values. */
function spread(rgba) {
  const values = [...rgba].filter((_, i) => i % 4 !== 3);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
}
