import { css, html, nothing } from "lit";
import { customElement } from "lit/decorators.js";
import type { Quantization } from "../engine/contract.ts";
import type { Loading } from "../studio/model-store.ts";
import { bytes, wholeSeconds } from "../words/format.ts";
import { sentence, words } from "../words/words.ts";
import { icons } from "./icons.ts";
import { StudioElement } from "./studio-element.ts";
import { buttons, fields, shared } from "./styles/shared.ts";

/** Which model is on the GPU or on its way, at which precision. */
@customElement("dr-model-card")
export class ModelCard extends StudioElement {
  static override styles = [
    shared,
    buttons,
    fields,
    css`
      section {
        display: grid;
        gap: 0.75rem;
      }
      .head {
        position: relative;
        display: flex;
        align-items: center;
        gap: 0.75rem;
        padding-bottom: 0.625rem;
      }
      .name {
        flex: 1;
        min-width: 0;
      }
      .name h3,
      .name p {
        overflow: hidden;
        text-overflow: ellipsis;
        white-space: nowrap;
      }
      .alarm {
        color: var(--alarm);
      }
      .track {
        position: absolute;
        inset: auto 0 0;
        height: 3px;
        border-radius: 2px;
        background: var(--line);
        overflow: hidden;
      }
      .fill {
        height: 100%;
        background: var(--accent);
        transform-origin: left;
      }
      fieldset {
        display: flex;
        margin: 0;
        padding: 0;
        border: 0;
      }
      legend {
        padding: 0;
      }
      fieldset label {
        position: relative;
        flex: 1;
        margin: 0 0 0 -1px;
        cursor: pointer;
      }
      fieldset input {
        position: absolute;
        inset: 0;
        min-height: 0;
        margin: 0;
        opacity: 0;
        cursor: pointer;
      }
      fieldset:disabled span {
        opacity: 0.6;
      }
      fieldset input:disabled {
        opacity: 0;
      }
      fieldset span {
        display: block;
        padding: 0.5rem 0;
        border: 1px solid var(--edge);
        text-align: center;
        color: var(--text);
      }
      fieldset label:first-of-type span {
        border-radius: var(--round) 0 0 var(--round);
      }
      fieldset label:last-of-type span {
        border-radius: 0 var(--round) var(--round) 0;
      }
      input:checked + span {
        position: relative;
        border-color: var(--accent);
        background: color-mix(in srgb, var(--accent) 10%, transparent);
        color: var(--accent);
      }
      input:focus-visible + span {
        outline: 2px solid var(--accent);
        outline-offset: 2px;
      }
    `,
  ];

  override render() {
    const { model } = this.studio;
    const { state } = model;
    const text = words().model;
    const share = state.status === "loading" && state.progress.total > 0 ? state.progress.done / state.progress.total : 0;
    return html`
      <section aria-labelledby="heading">
        <h2 id="heading">${text.heading}</h2>
        <div class="head">
          <div class="name">
            <h3 title=${model.source.name}>${model.source.name}</h3>
            ${this.#state()}
          </div>
          ${state.status === "failed"
            ? html`<button class="icon" type="button" aria-label=${text.reload} title=${text.reload} @click=${() => void this.studio.open()}>${icons.reset}</button>`
            : nothing}
          ${state.status === "loading"
            ? html`<button type="button" @click=${() => model.cancel()}>${text.stop}</button>`
            : html`<button type="button" @click=${() => this.dispatchEvent(new CustomEvent("library"))}>${text.change}</button>`}
          <div class="track">
            ${state.status === "loading"
              ? html`<div
                  class="fill"
                  role="progressbar"
                  aria-label=${text.bar}
                  aria-valuemin="0"
                  aria-valuemax="100"
                  aria-valuenow=${Math.round(share * 100)}
                  .style=${`transform: scaleX(${share})`}
                ></div>`
              : nothing}
          </div>
        </div>
        ${this.#precision()}
      </section>
    `;
  }

  #state() {
    const { state } = this.studio.model;
    const text = words().model;
    switch (state.status) {
      case "absent":
        return html`<p class="quiet">${text.absent}</p>`;
      case "loading":
        return html`<p class="quiet numbers" title=${state.progress.what}>${amounts(state.progress)}</p>`;
      case "ready":
        return html`<p class="quiet numbers" role="status">${text.ready(state.info.family, bytes(state.info.weightsBytes))}</p>`;
      case "failed":
        return state.failure.code === "cancelled"
          ? html`<p class="quiet">${text.cancelled}</p>`
          : html`<p class="quiet alarm" title=${sentence(state.failure)}>${text.failed}</p>`;
    }
  }

  #precision() {
    const { model, run } = this.studio;
    const text = words().model;
    return html`<fieldset ?disabled=${run.progress !== undefined} title=${text.precisionHint}>
      <legend class="label">${text.precision}</legend>
      ${(Object.keys(text.precisions) as Quantization[]).map(
        (quantization) => html`<label>
          <input
            type="radio"
            name="precision"
            value=${quantization}
            .checked=${model.quantization === quantization}
            @change=${() => void this.studio.load(model.source, quantization)}
          />
          <span>${text.precisions[quantization]}</span>
        </label>`,
      )}
    </fieldset>`;
  }
}

/** "12 MB of 53 MB · 8 MB/s · 5 s left" */
function amounts({ done, total, received, bytesPerSecond, remainingSeconds }: Loading): string {
  const text = words().model;
  if (total === 0 && received === 0) return text.starting;
  const parts = [
    total > 0 ? text.amount(bytes(done), bytes(total)) : text.received(bytes(received)),
    bytesPerSecond === undefined ? "" : text.speed(bytes(bytesPerSecond)),
    remainingSeconds === undefined || total === 0 ? "" : text.remaining(wholeSeconds(remainingSeconds)),
  ];
  return parts.filter(Boolean).join(" · ");
}
