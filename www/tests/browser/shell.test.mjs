/** The files of the page: from anywhere, small, strict, and with nothing fetched from elsewhere. */

import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { builtInModel, failureTold, generate, loadAddress, modelReady, openPage, patience, setSteps, site, withSite } from "./site.mjs";

test("below any path, without a request to anyone else, and within its own policy", async () => {
  await withSite(
    async ({ server, browser, address }) => {
      const elsewhere = [];
      const { page, complaints } = await openPage(browser, "about:blank");
      page.on("request", (request) => !/^(blob|data):/.test(request.url()) && !request.url().startsWith(server.url) && elsewhere.push(request.url()));
      await page.addInitScript(() => {
        globalThis.refused = [];
        document.addEventListener("securitypolicyviolation", (event) => globalThis.refused.push(`${event.violatedDirective} ${event.blockedURI}`));
      });
      await page.goto(address);
      await modelReady(page);
      await setSteps(page, 1);
      await generate(page);
      assert.deepEqual(elsewhere, []);
      assert.deepEqual(await page.evaluate(() => globalThis.refused), []);
      assert.deepEqual(complaints, []);
      assert.ok(server.requests.every(({ path }) => path.startsWith("/some/where/") || path === "/favicon.ico"));
    },
    { below: "/some/where/" },
  );
});

test("the shell is within 150 KB of gzip, the engine and the model left out", async () => {
  const names = (await readdir(site, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .filter((name) => !name.startsWith(join(site, "models")) && !/\.wasm$|\.woff$|\.map$/.test(name));
  let total = 0;
  for (const name of names) total += gzipSync(await readFile(name)).length;
  console.log(`${(total / 1000).toFixed(1)} KB`);
  assert.ok(total <= 150_000, `${total} bytes`);
});

test("nothing moves while a picture is made", async () => {
  await withSite(async ({ browser, address }) => {
    const { page } = await openPage(browser, address, { viewport: { width: 1440, height: 900 } });
    await modelReady(page);
    await setSteps(page, 3);
    await page.waitForTimeout(800);
    await page.evaluate(() => {
      globalThis.moved = [];
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) globalThis.moved.push({ value: entry.value, what: entry.sources.map(({ node }) => node?.className || node?.nodeName) });
      }).observe({ type: "layout-shift", buffered: false });
    });
    await generate(page);
    await page.waitForTimeout(500);
    const moved = await page.evaluate(() => globalThis.moved);
    assert.ok(moved.reduce((sum, { value }) => sum + value, 0) < 0.01, JSON.stringify(moved));
  });
});

test("hostile text stays text", async () => {
  await withSite(async ({ server, browser, address }) => {
    const { page } = await openPage(browser, address);
    await modelReady(page);
    await setSteps(page, 1);
    const hostile = '"><img src=x onerror="globalThis.hit=1"><script>globalThis.hit=1</script>';
    await page.getByLabel("Prompt", { exact: true }).fill(hostile);
    const { texts } = await generate(page);
    assert.ok(texts.parameters.startsWith(hostile));
    assert.equal(await page.locator("dr-picture-stage figcaption").innerText(), hostile);
    await loadAddress(page, `${server.url}/%3Cimg src=x onerror=globalThis.hit=1%3E/`);
    await failureTold(page);
    assert.equal(await page.evaluate(() => globalThis.hit), undefined);
  });
});

test("a folder from the device is read in place", async () => {
  await withSite(async ({ server, browser, address }) => {
    const { page } = await openPage(browser, address, { script: "delete globalThis.showDirectoryPicker" });
    await modelReady(page);
    await page.getByRole("button", { name: "Change…" }).click();
    const chooser = page.waitForEvent("filechooser");
    await page.getByRole("button", { name: "Pick a folder" }).click();
    const before = server.requests.length;
    await (await chooser).setFiles(builtInModel);
    await page.locator("dr-model-dialog dialog").waitFor({ state: "hidden" });
    await modelReady(page);
    await setSteps(page, 1);
    await generate(page);
    assert.equal(server.requests.slice(before).filter(({ path }) => path.includes("/models/")).length, 0);
  });
});

test("the page left and come back to, and a theme chosen, which stays", async () => {
  await withSite(async ({ browser, address }) => {
    const { page } = await openPage(browser, address, { colorScheme: "dark" });
    await modelReady(page);
    await page.getByRole("button", { name: "Switch to the light theme" }).click();
    await page.goto("about:blank");
    await page.goBack();
    await page.getByRole("button", { name: "Switch to the dark theme" }).waitFor();
    await modelReady(page);
    await setSteps(page, 1);
    await page.getByRole("button", { name: "Generate" }).click();
    await page.getByRole("link", { name: "Save PNG" }).waitFor({ timeout: patience.picture });
  });
});
