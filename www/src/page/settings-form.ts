import { css, html, nothing } from "lit";
import { customElement } from "lit/decorators.js";
import type { Settings } from "../engine/contract.ts";
import { choiceWithin, samplerFamilies } from "../studio/samplers.ts";
import { limits } from "../studio/settings-store.ts";
import { bytes } from "../words/format.ts";
import { sentence, words } from "../words/words.ts";
import { icons } from "./icons.ts";
import "./slider-field.ts";
import { StudioElement } from "./studio-element.ts";
import { buttons, fields, shared } from "./styles/shared.ts";

/** How the picture is made: steps, guidance, sampler, seed, size, and what that needs on the GPU. */
@customElement("dr-settings-form")
export class SettingsForm extends StudioElement {
  static override styles = [
    shared,
    buttons,
    fields,
    css`
      section {
        display: grid;
        gap: 0.8rem;
      }
      .pair {
        display: grid;
        grid-template-columns: 1fr 1fr;
        gap: 0.75rem;
      }
      .row {
        display: flex;
        gap: 0.375rem;
        align-items: center;
      }
      .row input {
        flex: 1;
        min-width: 0;
      }
      .times {
        color: var(--muted);
      }
      .plan.alarm {
        color: var(--alarm);
      }
    `,
  ];

  override render() {
    const text = words().settings;
    return html`
      <section aria-labelledby="heading">
        <h2 id="heading">${text.heading}</h2>
        <div class="pair">
          ${this.#slider("steps", text.steps, text.stepsHint, limits.steps, 1, 50)}
          ${this.#slider("guidance", text.guidance, text.guidanceHint, limits.guidance, limits.guidance.step, 15)}
        </div>
        ${this.#sampler()} ${this.#seed()} ${this.#size()} ${this.#plan()}
      </section>
    `;
  }

  #slider(name: "steps" | "guidance", label: string, hint: string, range: { min: number; max: number }, step: number, reach: number) {
    return html`<dr-slider-field
      .label=${label}
      .hint=${hint}
      .value=${this.studio.settings.values[name]}
      .min=${range.min}
      .max=${range.max}
      .step=${step}
      .reach=${reach}
      @value=${(event: CustomEvent<number>) => this.studio.settings.set({ [name]: event.detail } as Partial<Settings>)}
    ></dr-slider-field>`;
  }

  #sampler() {
    const { settings } = this.studio;
    const text = words().settings;
    const families = samplerFamilies(settings.model?.samplers ?? []);
    const family = families.find(({ choices }) => choices.some(({ id }) => id === settings.values.sampler));
    const chosen = family?.choices.find(({ id }) => id === settings.values.sampler);
    const take = (name: string) => {
      const next = families.find((other) => other.name === name);
      if (next) settings.set({ sampler: choiceWithin(next, chosen?.schedule) });
    };
    return html`<div class="pair">
      <div>
        <label for="sampler">${text.sampler}</label>
        <select id="sampler" ?disabled=${!family} @change=${(event: Event) => take((event.target as HTMLSelectElement).value)}>
          ${families.map(({ name }) => html`<option value=${name} .selected=${name === family?.name}>${name}</option>`)}
          ${family ? nothing : html`<option>${text.samplerWaiting}</option>`}
        </select>
      </div>
      <div>
        <label for="schedule">${text.schedule}</label>
        <select
          id="schedule"
          ?disabled=${!family || family.choices.length < 2}
          @change=${(event: Event) => settings.set({ sampler: (event.target as HTMLSelectElement).value })}
        >
          ${(family?.choices ?? []).map(({ id, schedule }) => html`<option value=${id} .selected=${id === chosen?.id}>${schedule ?? text.automatic}</option>`)}
        </select>
      </div>
    </div>`;
  }

  #seed() {
    const { settings } = this.studio;
    const text = words().settings;
    return html`<div>
      <label for="seed" title=${text.seedHint}>${text.seed}</label>
      <div class="row">
        <input id="seed" type="text" inputmode="numeric" autocomplete="off" .value=${settings.values.seed} @change=${this.#typedSeed} />
        <button class="icon" type="button" aria-label=${text.roll} title=${text.roll} @click=${() => settings.rollSeed()}>${icons.dice}</button>
        <button
          class="icon"
          type="button"
          aria-label=${text.lock}
          title=${text.lock}
          aria-pressed=${settings.seedLocked}
          @click=${() => settings.lockSeed(!settings.seedLocked)}
        >
          ${settings.seedLocked ? icons.locked : icons.unlocked}
        </button>
      </div>
    </div>`;
  }

  #size() {
    const { settings } = this.studio;
    const text = words().settings;
    return html`<div role="group" aria-labelledby="size">
      <span class="label" id="size">${text.size}</span>
      <div class="row">
        ${this.#side("width", text.width)}
        <span class="times" aria-hidden="true">×</span>
        ${this.#side("height", text.height)}
        <button class="icon" type="button" aria-label=${text.swap} title=${text.swap} @click=${() => settings.swapSides()}>${icons.swap}</button>
        <button class="icon" type="button" aria-label=${text.resetSize} title=${text.resetSize} ?disabled=${!settings.model} @click=${() => settings.resetSides()}>
          ${icons.reset}
        </button>
      </div>
    </div>`;
  }

  #side(name: "width" | "height", label: string) {
    const { settings } = this.studio;
    return html`<input
      type="number"
      inputmode="numeric"
      aria-label=${label}
      min=${limits.side.min}
      max=${limits.side.max}
      step=${settings.model?.sizeStep ?? 8}
      .value=${String(settings.values[name])}
      @change=${(event: Event) => {
        const input = event.target as HTMLInputElement;
        settings.set({ [name]: input.valueAsNumber });
        input.value = String(settings.values[name]);
      }}
    />`;
  }

  #plan() {
    const { plan, planFailure } = this.studio;
    const text = words().settings;
    if (planFailure) return html`<p class="quiet plan alarm" role="alert">${sentence(planFailure)} ${planFailure.message}</p>`;
    if (!plan) return html`<p class="quiet plan">${text.planWaiting}</p>`;
    const { weightsBytes, activationBytes } = plan;
    return html`<p class="quiet plan numbers">
      ${text.plan(bytes(weightsBytes + activationBytes), bytes(weightsBytes))}
    </p>`;
  }

  /** A seed that was typed is wanted: it is kept. */
  #typedSeed = (event: Event): void => {
    const input = event.target as HTMLInputElement;
    const { settings } = this.studio;
    settings.set({ seed: input.value });
    settings.lockSeed(true);
    input.value = settings.values.seed;
  };
}
