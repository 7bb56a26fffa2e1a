import { css, html, type PropertyValues } from "lit";
import { customElement } from "lit/decorators.js";
import type { Picture } from "../studio/picture.ts";
import { words } from "../words/words.ts";
import { StudioElement } from "./studio-element.ts";
import { shared } from "./styles/shared.ts";

/** The pictures of this session as frames on a strip of film. */
@customElement("dr-contact-sheet")
export class ContactSheet extends StudioElement {
  #count = 0;

  static override styles = [
    shared,
    css`
      section {
        position: relative;
        border-radius: 6px;
        background: var(--film);
        color: var(--film-ink);
      }
      section::before,
      section::after {
        content: "";
        display: block;
        height: 8px;
        border: solid transparent;
        border-width: 4px 6px;
        box-sizing: content-box;
        background: repeating-linear-gradient(90deg, var(--film-hole) 0 11px, transparent 11px 20px) content-box;
      }
      .scroll {
        overflow-x: auto;
        scrollbar-width: thin;
        scrollbar-color: var(--film-ink) transparent;
      }
      ol {
        display: flex;
        gap: 0.75rem;
        min-height: 5.75rem;
        padding: 0.25rem 0.6rem;
      }
      button {
        display: grid;
        grid-template-rows: 4.25rem 1rem;
        padding: 0;
        border: 0;
        background: none;
        color: inherit;
        font: 500 0.75rem/1.25rem var(--sans);
        font-variant-numeric: tabular-nums;
        text-align: left;
        cursor: pointer;
      }
      img {
        display: block;
        width: auto;
        height: 4.25rem;
        border-radius: 2px;
        object-fit: cover;
      }
      button[aria-current="true"] img {
        box-shadow:
          0 0 0 2px var(--film),
          0 0 0 4px var(--film-ink);
      }
      :focus-visible {
        outline-color: var(--film-ink);
        outline-offset: 5px;
      }
      p {
        display: grid;
        place-items: center;
        min-height: 5.75rem;
        padding: 0.25rem 1.5rem;
        font-size: 0.8125rem;
        text-align: center;
        color: #d9b9ab;
      }
    `,
  ];

  override render() {
    const { gallery } = this.studio;
    const text = words().sheet;
    return html`
      <section aria-labelledby="heading">
        <h2 id="heading" class="unseen">${text.heading}</h2>
        ${gallery.pictures.length === 0
          ? html`<p>${text.empty}</p>`
          : html`<div class="scroll"><ol>${gallery.pictures.map((picture) => this.#frame(picture))}</ol></div>`}
      </section>
    `;
  }

  protected override updated(_: PropertyValues): void {
    const { length } = this.studio.gallery.pictures;
    if (length > this.#count) {
      const strip = this.renderRoot.querySelector(".scroll");
      if (strip) strip.scrollLeft = strip.scrollWidth;
    }
    this.#count = length;
  }

  #frame(picture: Picture) {
    const { gallery } = this.studio;
    const { frame, address, settings, width, height } = picture;
    return html`<li>
      <button type="button" aria-current=${gallery.shown === picture} title=${settings.prompt} @click=${() => gallery.show(picture)}>
        <img src=${address} width=${width} height=${height} alt=${words().sheet.frame(frame, settings.prompt)} />
        <span aria-hidden="true">${frame}</span>
      </button>
    </li>`;
  }
}
