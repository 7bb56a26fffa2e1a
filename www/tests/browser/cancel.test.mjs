/** Cancel in the middle of a picture or of a load; what follows works. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { generate, modelReady, openPage, patience, setSteps, withSite } from "./site.mjs";

test("a picture is cancelled by the button and by Escape, and the next one comes out", async () => {
  await withSite(async ({ browser, address }) => {
    const { page, complaints } = await openPage(browser, address);
    await modelReady(page);
    await setSteps(page, 50);
    for (const cancel of [() => page.getByRole("button", { name: "Cancel" }).click(), () => page.keyboard.press("Escape")]) {
      await page.getByRole("button", { name: "Generate" }).click();
      await page.getByText(/step [1-9]\d* of 50/).waitFor({ timeout: patience.picture });
      await page.waitForTimeout(450); // past the guard against double clicks
      const asked = Date.now();
      await cancel();
      await page.getByRole("button", { name: "Generate" }).waitFor({ timeout: 60_000 });
      console.log(`cancelled after ${Date.now() - asked} ms`);
      assert.equal(await page.locator("dr-contact-sheet li").count(), 0);
      assert.equal(await page.locator("dr-picture-stage .note").count(), 0);
    }
    await setSteps(page, 1);
    const { width, height } = await generate(page);
    assert.deepEqual([width, height], [64, 64]);
    assert.deepEqual(complaints, []);
  });
});

test("a load is stopped, and generating begins it again", async () => {
  await withSite(async ({ server, browser, address }) => {
    server.fault("/models/emoji/unet/diffusion_pytorch_model.safetensors", { delay: 100 });
    const { page } = await openPage(browser, address);
    await page.getByText(/ of .* MB/).waitFor({ timeout: patience.load });
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByText("Loading was stopped").waitFor({ timeout: 10_000 });
    server.heal();
    await setSteps(page, 1);
    await generate(page);
  });
});
