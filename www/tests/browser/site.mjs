/**
 * The built page in a real browser: what every browser test begins with.
 *
 * `SITE` is the built page (default: `dist`), `MODELS` a folder to serve as its `models/` (default: the one in the
 * build). With a software adapter a picture takes a while, hence the long waits.
 */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { launch } from "./chromium.mjs";
import { readPng } from "./png.mjs";
import { serve } from "./server.mjs";

const www = fileURLToPath(new URL("../../", import.meta.url));
export const site = resolve(www, process.env.SITE ?? "dist");
export const builtInModel = resolve(www, process.env.MODELS ?? join(site, "models"), "emoji");

export const patience = { load: 240_000, picture: 600_000 };

/** Opens a browser and a server; closes both after `use`. */
export async function withSite(use, { webgpu = true, mounts = {}, below = "/" } = {}) {
  assert.ok(existsSync(join(site, "index.html")), `${site} holds no built page: run \`npm run build\` first.`);
  const server = await serve({ [below]: site, [`${below}models/emoji/`]: builtInModel, ...mounts });
  const browser = await launch({ webgpu });
  try {
    await use({ server, browser, address: `${server.url}${below}` });
  } finally {
    await browser.close();
    await server.close();
  }
}

/** A page with the site opened, and everything it complained about. */
export async function openPage(browser, address, options = {}) {
  const { script, ...contextOptions } = options;
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, ...contextOptions });
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  if (script) await page.addInitScript(script);
  await page.goto(address);
  return { page, complaints };
}

export async function modelReady(page) {
  await page.getByText(/· ready$/).waitFor({ timeout: patience.load });
}

export async function setSteps(page, steps) {
  const field = page.getByRole("spinbutton", { name: "Steps" });
  await field.fill(String(steps));
  await field.press("Tab");
}

export async function setSeed(page, seed) {
  const field = page.getByRole("textbox", { name: "Seed" });
  await field.fill(seed);
  await field.press("Tab");
}

/** Presses Generate, waits for the picture and reads it from the file that would be saved. */
export async function generate(page) {
  const frames = page.locator("dr-contact-sheet li");
  const before = await frames.count();
  await page.getByRole("button", { name: "Generate" }).click();
  await frames.nth(before).waitFor({ timeout: patience.picture });
  return savedPicture(page);
}

export async function savedPicture(page) {
  const download = page.waitForEvent("download");
  await page.getByRole("link", { name: "Save PNG" }).click();
  return readPng(await readFile(await (await download).path()));
}

export async function loadAddress(page, address) {
  await page.getByRole("button", { name: "Change…" }).click();
  await page.getByLabel(/Address of a diffusers folder/).fill(address);
  await page.getByRole("button", { name: "Load", exact: true }).click();
}

/** The failure that is told on the paper. */
export async function failureTold(page, timeout = patience.load) {
  const note = page.locator("dr-picture-stage .note[data-code]");
  await note.waitFor({ timeout });
  return { code: await note.getAttribute("data-code"), text: await note.innerText(), detail: await note.locator("details p").textContent() };
}

/** A copy of the built-in model by links, with some files replaced (text), or left out (null). */
export async function changedModel(changes) {
  const folder = await mkdtemp(join(tmpdir(), "darkroom-model-"));
  const paths = [
    "model_index.json",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
    "tokenizer/merges.txt",
    "tokenizer/special_tokens_map.json",
    "tokenizer/tokenizer_config.json",
    "tokenizer/vocab.json",
    "unet/config.json",
    "unet/diffusion_pytorch_model.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
  ];
  for (const path of new Set([...paths, ...Object.keys(changes)])) {
    const target = join(folder, path);
    await mkdir(dirname(target), { recursive: true });
    if (changes[path] === null) continue;
    if (changes[path] === undefined) await symlink(join(builtInModel, path), target);
    else await writeFile(target, changes[path]);
  }
  return { folder, remove: () => rm(folder, { recursive: true }) };
}
