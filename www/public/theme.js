// Chooses the theme before anything is painted; a file of its own because the Content-Security-Policy allows no inline script.
(function () {
  var chosen = null;
  try {
    chosen = localStorage.getItem("darkroom-theme");
  } catch (blocked) {
    // Without storage the system's choice is followed.
  }
  var light = matchMedia("(prefers-color-scheme: light)");
  var theme = chosen === "light" || chosen === "dark" ? chosen : light.matches ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
})();
