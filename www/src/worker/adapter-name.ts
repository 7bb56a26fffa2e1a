/** What the browser tells of the adapter, in words: "apple metal-3", "google swiftshader"; empty where it tells nothing. */

interface Gpu {
  requestAdapter(options: { powerPreference: "high-performance" }): Promise<{ info?: Partial<Record<"vendor" | "architecture" | "description", string>> } | null>;
}

export async function adapterName(): Promise<string> {
  const gpu = (globalThis.navigator as (Navigator & { gpu?: Gpu }) | undefined)?.gpu;
  const adapter = await gpu?.requestAdapter({ powerPreference: "high-performance" }).catch(() => null);
  const { vendor = "", architecture = "", description = "" } = adapter?.info ?? {};
  return description || `${vendor} ${architecture}`.trim();
}
