/** Whether this browser can open a GPU for the page, and if not, which sentence helps. */

export type Support = "yes" | "insecure" | "chromium" | "chromiumLinux" | "android" | "firefox" | "safari" | "ios" | "other";

export interface BrowserFacts {
  webgpu: boolean;
  secure: boolean;
  userAgent: string;
  touchPoints: number;
}

export function browserFacts(): BrowserFacts {
  return {
    webgpu: "gpu" in navigator,
    secure: globalThis.isSecureContext,
    userAgent: navigator.userAgent,
    touchPoints: navigator.maxTouchPoints,
  };
}

export function browserSupport({ webgpu, secure, userAgent, touchPoints }: BrowserFacts): Support {
  if (webgpu) return "yes";
  if (!secure) return "insecure";
  // iPads call themselves Macs, but Macs have no touch screen.
  if (/iPhone|iPad|iPod/.test(userAgent) || (/Macintosh/.test(userAgent) && touchPoints > 1)) return "ios";
  if (/Firefox\//.test(userAgent)) return "firefox";
  if (/Android/.test(userAgent)) return "android";
  if (/Chrom(e|ium)\//.test(userAgent)) return /Linux|X11/.test(userAgent) ? "chromiumLinux" : "chromium";
  if (/Safari\//.test(userAgent)) return "safari";
  return "other";
}
