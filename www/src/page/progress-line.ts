import { css, html, LitElement, nothing } from "lit";
import { customElement, property } from "lit/decorators.js";
import type { Progress } from "../studio/run-store.ts";
import { seconds, wholeSeconds } from "../words/format.ts";
import { words } from "../words/words.ts";
import { shared } from "./styles/shared.ts";

/** Above this many steps the marks would be thinner than the gaps between them. */
const mostMarks = 60;

/** How far the picture is: one mark per step, the phase in words, and the times. Always of the same height. */
@customElement("dr-progress-line")
export class ProgressLine extends LitElement {
  @property({ attribute: false }) progress: Progress | undefined;
  #clock: ReturnType<typeof setInterval> | undefined;

  static override styles = [
    shared,
    css`
      :host {
        display: grid;
        gap: 0.5rem;
      }
      .marks {
        display: flex;
        gap: 3px;
        height: 4px;
      }
      .marks i {
        flex: 1;
        border-radius: 2px;
        background: var(--line);
      }
      .marks i.done {
        background: var(--accent);
      }
      .marks i.now {
        background: var(--accent);
        opacity: 0.45;
        animation: pulse 1.2s ease-in-out infinite alternate;
      }
      .track {
        height: 4px;
        border-radius: 2px;
        background: var(--line);
        overflow: hidden;
      }
      .fill {
        height: 100%;
        background: var(--accent);
        transform-origin: left;
      }
      p {
        display: flex;
        flex-wrap: wrap;
        gap: 0 0.75rem;
        min-height: 1.4em;
        font-size: 0.875rem;
      }
      .phase {
        font-weight: 600;
      }
      .times {
        margin-left: auto;
        color: var(--muted);
      }
      @keyframes pulse {
        to {
          opacity: 0.85;
        }
      }
      @media (prefers-reduced-motion: reduce) {
        .marks i.now {
          animation: none;
        }
      }
    `,
  ];

  override connectedCallback(): void {
    super.connectedCallback();
    this.#clock = setInterval(() => this.requestUpdate(), 500);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    clearInterval(this.#clock);
  }

  override render() {
    const { progress } = this;
    if (!progress) return nothing;
    const { phase, step, steps, secondsPerStep } = progress;
    const text = words().progress;
    const steady = secondsPerStep !== undefined && phase === "denoise";
    return html`
      <div role="progressbar" aria-label=${text.label} aria-valuemin="0" aria-valuemax=${steps} aria-valuenow=${step}>${this.#marks(progress)}</div>
      <p class="numbers">
        <span class="phase">${progress.cancelling ? words().prompt.cancelling : text.phases[phase]}</span>
        ${phase === "denoise" ? html`<span>${text.step(step, steps)}</span>` : nothing}
        ${steady
          ? html`<span class="times">${text.pace(seconds(secondsPerStep))} · ${text.remaining(wholeSeconds(remainingSeconds(progress)))}</span>`
          : nothing}
      </p>
    `;
  }

  #marks({ phase, step, steps }: Progress) {
    if (steps > mostMarks) return html`<div class="track"><div class="fill" .style=${`transform: scaleX(${step / steps})`}></div></div>`;
    const drawing = phase === "denoise" || phase === "text";
    return html`<div class="marks">
      ${Array.from({ length: steps }, (_, i) => html`<i class=${i < step ? "done" : i === step && drawing ? "now" : ""}></i>`)}
    </div>`;
  }
}

/** Counts down between the steps, so that a slow device does not seem to stand still. */
function remainingSeconds({ step, steps, secondsPerStep, toldAt }: Progress): number {
  const sinceTold = (performance.now() - toldAt) / 1000;
  return Math.max(0, (steps - step) * (secondsPerStep ?? 0) - sinceTold);
}
