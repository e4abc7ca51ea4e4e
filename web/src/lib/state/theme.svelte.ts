/** Dark or light: the system's, until one is set here. */
const KEY = 'pilothouse.theme';

export class Theme {
  current = $state<'dark' | 'light'>(document.documentElement.dataset['theme'] === 'light' ? 'light' : 'dark');

  constructor() {
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', (event) => {
      if (!localStorage.getItem(KEY)) this.#show(event.matches ? 'dark' : 'light');
    });
  }

  toggle(): void {
    const next = this.current === 'dark' ? 'light' : 'dark';
    localStorage.setItem(KEY, next);
    this.#show(next);
  }

  #show(theme: 'dark' | 'light'): void {
    this.current = theme;
    document.documentElement.dataset['theme'] = theme;
  }
}

export const theme = new Theme();
