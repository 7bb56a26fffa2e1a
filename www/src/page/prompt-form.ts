import { css, html, nothing } from "lit";
import { customElement, property } from "lit/decorators.js";
import { builtIn } from "../sources/built-in.ts";
import { words } from "../words/words.ts";
import { StudioElement } from "./studio-element.ts";
import { buttons, fields, shared } from "./styles/shared.ts";

/** A second press so soon after the first is a double click, not a wish to cancel. */
const doubleClickMilliseconds = 400;

const onMac = /Mac/.test(navigator.userAgent);

/** The prompt and the one button. */
@customElement("dr-prompt-form")
export class PromptForm extends StudioElement {
  /** False where no GPU can be had. */
  @property({ type: Boolean }) able = true;
  #startedAt = 0;

  static override styles = [
    shared,
    buttons,
    fields,
    css`
      form {
        display: grid;
        gap: 0.75rem;
      }
      textarea {
        min-height: 5.25rem;
        font-size: 1.0625rem;
      }
      textarea.negative {
        min-height: 2.5rem;
        font-size: 0.9375rem;
      }
      .head {
        display: flex;
        justify-content: space-between;
        gap: 0.75rem;
      }
      .head p {
        overflow: hidden;
        color: var(--alarm);
        text-overflow: ellipsis;
        white-space: nowrap;
      }
      .examples {
        display: flex;
        flex-wrap: wrap;
        gap: 0.375rem;
        margin-top: 0.5rem;
      }
      .examples button {
        min-height: 1.75rem;
        padding: 0 0.65rem;
        border-color: var(--line);
        border-radius: 999px;
        color: var(--muted);
        font-size: 0.8125rem;
        font-weight: 400;
      }
      .examples button:hover {
        border-color: var(--edge);
        color: var(--text);
      }
      .go {
        position: relative;
        width: 100%;
        min-height: 3rem;
        font-size: 1rem;
      }
      kbd {
        position: absolute;
        right: 1rem;
        font: 400 0.8125rem/1 var(--sans);
        opacity: 0.8;
      }
      @media (pointer: coarse) {
        kbd {
          display: none;
        }
        .examples button {
          min-height: 2.25rem;
        }
      }
    `,
  ];

  override render() {
    const { settings, run, model } = this.studio;
    const text = words().prompt;
    const known = model.state.status === "ready" ? model.state.info : settings.model;
    const takesNegative = known?.supportsNegative ?? true;
    const tokens = run.tokens;
    const read = known?.promptTokens ?? 77;
    return html`
      <form @submit=${this.#submit}>
        <div>
          <div class="head">
            <label for="prompt">${text.label}</label>
            <p class="quiet" id="truncated" role="status" title=${tokens === undefined ? nothing : text.truncated(tokens, read)}>
              ${tokens === undefined ? nothing : text.truncated(tokens, read)}
            </p>
          </div>
          <textarea
            id="prompt"
            rows="3"
            placeholder=${text.placeholder}
            .value=${settings.values.prompt}
            aria-describedby=${tokens === undefined ? nothing : "truncated"}
            @input=${(event: Event) => settings.set({ prompt: (event.target as HTMLTextAreaElement).value })}
          ></textarea>
          <div class="examples" role="group" aria-label=${text.examples}>
            ${builtIn.examples.map(
              (example) => html`<button type="button" @click=${() => settings.set({ prompt: example })}>${example}</button>`,
            )}
          </div>
        </div>
        <div>
          <label for="negative">${text.negative}</label>
          <textarea
            id="negative"
            class="negative"
            rows="1"
            placeholder=${takesNegative ? text.negativePlaceholder : text.negativeUnused}
            ?disabled=${!takesNegative}
            .value=${settings.values.negativePrompt}
            @input=${(event: Event) => settings.set({ negativePrompt: (event.target as HTMLTextAreaElement).value })}
          ></textarea>
        </div>
        ${this.#button()}
      </form>
    `;
  }

  #button() {
    const { progress } = this.studio.run;
    const text = words().prompt;
    if (!progress) {
      return html`<button class="go main" type="submit" ?disabled=${!this.able}>
        ${text.generate}<kbd aria-hidden="true">${onMac ? text.shortcutOnMac : text.shortcut}</kbd>
      </button>`;
    }
    return html`<button class="go" type="submit" ?disabled=${progress.cancelling}>
      ${progress.cancelling ? text.cancelling : text.cancel}<kbd aria-hidden="true">Esc</kbd>
    </button>`;
  }

  #submit = (event: Event): void => {
    event.preventDefault();
    if (!this.able) return;
    if (!this.studio.run.progress) {
      this.#startedAt = performance.now();
      void this.studio.generate();
    } else if (performance.now() - this.#startedAt > doubleClickMilliseconds) {
      this.studio.cancel();
    }
  };
}
