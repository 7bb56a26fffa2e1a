import { css, html, nothing } from "lit";
import { customElement, query, state } from "lit/decorators.js";
import { Failure } from "../bridge/failure.ts";
import { sourceFromAddress } from "../sources/address.ts";
import { builtIn, builtInSource } from "../sources/built-in.ts";
import type { ModelSource } from "../sources/model-source.ts";
import { filesOfPicker, pickDirectory } from "../sources/pick-folder.ts";
import { words } from "../words/words.ts";
import { icons } from "./icons.ts";
import { StudioElement } from "./studio-element.ts";
import { dialogs } from "./styles/dialogs.ts";
import { buttons, fields, shared } from "./styles/shared.ts";

/** Where a model can come from: the page itself, an address, a folder on the device. */
@customElement("dr-model-dialog")
export class ModelDialog extends StudioElement {
  @query("dialog") private dialog!: HTMLDialogElement;
  @query("#address") private addressField!: HTMLInputElement;
  @query("#files") private filesField!: HTMLInputElement;
  @state() private addressFault = "";
  @state() private folderFault = "";

  static override styles = [
    shared,
    buttons,
    fields,
    dialogs,
    css`
      .choice {
        display: grid;
        gap: 0.5rem;
        padding-top: 1rem;
        border-top: 1px solid var(--line);
      }
      .line {
        display: flex;
        align-items: center;
        justify-content: space-between;
        gap: 0.75rem;
      }
      .line input {
        flex: 1;
        min-width: 0;
      }
      .fault {
        color: var(--alarm);
        font-size: 0.875rem;
      }
      #files {
        display: none;
      }
    `,
  ];

  show(): void {
    this.addressFault = "";
    this.folderFault = "";
    this.dialog.showModal();
  }

  override render() {
    const text = words().library;
    return html`
      <dialog aria-labelledby="heading" @click=${this.#outside}>
        <div class="sheet">
          <div class="top">
            <h2 id="heading">${text.heading}</h2>
            <button class="bare icon" type="button" aria-label=${text.close} @click=${() => this.dialog.close()}>${icons.close}</button>
          </div>
          <p class="quiet">${text.intro}</p>
          ${this.#builtIn()} ${this.#address()} ${this.#folder()}
        </div>
      </dialog>
    `;
  }

  #builtIn() {
    const text = words().library;
    const source = builtInSource(document.baseURI);
    const current = this.studio.model.source;
    const used = current.kind === "address" && source.kind === "address" && current.url === source.url && this.studio.model.state.status === "ready";
    return html`<section class="choice" aria-labelledby="built-in">
      <h3 id="built-in">${text.builtIn}</h3>
      <div class="line">
        <p class="quiet"><strong>${builtIn.title}.</strong> ${builtIn.about}</p>
        <button type="button" ?disabled=${used} @click=${() => this.#use(source)}>${used ? text.inUse : text.use}</button>
      </div>
    </section>`;
  }

  #address() {
    const text = words().library;
    return html`<section class="choice" aria-labelledby="web">
      <h3 id="web">${text.address}</h3>
      <form @submit=${this.#useAddress}>
        <label for="address">${text.addressLabel}</label>
        <div class="line">
          <input
            id="address"
            type="text"
            inputmode="url"
            autocapitalize="off"
            autocomplete="off"
            spellcheck="false"
            placeholder=${text.addressPlaceholder}
            aria-invalid=${this.addressFault !== ""}
            aria-describedby="address-note"
          />
          <button type="submit">${text.load}</button>
        </div>
      </form>
      ${this.addressFault ? html`<p class="fault" role="alert">${this.addressFault}</p>` : nothing}
      <p class="quiet" id="address-note">${text.addressNote}</p>
    </section>`;
  }

  #folder() {
    const text = words().library;
    return html`<section class="choice" aria-labelledby="device">
      <h3 id="device">${text.folder}</h3>
      <div class="line">
        <p class="quiet">${text.folderNote}</p>
        <button type="button" @click=${() => void this.#pick()}>${icons.folder}${text.pick}</button>
        <input id="files" type="file" webkitdirectory multiple aria-hidden="true" tabindex="-1" @change=${this.#picked} />
      </div>
      ${this.folderFault ? html`<p class="fault" role="alert">${this.folderFault}</p>` : nothing}
    </section>`;
  }

  #use(source: ModelSource): void {
    this.dialog.close();
    void this.studio.load(source, this.studio.model.quantization);
  }

  #useAddress = (event: Event): void => {
    event.preventDefault();
    try {
      this.addressFault = "";
      this.#use(sourceFromAddress(this.addressField.value, document.baseURI));
    } catch (thrown) {
      this.addressFault = Failure.from(thrown).message;
    }
  };

  async #pick(): Promise<void> {
    this.folderFault = "";
    if (!("showDirectoryPicker" in globalThis)) return this.filesField.click();
    const source = await pickDirectory();
    if (source) this.#useFolder(source);
  }

  #picked = (): void => {
    const source = filesOfPicker(this.filesField.files);
    this.filesField.value = "";
    if (source) this.#useFolder(source);
  };

  #useFolder(source: ModelSource | "no model"): void {
    if (source === "no model") this.folderFault = words().library.notModel;
    else this.#use(source);
  }

  #outside = (event: Event): void => {
    if (event.target === this.dialog) this.dialog.close();
  };
}
