import { css, html, nothing } from "lit";
import { customElement, query } from "lit/decorators.js";
import { artworks, licenceLinks } from "../about/artwork.ts";
import { bytes } from "../words/format.ts";
import { words } from "../words/words.ts";
import { icons } from "./icons.ts";
import { StudioElement } from "./studio-element.ts";
import { dialogs } from "./styles/dialogs.ts";
import { buttons, shared } from "./styles/shared.ts";

/** What Darkroom is, whose artwork taught the built-in model, and what the browser tells of the GPU. */
@customElement("dr-about-dialog")
export class AboutDialog extends StudioElement {
  @query("dialog") private dialog!: HTMLDialogElement;

  static override styles = [
    shared,
    buttons,
    dialogs,
    css`
      table {
        width: 100%;
        border-collapse: collapse;
        font-size: 0.875rem;
      }
      th,
      td {
        padding: 0.4rem 0.75rem 0.4rem 0;
        border-bottom: 1px solid var(--line);
        text-align: left;
        vertical-align: top;
      }
      th {
        color: var(--muted);
        font-weight: 500;
      }
      dl {
        display: grid;
        grid-template-columns: auto 1fr;
        gap: 0.25rem 1rem;
        font-size: 0.875rem;
      }
      dt {
        color: var(--muted);
      }
    `,
  ];

  show(): void {
    this.dialog.showModal();
  }

  override render() {
    const text = words().about;
    return html`
      <dialog aria-labelledby="heading" @click=${this.#outside}>
        <div class="sheet">
          <div class="top">
            <h2 id="heading">${text.heading}</h2>
            <button class="bare icon" type="button" aria-label=${text.close} @click=${() => this.dialog.close()}>${icons.close}</button>
          </div>
          <p>${text.what}</p>
          ${this.#gpu()}
          <p>${text.model}</p>
          <div class="wide" tabindex="0" role="region" aria-label=${text.set}>
            <table>
              <thead>
                <tr>
                  <th scope="col">${text.set}</th>
                  <th scope="col">${text.attribution}</th>
                  <th scope="col">${text.licence}</th>
                </tr>
              </thead>
              <tbody>
                ${artworks.map(
                  ({ name, licence, author, link }) => html`<tr>
                    <td>${external(link, name)}</td>
                    <td>${author}</td>
                    <td>${licenceLinks[licence] === undefined ? licence : external(licenceLinks[licence], licence)}</td>
                  </tr>`,
                )}
              </tbody>
            </table>
          </div>
          <p class="quiet">${text.tokenizer} ${text.fonts}</p>
        </div>
      </dialog>
    `;
  }

  #gpu() {
    const { device } = this.studio;
    if (!device) return nothing;
    const text = words().about;
    return html`
      <h3>${text.gpu}</h3>
      <dl class="numbers">
        <dt>${words().bar.gpu}</dt>
        <dd>${device.name || text.gpuUnnamed}</dd>
        <dt>${text.half}</dt>
        <dd>${device.f16 ? text.yes : text.no}</dd>
        <dt>${text.subgroups}</dt>
        <dd>${device.subgroups ? text.yes : text.no}</dd>
        <dt>${text.largestBuffer}</dt>
        <dd>${bytes(device.maxBufferBytes)}</dd>
        <dt>${text.largestBinding}</dt>
        <dd>${bytes(device.maxBindingBytes)}</dd>
      </dl>
    `;
  }

  #outside = (event: Event): void => {
    if (event.target === this.dialog) this.dialog.close();
  };
}

function external(address: string, label: string) {
  return html`<a href=${address} target="_blank" rel="noopener noreferrer">${label}</a>`;
}
