import { css, html, LitElement } from "lit";
import { customElement, property } from "lit/decorators.js";
import { fields, shared } from "./styles/shared.ts";

/** A number that can be dragged or typed. Fires `value` with the number as detail. */
@customElement("dr-slider-field")
export class SliderField extends LitElement {
  @property() label = "";
  @property() hint = "";
  @property({ type: Number }) value = 0;
  @property({ type: Number }) min = 0;
  @property({ type: Number }) max = 1;
  @property({ type: Number }) step = 1;
  /** The slider covers only this much of the range, so that the usual values can be hit; more can be typed. */
  @property({ type: Number }) reach = 1;

  static override styles = [
    shared,
    fields,
    css`
      :host {
        display: grid;
        grid-template-columns: 1fr 4.25rem;
        align-items: center;
        gap: 0 0.75rem;
      }
      label {
        margin: 0;
        align-self: end;
      }
      input[type="number"] {
        grid-row: 1 / 3;
        grid-column: 2;
        text-align: right;
      }
      input[type="range"] {
        appearance: none;
        width: 100%;
        height: 1.5rem;
        min-height: 1.5rem;
        margin: 0;
        background: transparent;
        cursor: pointer;
      }
      input[type="range"]::-webkit-slider-runnable-track {
        height: 3px;
        border-radius: 2px;
        background: linear-gradient(to right, var(--accent) var(--filled), var(--edge) var(--filled));
      }
      input[type="range"]::-moz-range-track {
        height: 3px;
        border-radius: 2px;
        background: linear-gradient(to right, var(--accent) var(--filled), var(--edge) var(--filled));
      }
      input[type="range"]::-webkit-slider-thumb {
        appearance: none;
        width: 1rem;
        height: 1rem;
        margin-top: -0.41rem;
        border: 2px solid var(--surface);
        border-radius: 50%;
        background: var(--accent);
      }
      input[type="range"]::-moz-range-thumb {
        width: 0.75rem;
        height: 0.75rem;
        border: 2px solid var(--surface);
        border-radius: 50%;
        background: var(--accent);
      }
    `,
  ];

  override render() {
    const reach = Math.min(this.reach, this.max);
    const filled = (Math.min(this.value, reach) - this.min) / (reach - this.min);
    this.style.setProperty("--filled", `${filled * 100}%`);
    return html`
      <label for="number" title=${this.hint}>${this.label}</label>
      <input
        type="range"
        aria-label=${this.label}
        title=${this.hint}
        min=${this.min}
        max=${reach}
        step=${this.step}
        .value=${String(this.value)}
        @input=${this.#changed}
      />
      <input
        id="number"
        type="number"
        inputmode="decimal"
        min=${this.min}
        max=${this.max}
        step=${this.step}
        .value=${String(this.value)}
        @change=${this.#changed}
      />
    `;
  }

  #changed = (event: Event): void => {
    const input = event.target as HTMLInputElement;
    this.dispatchEvent(new CustomEvent("value", { detail: input.valueAsNumber }));
    // What was typed may have been brought into its range without the value changing.
    void this.updateComplete.then(() => (input.value = String(this.value)));
  };
}
