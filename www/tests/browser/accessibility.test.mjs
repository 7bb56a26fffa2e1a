/** axe finds nothing in any state of the page, and the whole way can be walked with the keyboard. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { test } from "node:test";
import { generate, modelReady, openPage, patience, setSteps, withSite } from "./site.mjs";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

async function check(page, state) {
  // Through the debugger's evaluation: the page's own policy would refuse a script tag.
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const told = violations.flatMap(({ id, impact, nodes }) => nodes.map(({ target, failureSummary }) => `${state}: ${id} (${impact}) ${target}: ${failureSummary}`));
  assert.deepEqual(told, []);
}

for (const colorScheme of ["dark", "light"]) {
  test(`axe, ${colorScheme}`, async () => {
    await withSite(async ({ browser, address }) => {
      const { page } = await openPage(browser, address, { colorScheme, reducedMotion: "reduce" });
      await check(page, "opening");
      await modelReady(page);
      await check(page, "ready");
      await setSteps(page, 50);
      await page.getByRole("button", { name: "Generate" }).click();
      await page.getByText(/step [1-9]\d* of 50/).waitFor({ timeout: patience.picture });
      await check(page, "developing");
      await page.getByRole("button", { name: "Cancel" }).click();
      await setSteps(page, 1);
      await generate(page);
      await check(page, "finished");
      await page.getByRole("button", { name: "About" }).click();
      await check(page, "about");
      await page.keyboard.press("Escape");
      await page.getByRole("button", { name: "Change…" }).click();
      await check(page, "library");
      await page.getByLabel(/Address of a diffusers folder/).fill("http://127.0.0.1:9/");
      await page.keyboard.press("Enter");
      await page.locator("dr-picture-stage .note").waitFor({ timeout: patience.load });
      await check(page, "failure");
    });
  });
}

test("with the keyboard alone", async () => {
  await withSite(async ({ browser, address }) => {
    const { page } = await openPage(browser, address);
    await modelReady(page);
    await setSteps(page, 1);
    await page.getByLabel("Prompt", { exact: true }).focus();
    await page.keyboard.press("Control+A");
    await page.keyboard.type("a yellow taxi");
    await page.keyboard.press("Control+Enter");
    await page.getByRole("link", { name: "Save PNG" }).waitFor({ timeout: patience.picture });
    assert.match(await page.locator('darkroom-page p.unseen[role="status"]').first().textContent(), /finished/);
    assert.equal(await page.locator("dr-picture-stage figcaption").innerText(), "a yellow taxi");
    const reached = new Set();
    for (let i = 0; i < 40; i += 1) {
      await page.keyboard.press("Tab");
      reached.add(
        await page.evaluate(() => {
          let element = document.activeElement;
          while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
          return element?.getAttribute("aria-label") ?? element?.innerText?.trim().split("\n")[0] ?? element?.id ?? "";
        }),
      );
    }
    for (const name of ["Generate", "Save PNG", "Steps", "Draw a new random seed", "Change…", "Swap width and height", "About"]) {
      assert.ok([...reached].some((label) => label.includes(name)), `${name} is not reached by Tab: ${[...reached].join(" | ")}`);
    }
  });
});
