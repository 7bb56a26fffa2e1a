/** The tray and the sheet of paper in it. Blank paper lies under the safelight; a finished picture is seen in white light. */

import { css } from "lit";

export const stage = css`
  :host {
    display: block;
    container-type: inline-size;
  }
  section {
    display: grid;
    gap: 0.875rem;
  }
  .tray {
    container-type: size;
    position: relative;
    display: grid;
    place-items: center;
    height: clamp(20rem, 100svh - 19.5rem, 112cqi);
    border-radius: 14px;
    background:
      radial-gradient(ellipse 75% 60% at 50% 0%, var(--glow), transparent 75%),
      var(--tray);
  }
  figure {
    --border: clamp(10px, 2.6cqmin, 22px);
    --caption: 2.5rem;
    --room: calc((100cqh - 2 * var(--border) - var(--caption) - 2.5rem) * var(--ratio));
    width: calc(min(100cqw - 2rem - 2 * var(--border), var(--room), var(--most)) + 2 * var(--border));
    padding: var(--border) var(--border) 0;
    border-radius: 2px;
    background: var(--paper);
    color: var(--paper-ink);
    box-shadow: var(--shadow);
    transition:
      background-color 0.7s ease,
      color 0.7s ease;
  }
  .wet figure {
    background-color: var(--paper-blank);
    background-image: radial-gradient(ellipse at 50% -10%, var(--paper-blank-lit), transparent 80%);
    color: var(--paper-blank-ink);
  }
  .picture {
    position: relative;
    aspect-ratio: var(--ratio);
    overflow: hidden;
  }
  canvas,
  img {
    position: absolute;
    inset: 0;
    display: block;
    width: 100%;
    height: 100%;
  }
  canvas[hidden] {
    display: none;
  }
  canvas.grain,
  img.hard {
    image-rendering: pixelated;
  }
  canvas.forming {
    filter: blur(min(3px, 0.5cqw));
  }
  img {
    animation: develop 0.6s ease;
  }
  @keyframes develop {
    from {
      opacity: 0;
    }
  }
  figcaption {
    height: var(--caption);
    overflow: hidden;
    font: italic 400 1.0625rem / var(--caption) var(--serif);
    text-align: center;
    text-overflow: ellipsis;
    white-space: nowrap;
  }
  .invitation {
    position: absolute;
    inset: 0;
    display: grid;
    place-items: center;
    padding: 1rem;
    font: italic 400 1.5rem/1.3 var(--serif);
    text-align: center;
  }
  .note {
    position: absolute;
    inset: auto 1rem 1rem;
    display: grid;
    gap: 0.5rem;
    align-content: start;
    max-width: 34rem;
    max-height: calc(100% - 2rem);
    margin: 0 auto;
    overflow: auto;
    padding: 0.9rem 1.1rem 1.1rem;
    border-top: 3px solid var(--accent);
    border-radius: 3px;
    box-shadow: var(--shadow);
    background: var(--surface);
    color: var(--text);
    font-size: 0.9375rem;
  }
  .note summary {
    color: var(--muted);
    font-size: 0.8125rem;
    cursor: pointer;
  }
  .note details p {
    margin-top: 0.25rem;
    font-size: 0.8125rem;
    overflow-wrap: anywhere;
  }
  .below {
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    justify-content: space-between;
    gap: 0.5rem 1.5rem;
    min-height: 2.75rem;
  }
  .below dr-progress-line {
    flex: 1;
  }
  .buttons {
    display: flex;
    flex-wrap: wrap;
    gap: 0.5rem;
  }
  a.button {
    display: inline-flex;
    align-items: center;
    gap: 0.5rem;
    min-height: 2.25rem;
    padding: 0 0.875rem;
    border: 1px solid var(--accent);
    border-radius: var(--round);
    background: var(--accent);
    color: var(--on-accent);
    font: 600 0.875rem/1 var(--sans);
    text-decoration: none;
  }
  a.button:hover {
    border-color: var(--accent-strong);
    background: var(--accent-strong);
  }
  @media (pointer: coarse) {
    a.button {
      min-height: 2.75rem;
    }
  }
  @container (max-width: 40rem) {
    .below {
      align-content: start;
      min-height: 5.9rem;
    }
    .below .facts {
      width: 100%;
      min-height: 2.5em;
    }
    .below .shrinks {
      width: 2.75rem;
      padding: 0;
    }
    .below .shrinks span {
      position: absolute;
      clip-path: inset(50%);
    }
  }
  @media (max-width: 759px) {
    .tray {
      height: min(112cqi, 34rem);
    }
  }
  @media (prefers-reduced-motion: reduce) {
    figure,
    img {
      animation: none;
      transition: none;
    }
  }
`;
