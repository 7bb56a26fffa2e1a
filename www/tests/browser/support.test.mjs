/** Without WebGPU the page says in one sentence what to do, and stays usable to read. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { openPage, withSite } from "./site.mjs";

test("a browser without WebGPU", async () => {
  await withSite(
    async ({ server, browser, address }) => {
      const { page, complaints } = await openPage(browser, address, { script: "delete Navigator.prototype.gpu" });
      await page.getByText("This browser cannot draw here yet").waitFor();
      assert.match(await page.locator("dr-picture-stage .note").innerText(), /On Linux, update to version 144/);
      assert.ok(await page.getByRole("button", { name: "Generate" }).isDisabled());
      assert.ok(!server.requests.some(({ path }) => path.startsWith("/models/") || path.endsWith(".wasm")), "nothing is fetched in vain");
      assert.deepEqual(complaints, []);
    },
    { webgpu: false },
  );
});

test("a browser with WebGPU and no GPU to give", async () => {
  await withSite(
    async ({ browser, address }) => {
      const { page } = await openPage(browser, address);
      const note = page.locator("dr-picture-stage .note");
      await note.waitFor({ timeout: 60_000 });
      assert.match(await note.innerText(), /hardware acceleration|graphics acceleration/i);
    },
    { webgpu: false },
  );
});
