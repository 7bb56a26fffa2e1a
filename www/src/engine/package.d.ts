/** Stands for the package that `cargo xtask wasm` writes, where it has not been written yet. */
declare module "*/pkg/darkroom.js" {
  const module: import("./contract.ts").EngineModule;
  export default module.default;
  export const Engine: import("./contract.ts").EngineConstructor;
}
