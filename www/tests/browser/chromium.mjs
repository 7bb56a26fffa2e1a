import { chromium } from "playwright-core";

const always = [
  "--no-sandbox",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const withWebGpu = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--ignore-gpu-blocklist"];

/** Chromium without a screen; with WebGPU on the software adapter unless told otherwise. */
export function launch({ webgpu = true } = {}) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    args: [...always, ...(webgpu ? withWebGpu : ["--disable-features=WebGPU", "--disable-gpu"])],
  });
}
