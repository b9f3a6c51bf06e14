// Before anything is drawn: the colours that were chosen here, or else those of the system.
(() => {
  try {
    const chosen = localStorage.getItem('warren-theme');
    if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen;
  } catch {
    // a browser that keeps nothing uses the system's
  }
})();
