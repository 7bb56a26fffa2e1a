/** Every failure is told in words, and the page goes on working: after each one the built-in model draws a picture. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { changedModel, failureTold, generate, loadAddress, modelReady, openPage, setSteps, withSite } from "./site.mjs";

const index = { _class_name: "StableDiffusionPipeline", _diffusers_version: "0.35.2" };
const models = {};

before(async () => {
  models.kandinsky = await changedModel({ "model_index.json": JSON.stringify({ ...index, _class_name: "KandinskyPipeline" }) });
  models.empty = await changedModel({ "model_index.json": null });
  models.garbled = await changedModel({ "unet/config.json": "{ this is not JSON" });
  models.pickled = await changedModel({ "unet/diffusion_pytorch_model.safetensors": null, "unet/diffusion_pytorch_model.bin": "\x80\x02pickle" });
  models.hostile = await changedModel({ "unet/diffusion_pytorch_model.safetensors": Buffer.from("ffffffffffffff7f7b7d", "hex") });
  models.whole = await changedModel({});
});

after(() => Promise.all(Object.values(models).map(({ remove }) => remove())));

const mounts = () => Object.fromEntries(Object.entries(models).map(([name, { folder }]) => [`/${name}/`, folder]));

async function survives(page) {
  await page.getByRole("button", { name: "Change…" }).click();
  await page.getByRole("button", { name: "Use it" }).click();
  await modelReady(page);
  await setSteps(page, 1);
  await generate(page);
  assert.equal(await page.locator("dr-picture-stage .note").count(), 0);
}

test("models that cannot be used are refused in words, one after the other, in one page", async (context) => {
  await withSite(
    async ({ server, browser, address }) => {
      const { page } = await openPage(browser, address);
      await modelReady(page);
      const cases = [
        ["a folder without a model", "/empty/", ["not-found"], /no model at this place/i],
        ["a pipeline class that is not known", "/kandinsky/", ["unsupported"], /KandinskyPipeline/],
        ["a configuration that is not JSON", "/garbled/", ["malformed"], /unet\/config\.json/],
        ["pickle weights", "/pickled/", ["pickle"], /\.bin|pickle/i],
        ["a header that lies about its length", "/hostile/", ["malformed", "truncated"], /unet/],
      ];
      for (const [name, path, codes, words] of cases) {
        await context.test(name, async () => {
          await loadAddress(page, `${server.url}${path}`);
          const failure = await failureTold(page);
          assert.ok(codes.includes(failure.code), `${failure.code}: ${failure.detail}`);
          assert.match(`${failure.text} ${failure.detail}`, words);
        });
      }
      await survives(page);
    },
    { mounts: mounts() },
  );
});

test("a file that is cut short is told as such", async () => {
  await withSite(
    async ({ server, browser, address }) => {
      const { page } = await openPage(browser, address);
      await modelReady(page);
      server.fault("/whole/unet/diffusion_pytorch_model.safetensors", { truncateTo: 1_000_000 });
      await loadAddress(page, `${server.url}/whole/`);
      const failure = await failureTold(page);
      assert.equal(failure.code, "truncated", failure.detail);
      await survives(page);
    },
    { mounts: mounts() },
  );
});

test("a server that cannot be reached is told, and typing nonsense is answered in the dialog", async () => {
  await withSite(async ({ browser, address }) => {
    const { page } = await openPage(browser, address);
    await modelReady(page);
    await loadAddress(page, "http://127.0.0.1:9/nothing/");
    const failure = await failureTold(page);
    assert.equal(failure.code, "network", failure.detail);
    await page.getByRole("button", { name: "Change…" }).click();
    await page.getByLabel(/Address of a diffusers folder/).fill("javascript:alert(1)");
    await page.getByRole("button", { name: "Load", exact: true }).click();
    await page.getByText("The address must begin with").waitFor();
    await page.keyboard.press("Escape");
    await survives(page);
  });
});

test("a connection that breaks twice is taken up again, and a server without ranges serves too", async () => {
  await withSite(async ({ server, browser, address }) => {
    const unet = "/models/emoji/unet/diffusion_pytorch_model.safetensors";
    server.fault(unet, { breakAfter: 600_000, times: 2 });
    server.fault("/models/emoji/vae/diffusion_pytorch_model.safetensors", { wholeOnly: true });
    const { page } = await openPage(browser, address);
    await modelReady(page);
    assert.ok(server.requests.filter(({ path }) => path === unet).length >= 3);
    await setSteps(page, 1);
    await generate(page);
  });
});

test("offline, a model on the GPU goes on drawing, and another one is told to wait for the network", async () => {
  await withSite(
    async ({ server, browser, address }) => {
      const { page } = await openPage(browser, address);
      await modelReady(page);
      await setSteps(page, 1);
      await page.context().setOffline(true);
      await generate(page);
      await loadAddress(page, `${server.url}/whole/`);
      const failure = await failureTold(page);
      assert.match(failure.text, /offline/i);
      await page.context().setOffline(false);
      await page.getByRole("button", { name: "Try again" }).click();
      await modelReady(page);
      await generate(page);
    },
    { mounts: mounts() },
  );
});
