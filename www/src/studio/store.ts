/** Something that can be watched. Watchers are told that it changed, and look for themselves what. */
export abstract class Store {
  readonly #watchers = new Set<() => void>();

  /** Returns the function that ends the watch. */
  watch(watcher: () => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  protected changed(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }
}
