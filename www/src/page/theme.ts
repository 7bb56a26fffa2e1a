/** The theme: the system's until the visitor chooses one. `public/theme.js` sets it before the first paint. */

export type Theme = "light" | "dark";

const key = "darkroom-theme";
const systemLight = matchMedia("(prefers-color-scheme: light)");

export function currentTheme(): Theme {
  return document.documentElement.dataset["theme"] === "light" ? "light" : "dark";
}

export function chooseTheme(theme: Theme): void {
  document.documentElement.dataset["theme"] = theme;
  try {
    localStorage.setItem(key, theme);
  } catch {
    // Without storage the choice lasts as long as the page.
  }
}

/** Follows the system while the visitor has chosen nothing. */
export function followSystem(changed: () => void): void {
  systemLight.addEventListener("change", () => {
    let chosen: string | null = null;
    try {
      chosen = localStorage.getItem(key);
    } catch {
      // As above.
    }
    if (chosen !== null) return;
    document.documentElement.dataset["theme"] = systemLight.matches ? "light" : "dark";
    changed();
  });
}
