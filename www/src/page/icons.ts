/** Line drawings for buttons; always beside a label or inside a button that has one. */

import { svg, html } from "lit";

const icon = (drawing: ReturnType<typeof svg>) => html`<svg viewBox="0 0 24 24" aria-hidden="true">${drawing}</svg>`;

export const icons = {
  sun: icon(svg`<circle cx="12" cy="12" r="4"/><path d="M12 3v2M12 19v2M3 12h2M19 12h2M5.600 5.600 7 7M17 17l1.400 1.400M5.600 18.400 7 17M17 7l1.400-1.400"/>`),
  moon: icon(svg`<path d="M19.500 14.200A8 8 0 0 1 9.800 4.500a8 8 0 1 0 9.700 9.700z"/>`),
  dice: icon(svg`<rect x="4" y="4" width="16" height="16" rx="3.500"/><path d="M8.500 8.500h.01M15.500 8.500h.01M12 12h.01M8.500 15.500h.01M15.500 15.500h.01" stroke-width="2.400"/>`),
  locked: icon(svg`<rect x="5" y="11" width="14" height="9" rx="2"/><path d="M8 11V8a4 4 0 0 1 8 0v3"/>`),
  unlocked: icon(svg`<rect x="5" y="11" width="14" height="9" rx="2"/><path d="M8 11V8a4 4 0 0 1 7.500-2"/>`),
  swap: icon(svg`<path d="M4 9h15l-3.500-3.500M20 15H5l3.500 3.500"/>`),
  reset: icon(svg`<path d="M5 12a7 7 0 1 0 2.200-5.100M5 4v4h4"/>`),
  save: icon(svg`<path d="M12 4v11m-4.500-4.500L12 15l4.500-4.500M5 19.500h14"/>`),
  copy: icon(svg`<rect x="9" y="9" width="11" height="11" rx="2"/><path d="M15 5.500A1.500 1.500 0 0 0 13.500 4h-8A1.500 1.500 0 0 0 4 5.500v8A1.500 1.500 0 0 0 5.500 15"/>`),
  reuse: icon(svg`<path d="M4 8h10m4 0h2M4 16h2m4 0h10"/><circle cx="16" cy="8" r="2"/><circle cx="8" cy="16" r="2"/>`),
  remove: icon(svg`<path d="M5 7h14M10 7V4.500h4V7M7 7l.800 12.500h8.400L17 7"/>`),
  close: icon(svg`<path d="m6 6 12 12M18 6 6 18"/>`),
  folder: icon(svg`<path d="M3.500 18V6.500a1 1 0 0 1 1-1h4.700l2 2.500h8.300a1 1 0 0 1 1 1v9a1 1 0 0 1-1 1h-15a1 1 0 0 1-1-1z"/>`),
  chip: icon(svg`<rect x="7" y="7" width="10" height="10" rx="1.500"/><path d="M10 3.500V7m4-3.500V7m-4 10v3.500m4-3.500v3.500M3.500 10H7m-3.500 4H7m10-4h3.500M17 14h3.500"/>`),
  done: icon(svg`<path d="m5 12.500 4.500 4.500L19 7.500"/>`),
};
