import { css, html, nothing } from "lit";
import { customElement } from "lit/decorators.js";
import { words } from "../words/words.ts";
import { icons } from "./icons.ts";
import { StudioElement } from "./studio-element.ts";
import { buttons, shared } from "./styles/shared.ts";
import { chooseTheme, currentTheme, followSystem } from "./theme.ts";

/** Name, promise, the GPU that draws, and the theme. */
@customElement("dr-top-bar")
export class TopBar extends StudioElement {
  static override styles = [
    shared,
    buttons,
    css`
      header {
        display: grid;
        grid-template-columns: auto 1fr auto;
        align-items: center;
        gap: 0 1.25rem;
        padding: 0.75rem 0;
      }
      h1 {
        display: flex;
        align-items: center;
        gap: 0.6rem;
        font: 400 1.75rem/1 var(--serif);
      }
      .safelight {
        width: 0.7rem;
        height: 0.7rem;
        border-radius: 50%;
        background: var(--accent);
        box-shadow: 0 0 0 4px color-mix(in srgb, var(--accent) 22%, transparent);
      }
      .working .safelight {
        animation: breathe 2.4s ease-in-out infinite;
      }
      @keyframes breathe {
        50% {
          box-shadow: 0 0 0 8px color-mix(in srgb, var(--accent) 12%, transparent);
        }
      }
      .tools {
        display: flex;
        align-items: center;
        gap: 0.25rem;
      }
      .gpu {
        display: flex;
        align-items: center;
        gap: 0.4rem;
        max-width: 18rem;
        margin-right: 0.5rem;
      }
      .gpu span {
        overflow: hidden;
        text-overflow: ellipsis;
        white-space: nowrap;
      }
      .gpu svg {
        width: 1.1rem;
        height: 1.1rem;
      }
      @media (max-width: 1099px) {
        .gpu {
          display: none;
        }
      }
      @media (max-width: 759px) {
        header {
          grid-template-columns: 1fr auto;
          padding: 0.5rem 0;
        }
        .promise {
          grid-column: 1 / -1;
          grid-row: 2;
          font-size: 0.8125rem;
        }
      }
    `,
  ];

  override connectedCallback(): void {
    super.connectedCallback();
    followSystem(() => this.requestUpdate());
  }

  override render() {
    const text = words();
    const dark = currentTheme() === "dark";
    const name = this.studio.device?.name;
    return html`
      <header class=${this.studio.run.progress ? "working" : ""}>
        <h1><span class="safelight" aria-hidden="true"></span>${text.brand}</h1>
        <p class="quiet promise">${text.promise}</p>
        <div class="tools">
          ${name
            ? html`<p class="quiet gpu" title=${name}>${icons.chip}<span><span class="unseen">${text.bar.gpu}: </span>${name}</span></p>`
            : nothing}
          <button class="bare" type="button" @click=${() => this.dispatchEvent(new CustomEvent("about"))}>${text.bar.about}</button>
          <button
            class="bare icon"
            type="button"
            aria-label=${dark ? text.bar.toLight : text.bar.toDark}
            title=${dark ? text.bar.toLight : text.bar.toDark}
            @click=${() => this.#turn(dark ? "light" : "dark")}
          >
            ${dark ? icons.sun : icons.moon}
          </button>
        </div>
      </header>
    `;
  }

  #turn(theme: "light" | "dark"): void {
    chooseTheme(theme);
    this.requestUpdate();
  }
}
