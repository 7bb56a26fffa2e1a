import { css, html, LitElement, type PropertyValues } from "lit";
import { customElement, query, state } from "lit/decorators.js";
import { EngineClient } from "../bridge/engine-client.ts";
import { builtIn, builtInSource } from "../sources/built-in.ts";
import { Studio } from "../studio/studio.ts";
import { browserFacts, browserSupport } from "../support/browser-support.ts";
import { percent, seconds } from "../words/format.ts";
import { words } from "../words/words.ts";
import "./about-dialog.ts";
import type { AboutDialog } from "./about-dialog.ts";
import "./contact-sheet.ts";
import "./model-card.ts";
import "./model-dialog.ts";
import type { ModelDialog } from "./model-dialog.ts";
import "./picture-stage.ts";
import "./prompt-form.ts";
import "./settings-form.ts";
import { shared } from "./styles/shared.ts";
import "./top-bar.ts";

/** The whole page. It owns the studio and opens the built-in model by itself. */
@customElement("darkroom-page")
export class DarkroomPage extends LitElement {
  readonly #support = browserSupport(browserFacts());
  readonly #studio = new Studio(
    new EngineClient(() => new Worker(new URL("../worker/engine-worker.ts", import.meta.url), { type: "module", name: "engine" })),
    { source: builtInSource(document.baseURI), quantization: "q8_0", prompt: builtIn.examples[0] },
  );
  @query("dr-model-dialog") private library!: ModelDialog;
  @query("dr-about-dialog") private about!: AboutDialog;
  @state() private announcement = "";
  #announced = "";
  #unwatch: (() => void) | undefined;

  static override styles = [
    shared,
    css`
      :host {
        display: block;
        max-width: 100rem;
        margin: 0 auto;
        padding: 0 clamp(1rem, 2.5vw, 2.25rem) 1.5rem;
      }
      main {
        display: grid;
        gap: 1.25rem;
      }
      .view {
        display: grid;
        gap: 0.875rem;
        min-width: 0;
      }
      .rest {
        display: grid;
        gap: 1.25rem;
      }
      .rest > * {
        padding-top: 1rem;
        border-top: 1px solid var(--line);
      }
      @media (min-width: 760px) {
        main {
          grid-template: "prompt view" auto "rest view" 1fr / minmax(18.5rem, 24rem) minmax(0, 1fr);
          column-gap: clamp(1.25rem, 2.5vw, 2.5rem);
        }
        dr-prompt-form {
          grid-area: prompt;
        }
        .rest {
          grid-area: rest;
          align-content: start;
        }
        .view {
          grid-area: view;
          align-content: start;
          align-self: start;
          position: sticky;
          top: 1rem;
        }
      }
    `,
  ];

  override connectedCallback(): void {
    super.connectedCallback();
    this.#unwatch = this.#studio.watch(() => this.#follow());
    document.addEventListener("keydown", this.#key);
    globalThis.addEventListener("pagehide", this.#leave);
    globalThis.addEventListener("pageshow", this.#return);
    if (this.#support === "yes") void this.#studio.open();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#unwatch?.();
    document.removeEventListener("keydown", this.#key);
    globalThis.removeEventListener("pagehide", this.#leave);
    globalThis.removeEventListener("pageshow", this.#return);
    this.#studio.close();
  }

  override render() {
    const studio = this.#studio;
    return html`
      <dr-top-bar .studio=${studio} @about=${() => this.about.show()}></dr-top-bar>
      <main>
        <dr-prompt-form .studio=${studio} .able=${this.#support === "yes"}></dr-prompt-form>
        <div class="view">
          <dr-picture-stage .studio=${studio} .support=${this.#support}></dr-picture-stage>
          <dr-contact-sheet .studio=${studio}></dr-contact-sheet>
        </div>
        <div class="rest">
          <dr-settings-form .studio=${studio}></dr-settings-form>
          <dr-model-card .studio=${studio} @library=${() => this.library.show()}></dr-model-card>
        </div>
      </main>
      <p class="unseen" role="status">${this.announcement}</p>
      <dr-model-dialog .studio=${studio}></dr-model-dialog>
      <dr-about-dialog .studio=${studio}></dr-about-dialog>
    `;
  }

  protected override firstUpdated(_: PropertyValues): void {
    this.#follow();
  }

  /** Title and announcements follow the run: phases and quarters, not every step, so that a screen reader can keep up. */
  #follow(): void {
    const { run, gallery } = this.#studio;
    const { progress } = run;
    const text = words();
    if (progress) {
      const share = progress.step / progress.steps;
      document.title = text.title.working(percent(share));
      const quarter = Math.floor(share * 4) / 4;
      const say = progress.phase === "denoise" && quarter > 0 ? text.progress.share(percent(quarter)) : text.progress.phases[progress.phase];
      this.#announce(say);
    } else {
      document.title = text.title.idle;
      if (this.#announced === "") return;
      const last = gallery.pictures.at(-1);
      this.#announce(run.failure ? "" : last ? text.progress.finished(seconds(last.timings.total)) : text.progress.stopped);
    }
  }

  #announce(say: string): void {
    if (say === this.#announced) return;
    this.#announced = say;
    this.announcement = say;
  }

  #key = (event: KeyboardEvent): void => {
    if (this.#support !== "yes") return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      void this.#studio.generate();
    } else if (event.key === "Escape" && !event.defaultPrevented && !this.#dialogOpen()) {
      this.#studio.cancel();
    }
  };

  #dialogOpen(): boolean {
    return [this.library, this.about].some((element) => element.renderRoot.querySelector("dialog")?.open);
  }

  #leave = (): void => this.#studio.close();

  /** Back from the browser's cache of pages: the GPU was given back, so the model is loaded again. */
  #return = (event: PageTransitionEvent): void => {
    if (event.persisted && this.#support === "yes") void this.#studio.open();
  };
}
