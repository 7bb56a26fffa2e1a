/** What every element of the page uses: text, buttons, fields, focus. Colours come from `page.css`. */

import { css } from "lit";

export const shared = css`
  :host {
    box-sizing: border-box;
    color: var(--text);
  }
  :host([hidden]) {
    display: none;
  }
  *,
  *::before,
  *::after {
    box-sizing: inherit;
  }
  h1,
  h2,
  h3,
  p,
  figure,
  ul,
  ol,
  dl,
  dd {
    margin: 0;
    padding: 0;
  }
  ul,
  ol {
    list-style: none;
  }
  h2 {
    font: 400 1.45rem/1.15 var(--serif);
    letter-spacing: 0.005em;
  }
  h3 {
    font: 600 0.9375rem/1.3 var(--sans);
  }
  a {
    color: var(--accent);
    text-underline-offset: 0.2em;
  }
  svg {
    display: block;
    width: 1.25rem;
    height: 1.25rem;
    fill: none;
    stroke: currentColor;
    stroke-width: 1.6;
    stroke-linecap: round;
    stroke-linejoin: round;
    flex: none;
  }
  :focus-visible {
    outline: 2px solid var(--accent);
    outline-offset: 2px;
  }
  .quiet {
    color: var(--muted);
    font-size: 0.8125rem;
  }
  .numbers {
    font-variant-numeric: tabular-nums;
  }
  .unseen {
    position: absolute;
    width: 1px;
    height: 1px;
    margin: -1px;
    overflow: hidden;
    clip-path: inset(50%);
    white-space: nowrap;
  }
`;

export const buttons = css`
  button {
    display: inline-flex;
    align-items: center;
    justify-content: center;
    gap: 0.5rem;
    min-height: 2.25rem;
    padding: 0 0.875rem;
    border: 1px solid var(--edge);
    border-radius: var(--round);
    background: transparent;
    color: inherit;
    font: 500 0.875rem/1 var(--sans);
    cursor: pointer;
    transition:
      background-color 0.15s,
      border-color 0.15s,
      color 0.15s;
  }
  button:hover:not(:disabled) {
    background: color-mix(in srgb, var(--text) 8%, transparent);
  }
  button:disabled {
    opacity: 0.5;
    cursor: default;
  }
  button.main {
    border-color: var(--accent);
    background: var(--accent);
    color: var(--on-accent);
    font-weight: 600;
  }
  button.main:hover:not(:disabled) {
    border-color: var(--accent-strong);
    background: var(--accent-strong);
  }
  button.icon {
    width: 2.25rem;
    padding: 0;
    flex: none;
  }
  button.bare {
    border-color: transparent;
  }
  button[aria-pressed="true"] {
    border-color: var(--accent);
    background: color-mix(in srgb, var(--accent) 10%, transparent);
    color: var(--accent);
  }
  @media (pointer: coarse) {
    button {
      min-height: 2.75rem;
    }
    button.icon {
      width: 2.75rem;
    }
  }
  @media (prefers-reduced-motion: reduce) {
    * {
      transition: none !important;
      animation: none !important;
    }
  }
`;

export const fields = css`
  label,
  .label {
    display: block;
    margin-bottom: 0.375rem;
    font: 500 0.8125rem/1.3 var(--sans);
    color: var(--muted);
  }
  input[type="text"],
  input[type="url"],
  input[type="number"],
  select,
  textarea {
    width: 100%;
    min-height: 2.25rem;
    padding: 0.375rem 0.625rem;
    border: 1px solid var(--edge);
    border-radius: var(--round);
    background: var(--raised);
    color: var(--text);
    font: 400 0.9375rem/1.45 var(--sans);
    font-variant-numeric: tabular-nums;
  }
  input::placeholder,
  textarea::placeholder {
    color: var(--muted);
    opacity: 1;
  }
  input[type="number"] {
    appearance: textfield;
    -moz-appearance: textfield;
  }
  input[type="number"]::-webkit-inner-spin-button {
    appearance: none;
    margin: 0;
  }
  select {
    appearance: none;
    padding-right: 1.75rem;
    background-image: url("data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 12 12'%3E%3Cpath d='m2.500 4.500 3.500 3.500 3.500-3.500' fill='none' stroke='%23998a83' stroke-width='1.500' stroke-linecap='round' stroke-linejoin='round'/%3E%3C/svg%3E");
    background-position: right 0.6rem center;
    background-size: 0.8rem;
    background-repeat: no-repeat;
  }
  textarea {
    display: block;
    resize: vertical;
  }
  input:disabled,
  select:disabled,
  textarea:disabled {
    opacity: 0.55;
  }
  @media (pointer: coarse) {
    input,
    select,
    textarea {
      min-height: 2.75rem;
      font-size: 1rem;
    }
  }
`;
