import { html, nothing, type PropertyValues } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import type { Pixels } from "../engine/contract.ts";
import type { Failure } from "../bridge/failure.ts";
import { drawGrain, drawPreview } from "../picture/canvas.ts";
import { fileName, type Picture } from "../studio/picture.ts";
import type { Support } from "../support/browser-support.ts";
import { number, seconds } from "../words/format.ts";
import { sentence, words } from "../words/words.ts";
import { icons } from "./icons.ts";
import "./progress-line.ts";
import { StudioElement } from "./studio-element.ts";
import { stage } from "./styles/stage.ts";
import { buttons, shared } from "./styles/shared.ts";

/** Pictures are enlarged on the screen up to this much; beyond it a small one shows nothing but squares. */
const mostEnlarged = 8;
/** Below this many pixels a picture is shown with hard pixels: smoothed, so small a one turns to fog. */
const smallSide = 160;

/** The sheet of paper: blank, with the forming picture, with the finished one, or with what went wrong. */
@customElement("dr-picture-stage")
export class PictureStage extends StudioElement {
  @property({ attribute: false }) support: Support = "yes";
  @query("canvas") private canvas!: HTMLCanvasElement;
  @state() private copied = false;
  #drawn: Pixels | string | undefined;

  static override styles = [shared, buttons, stage];

  override render() {
    const { run, gallery, settings } = this.studio;
    const { progress } = run;
    const picture = progress ? undefined : gallery.shown;
    const { width, height } = picture ?? progress?.settings ?? settings.values;
    const wet = !picture;
    const prompt = picture?.settings.prompt ?? progress?.settings.prompt ?? "";
    const small = Math.max(width, height) <= smallSide;
    return html`
      <section aria-labelledby="heading" class=${wet ? "wet" : "dry"}>
        <h2 id="heading" class="unseen">${words().stage.heading}</h2>
        <div class="tray">
          <figure .style=${`--ratio: ${width / height}; --most: ${Math.max(256, width * mostEnlarged)}px`}>
            <div class="picture">
              <canvas class=${progress?.preview ? "forming" : "grain"} ?hidden=${!wet} role="img" aria-label=${words().stage.previewAlt} aria-hidden=${progress?.preview ? "false" : "true"}></canvas>
              ${picture
                ? html`<img class=${small ? "hard" : ""} src=${picture.address} width=${width} height=${height} alt=${words().stage.alt(prompt)} />`
                : nothing}
              ${this.#invitation()}
            </div>
            <figcaption title=${prompt}>${prompt || html`&#8203;`}</figcaption>
          </figure>
          ${this.#note()}
        </div>
        <div class="below">${progress ? html`<dr-progress-line .progress=${progress}></dr-progress-line>` : picture ? this.#actions(picture) : this.#idle()}</div>
      </section>
    `;
  }

  protected override updated(_: PropertyValues): void {
    const { run, settings, gallery } = this.studio;
    const { progress } = run;
    if (!progress && gallery.shown) {
      this.#drawn = undefined;
      return;
    }
    if (progress?.preview) {
      if (this.#drawn !== progress.preview) drawPreview(this.canvas, progress.preview);
      this.#drawn = progress.preview;
      return;
    }
    const { seed, width, height } = progress?.settings ?? settings.values;
    const grain = `${seed} ${width} ${height}`;
    if (this.#drawn !== grain) drawGrain(this.canvas, seed, width, height);
    this.#drawn = grain;
  }

  /** What went wrong, on a slip of paper of its own: a flat picture would leave it no room. */
  #note() {
    const { run, model } = this.studio;
    const text = words();
    if (this.support !== "yes") {
      return html`<div class="note" role="alert"><h3>${text.support.heading}</h3><p>${text.support[this.support]}</p></div>`;
    }
    if (run.progress) return nothing;
    if (run.failure) return this.#failure(text.failures.heading, run.failure, () => void this.studio.generate(), () => run.dismissFailure());
    if (model.state.status === "failed" && model.state.failure.code !== "cancelled") {
      return this.#failure(text.failures.modelHeading, model.state.failure, () => void this.studio.open());
    }
    return nothing;
  }

  #invitation() {
    const { run, gallery, model } = this.studio;
    const failed = run.failure || (model.state.status === "failed" && model.state.failure.code !== "cancelled");
    const quiet = !run.progress && !gallery.shown && !failed && this.support === "yes";
    return quiet ? html`<p class="invitation">${words().stage.empty}</p>` : nothing;
  }

  #failure(heading: string, failure: Failure, retry: () => void, dismiss?: () => void) {
    const text = words().failures;
    return html`<div class="note" role="alert" data-code=${failure.code}>
      <h3>${heading}</h3>
      <p>${sentence(failure)}</p>
      <details><summary>${text.details}</summary><p>${failure.message} <code>${failure.code}</code></p></details>
      <div class="buttons">
        <button type="button" @click=${retry}>${text.retry}</button>
        ${dismiss ? html`<button class="bare" type="button" @click=${dismiss}>${text.dismiss}</button>` : nothing}
      </div>
    </div>`;
  }

  #idle() {
    return html`<p class="quiet facts">${this.support === "yes" && this.studio.model.state.status !== "failed" ? words().progress.idle : nothing}</p>`;
  }

  #actions(picture: Picture) {
    const { settings, samplerName, timings, width, height, retriedInF32 } = picture;
    const { gallery } = this.studio;
    const text = words().stage;
    const size = `${number(width)} × ${number(height)}`;
    return html`
      <div class="facts quiet numbers">
        <p>${text.facts(settings.steps, samplerName, number(settings.guidance, settings.guidance % 1 === 0 ? 0 : 1), size)}</p>
        <p>${text.seed(settings.seed)} · ${text.took(seconds(timings.total))}${retriedInF32 ? html` · ${text.retried}` : nothing}</p>
      </div>
      <div class="buttons">
        <a class="button main" href=${picture.address} download=${fileName(picture)}>${icons.save}${text.save}</a>
        <button class="shrinks" type="button" title=${text.copy} @click=${() => void this.#copy(picture)}>${this.copied ? icons.done : icons.copy}<span>${this.copied ? text.copied : text.copy}</span></button>
        <button class="shrinks" type="button" title=${text.reuse} @click=${() => this.studio.settings.restore(settings)}>${icons.reuse}<span>${text.reuse}</span></button>
        <button class="icon" type="button" aria-label=${text.remove} title=${text.remove} @click=${() => gallery.remove(picture)}>${icons.remove}</button>
      </div>
    `;
  }

  async #copy(picture: Picture): Promise<void> {
    try {
      await navigator.clipboard.write([new ClipboardItem({ "image/png": picture.file })]);
    } catch {
      return; // The browser asked and the visitor refused, or there is no clipboard.
    }
    this.copied = true;
    setTimeout(() => (this.copied = false), 2000);
  }
}
