// Before the first paint, so that nothing flashes: the theme that was set, or the system's.
(() => {
  const set = localStorage.getItem('pilothouse.theme');
  const dark = set ? set === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
})();
