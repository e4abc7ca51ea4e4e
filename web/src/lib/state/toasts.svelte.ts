/** Short words about what was just done, for a few seconds; what went wrong stays until it is put away. */
export interface Toast {
  readonly id: number;
  readonly words: string;
  readonly bad: boolean;
}

const SECONDS = 5;

export class Toasts {
  shown = $state.raw<readonly Toast[]>([]);
  #next = 1;

  say(words: string): void {
    const id = this.#add(words, false);
    setTimeout(() => this.drop(id), SECONDS * 1000);
  }

  fail(words: string): void {
    this.#add(words, true);
  }

  drop(id: number): void {
    this.shown = this.shown.filter((toast) => toast.id !== id);
  }

  #add(words: string, bad: boolean): number {
    const id = this.#next++;
    this.shown = [...this.shown.slice(-3), { id, words, bad }];
    return id;
  }
}

export const toasts = new Toasts();
