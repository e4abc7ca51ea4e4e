/** The time range that all pages share: `range=15m` ends now, `from` and `to` (ms since 1970) stand still. */
import { address, type Address } from './address.svelte';

export interface Preset {
  readonly id: string;
  readonly label: string;
  readonly ms: number;
}

const MINUTE = 60_000;
export const PRESETS: readonly Preset[] = [
  { id: '5m', label: 'Last 5 minutes', ms: 5 * MINUTE },
  { id: '15m', label: 'Last 15 minutes', ms: 15 * MINUTE },
  { id: '1h', label: 'Last hour', ms: 60 * MINUTE },
  { id: '3h', label: 'Last 3 hours', ms: 180 * MINUTE },
  { id: '12h', label: 'Last 12 hours', ms: 720 * MINUTE },
  { id: '24h', label: 'Last 24 hours', ms: 1440 * MINUTE },
  { id: '3d', label: 'Last 3 days', ms: 4320 * MINUTE },
  { id: '7d', label: 'Last 7 days', ms: 10080 * MINUTE },
];
const DEFAULT = '15m';

export class TimeRange {
  readonly #address: Address;
  readonly #standard: string;
  #turn = $state(0);

  /** `standard` is the preset that holds where the address names none. */
  constructor(
    from: Address = address,
    readonly presets: readonly Preset[] = PRESETS,
    standard: string = DEFAULT,
  ) {
    this.#address = from;
    this.#standard = standard;
  }

  get preset(): Preset {
    const id = this.#address.params.get('range') ?? this.#standard;
    const standard = this.presets.find((p) => p.id === this.#standard);
    return this.presets.find((p) => p.id === id) ?? standard ?? (PRESETS[1] as Preset);
  }

  get absolute(): { from: number; to: number } | null {
    const from = Number(this.#address.params.get('from'));
    const to = Number(this.#address.params.get('to'));
    return Number.isSafeInteger(from) && Number.isSafeInteger(to) && from > 0 && to > from ? { from, to } : null;
  }

  get relative(): boolean {
    return this.absolute === null;
  }

  get key(): string {
    const fixed = this.absolute;
    return fixed ? `${fixed.from}-${fixed.to}/${this.#turn}` : `${this.preset.id}/${this.#turn}`;
  }

  /** Ask anew for what ends now. */
  again(): void {
    this.#turn += 1;
  }

  /** The stretch in nanoseconds. */
  span(): { from: bigint; to: bigint } {
    const fixed = this.absolute;
    const to = fixed?.to ?? Date.now();
    const from = fixed?.from ?? to - this.preset.ms;
    // A line of this very moment belongs to what ends now.
    return { from: BigInt(from) * 1_000_000n, to: BigInt(to) * 1_000_000n + (fixed ? 0n : 1_000_000n) };
  }

  write(params: URLSearchParams, fromMs: number, toMs: number): void {
    params.delete('range');
    params.set('from', String(Math.floor(fromMs)));
    params.set('to', String(Math.ceil(toMs)));
  }

  writeNow(params: URLSearchParams, preset: string = this.preset.id): void {
    params.delete('from');
    params.delete('to');
    if (preset === this.#standard) params.delete('range');
    else params.set('range', preset);
  }

  choose(preset: string): void {
    const params = new URLSearchParams(this.#address.params);
    this.writeNow(params, preset);
    this.#address.go(params, false);
    this.again();
  }

  fix(fromMs: number, toMs: number): void {
    const params = new URLSearchParams(this.#address.params);
    this.write(params, fromMs, toMs);
    this.#address.go(params, false);
  }
}

export const range = new TimeRange();
