import { LitElement, type PropertyValues } from "lit";
import { property } from "lit/decorators.js";
import type { Studio } from "../studio/studio.ts";

/** An element that shows the studio and is drawn anew when it changes. */
export abstract class StudioElement extends LitElement {
  @property({ attribute: false }) studio!: Studio;
  #unwatch: (() => void) | undefined;

  protected override willUpdate(changed: PropertyValues): void {
    if (changed.has("studio")) this.#watch();
  }

  override connectedCallback(): void {
    super.connectedCallback();
    if (this.hasUpdated) this.#watch();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#unwatch?.();
    this.#unwatch = undefined;
  }

  #watch(): void {
    this.#unwatch?.();
    this.#unwatch = this.studio.watch(() => this.requestUpdate());
  }
}
