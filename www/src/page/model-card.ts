import { css, html, nothing } from "lit";
import { customElement } from "lit/decorators.js";
import type { Quantization } from "../engine/contract.ts";
import type { Loading } from "../studio/model-store.ts";
import { bytes, wholeSeconds } from "../words/format.ts";
import { sentence, words } from "../words/words.ts";
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
        display: flex;
        align-items: center;
        gap: 0.75rem;
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
      .state {
        display: grid;
        gap: 0.375rem;
        align-content: start;
        min-height: 2.6rem;
      }
      .line {
        display: flex;
        align-items: center;
        gap: 0.75rem;
        min-height: 1.5rem;
      }
      .line p {
        flex: 1;
      }
      .line button {
        min-height: 1.75rem;
        padding: 0 0.6rem;
        font-size: 0.8125rem;
      }
      .alarm {
        color: var(--alarm);
      }
      .track {
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
        background: color-mix(in srgb, var(--accent) 16%, transparent);
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
    const text = words().model;
    const info = model.state.status === "ready" ? model.state.info : undefined;
    return html`
      <section aria-labelledby="heading">
        <h2 id="heading">${text.heading}</h2>
        <div class="head">
          <div class="name">
            <h3 title=${model.source.name}>${model.source.name}</h3>
            <p class="quiet">${info ? `${info.family} · ${bytes(info.weightsBytes)}` : nothing}&#8203;</p>
          </div>
          <button type="button" @click=${() => this.dispatchEvent(new CustomEvent("library"))}>${text.change}</button>
        </div>
        <div class="state">${this.#state()}</div>
        ${this.#precision()}
      </section>
    `;
  }

  #state() {
    const { model } = this.studio;
    const { state } = model;
    const text = words().model;
    switch (state.status) {
      case "absent":
        return html`<div class="line"><p class="quiet">${text.absent}</p></div>`;
      case "loading":
        return this.#loading(state.progress);
      case "ready":
        return html`<div class="line"><p class="quiet" role="status">${text.ready(model.source.name)}</p></div>`;
      case "failed": {
        const cancelled = state.failure.code === "cancelled";
        return html`<div class="line">
          <p class=${cancelled ? "quiet" : "quiet alarm"}>${cancelled ? text.cancelled : sentence(state.failure)}</p>
          <button type="button" @click=${() => this.studio.open()}>${text.reload}</button>
        </div>`;
      }
    }
  }

  #loading({ done, total, received, what, bytesPerSecond, remainingSeconds }: Loading) {
    const text = words().model;
    const begun = total > 0 || received > 0;
    const parts = [
      total > 0 ? text.amount(bytes(done), bytes(total)) : text.received(bytes(received)),
      bytesPerSecond === undefined ? "" : text.speed(bytes(bytesPerSecond)),
      remainingSeconds === undefined || total === 0 ? "" : text.remaining(wholeSeconds(remainingSeconds)),
    ].filter(Boolean);
    const share = total > 0 ? done / total : 0;
    return html`
      <div class="track" role="progressbar" aria-label=${text.bar} aria-valuemin="0" aria-valuemax="100" aria-valuenow=${Math.round(share * 100)}>
        <div class="fill" .style=${`transform: scaleX(${share})`}></div>
      </div>
      <div class="line">
        <p class="quiet numbers" title=${what}>${begun ? parts.join(" · ") : text.starting}</p>
        <button type="button" @click=${() => this.studio.model.cancel()}>${text.stop}</button>
      </div>
    `;
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
