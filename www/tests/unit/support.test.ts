import { expect, test } from "vitest";
import { browserSupport } from "../../src/support/browser-support.ts";

const facts = { webgpu: false, secure: true, touchPoints: 0 };
const mac = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15";

test.each([
  ["yes", { ...facts, webgpu: true, userAgent: "" }],
  ["insecure", { ...facts, secure: false, userAgent: "Mozilla/5.0 Chrome/140.0" }],
  ["chromium", { ...facts, userAgent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/110.0 Safari/537.36 Edg/110.0" }],
  ["chromiumLinux", { ...facts, userAgent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36" }],
  ["android", { ...facts, userAgent: "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/110.0 Mobile Safari/537.36" }],
  ["firefox", { ...facts, userAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0" }],
  ["safari", { ...facts, userAgent: mac }],
  ["ios", { ...facts, userAgent: mac, touchPoints: 5 }],
  ["ios", { ...facts, userAgent: "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 CriOS/120.0 Mobile/15E148 Safari/604.1" }],
  ["other", { ...facts, userAgent: "Lynx" }],
])("%s", (support, given) => {
  expect(browserSupport(given)).toBe(support);
});
