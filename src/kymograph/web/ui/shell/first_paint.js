// Sets the theme before the first paint. A classic script, because modules run too late for that.
try {
  document.documentElement.dataset.theme = localStorage.getItem("kymograph.theme") || "auto";
} catch {
  // Storage may be forbidden; the page then follows the system.
}
