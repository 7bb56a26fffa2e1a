/**
 * Pictures of the page at three widths in both themes, to be looked at: `node tests/browser/screenshots.mjs SITE OUT`.
 * SITE is a built page; the built-in model is taken from it, or from the folder in `MODELS`.
 */

import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { launch } from "./chromium.mjs";
import { serve } from "./server.mjs";

const [site, out] = process.argv.slice(2);
const steps = process.env.STEPS;
const mounts = { "/": resolve(site) };
if (process.env.MODELS) mounts["/models/"] = resolve(process.env.MODELS);
const server = await serve(mounts);
const browser = await launch();
await mkdir(out, { recursive: true });

const sizes = [
  [390, 844, true],
  [820, 1180, true],
  [1440, 900, false],
];
const only = process.env.ONLY?.split(",");

for (const [width, height, touch] of sizes) {
  for (const colorScheme of ["dark", "light"]) {
    if (only && !only.includes(`${width}-${colorScheme}`)) continue;
    const context = await browser.newContext({ viewport: { width, height }, colorScheme, hasTouch: touch, isMobile: touch });
    const page = await context.newPage();
    const complaints = [];
    page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(String(error)));
    const shot = (name, fullPage = false) => page.screenshot({ path: join(out, `${width}-${colorScheme}-${name}.png`), fullPage });
    await page.goto(server.url);
    await page.waitForTimeout(700);
    await shot("1-opening");
    await page.getByText(/· ready$/).waitFor({ timeout: 120_000 });
    await page.waitForTimeout(400);
    if (steps) await page.getByRole("spinbutton", { name: "Steps" }).fill(steps);
    await shot("2-ready", true);
    await page.getByRole("button", { name: "Generate" }).click();
    await page.getByText(/step \d+ of/).waitFor({ timeout: 120_000 });
    await page.waitForTimeout(1200);
    await shot("3-developing");
    await page.getByRole("link", { name: "Save PNG" }).waitFor({ timeout: 300_000 });
    await page.waitForTimeout(900);
    await shot("4-finished", true);
    if (width === 1440) {
      await page.getByRole("button", { name: "Generate" }).click();
      await page.getByRole("link", { name: "Save PNG" }).waitFor({ timeout: 300_000 });
      await page.getByRole("button", { name: "Change…" }).click();
      await page.waitForTimeout(300);
      await shot("5-library");
      await page.keyboard.press("Escape");
      await page.getByRole("button", { name: "About" }).click();
      await page.waitForTimeout(300);
      await shot("6-about");
      await page.keyboard.press("Escape");
      await page.getByLabel("Prompt", { exact: true }).fill("lose the device");
      await page.getByRole("button", { name: "Generate" }).click();
      await page.waitForTimeout(1500);
      await shot("7-failure");
    }
    if (complaints.length > 0) console.log(width, colorScheme, complaints);
    await context.close();
  }
}
await browser.close();
await server.close();
