/** What went wrong, in the server's own words where it had any. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly details: Readonly<Record<string, unknown>> = {},
  ) {
    super(message);
    this.name = 'ApiError';
  }

  /** Seconds to wait before trying again, where the server said so. */
  get retryAfter(): number {
    const told = this.details['retry_after'];
    return typeof told === 'number' ? told : 0;
  }
}

/** The error in a bad answer's envelope. */
export async function errorOf(response: Response): Promise<ApiError> {
  try {
    const { error } = (await response.json()) as {
      error: { code: string; message: string; details?: Record<string, unknown> };
    };
    const wait = Number(response.headers.get('retry-after') ?? 0);
    const details = { ...(wait > 0 ? { retry_after: wait } : {}), ...error.details };
    return new ApiError(response.status, error.code, error.message, details);
  } catch {
    return new ApiError(response.status, 'UNKNOWN', `The server answered ${response.status} without saying why.`);
  }
}

/** An error as a sentence. */
export function wordsOf(error: unknown): string {
  if (error instanceof ApiError) return sentence(error.message);
  if (error instanceof TypeError) return 'Pilothouse does not answer. It may be restarting.';
  return error instanceof Error ? error.message : String(error);
}

function sentence(text: string): string {
  const first = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}
